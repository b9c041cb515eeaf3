"""A rig without hardware: people, optics and sensor, with known truth."""
