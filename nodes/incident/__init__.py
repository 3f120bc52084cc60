"""The incident team: who responds, what they are told, and what is written afterwards."""
