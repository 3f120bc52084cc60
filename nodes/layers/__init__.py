"""What stands between an agent and its model or tools, one concern a file; `nodes/agent.py` puts them in order."""
