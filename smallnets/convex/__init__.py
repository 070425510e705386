"""Convex programs of two-layer ReLU networks: the published listings and what certifies their answers."""
