"""Exposure and gain: found with the cameras, and what a schedule will make of them."""
