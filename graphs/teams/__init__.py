"""Teams that do real work, made of the patterns."""
