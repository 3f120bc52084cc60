"""A service that the incident team looks after: its health, its commands, its tickets."""
