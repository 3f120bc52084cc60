"""The research team: what a report cites, and how it is put together."""
