"""What only this paper computes: irreducible networks, what samples give back, and what else fits them."""
