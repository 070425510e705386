"""The experiments on orthogonal inputs, and what they share."""
