"""Where backbones come from: a file a source."""
