"""Takes, alignment and labels to a data set."""
