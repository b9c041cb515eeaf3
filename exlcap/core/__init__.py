"""What every stage shares: the nouns, their files, errors and console."""
