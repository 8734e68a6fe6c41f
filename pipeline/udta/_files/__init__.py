"""Files that are there whole or not at all, one writer each, and what in them may be believed."""
