"""What a data set says of itself: README.md, and a contact sheet of a few pairs."""
