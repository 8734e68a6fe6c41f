"""Training: from stored rows to an adapter."""
