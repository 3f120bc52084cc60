"""The shop that the support desk works on: its database, its desks' tools, its policies."""
