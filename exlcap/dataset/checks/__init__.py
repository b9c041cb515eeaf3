"""What can be wrong with labels and data sets, and how it is mended."""
