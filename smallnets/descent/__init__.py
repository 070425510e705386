"""Training by gradients: full-batch descent of many networks at once."""
