"""From a schedule on a scene to a take on disk."""
