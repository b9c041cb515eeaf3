"""Label the bright frame, carry the labels to the dark one."""
