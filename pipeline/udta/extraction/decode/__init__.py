"""From files to batches of views, a file a way."""
