"""The sub-commands of `neurec`, and what they read."""
