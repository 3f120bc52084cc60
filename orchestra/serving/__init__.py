"""Serving: what a LangGraph server takes from here, and who may reach it."""
