"""Data sets of others in, data sets for others out."""
