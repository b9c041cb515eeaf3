"""Data sets made from labelled photographs instead of takes."""
