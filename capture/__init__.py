"""Shoot: cameras to takes."""
