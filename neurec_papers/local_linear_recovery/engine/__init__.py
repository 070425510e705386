"""What only this paper computes: Adam with dropout, factored models, and Levenberg and Marquardt's method."""
