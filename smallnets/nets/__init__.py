"""Networks: forward passes, Jacobians, ranks of tangent spaces."""
