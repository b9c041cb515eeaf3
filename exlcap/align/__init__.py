"""A reference take to an alignment."""
