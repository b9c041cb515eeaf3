"""The pose network and its parts."""
