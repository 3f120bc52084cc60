"""What a notebook shows of runs: a live table, tables of agents, a card for a result."""
