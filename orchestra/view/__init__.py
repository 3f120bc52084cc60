"""What is seen of a run while it happens and afterwards."""
