"""Storage: how checkpoints, memories, events and threads are kept in SQLite and PostgreSQL; `state.persistence` opens it."""
