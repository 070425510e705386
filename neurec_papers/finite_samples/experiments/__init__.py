"""The experiments on finite samples, and what they share."""
