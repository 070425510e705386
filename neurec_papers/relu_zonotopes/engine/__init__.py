"""What only this paper computes: losses at vertices, searches over them, and the vertex that fits any labels."""
