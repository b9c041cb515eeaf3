"""Checks of labels and data sets, and corrected copies."""
