"""The competitive team: what is asked of each vendor, and how the answers are compared."""
