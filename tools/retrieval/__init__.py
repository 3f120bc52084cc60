"""Retrieval: sections become passages, passages an index, and a question the passages that answer it."""
