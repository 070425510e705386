"""The numerics that only this paper computes."""
