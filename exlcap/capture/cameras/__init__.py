"""The cameras: one contract, its drivers, and the place that chooses between them."""
