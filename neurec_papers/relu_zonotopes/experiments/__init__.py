"""The experiments on zonotopes, and what they share."""
