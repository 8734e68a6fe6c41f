"""Ways in which images are named: a reader each."""
