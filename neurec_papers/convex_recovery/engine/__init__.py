"""What only this paper computes: planted data, convex programs posed and solved, and networks trained on the data."""
