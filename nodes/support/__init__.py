"""The support desk: who answers, when a person takes over, and how turns are scored."""
