"""Teams as files: read, checked, built, run, and written out again."""
