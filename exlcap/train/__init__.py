"""A data set to weights, tables and pictures."""
