"""Turns: what belongs together when a thread is stopped, killed, paused and taken up again."""

from __future__ import annotations

import secrets
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

TURN = "orchestra_turn"
"""Key in the metadata of every checkpoint of the turn."""


async def turn_of(graph: Any, given: Any, config: RunnableConfig) -> str:
    """Return the turn that a call belongs to: the one that its checkpoint is of, or a new one where something new is asked."""
    found = await graph.checkpointer.aget_tuple(config)
    metadata: dict[str, Any] = dict(found.metadata) if found is not None else {}
    run_id = (config.get("metadata") or {}).get("run_id")
    again = run_id is not None and run_id == metadata.get(
        "run_id"
    )  # which LangGraph takes for the same call, made again
    goes_on = given is None or isinstance(given, Command) or again
    return str((goes_on and metadata.get(TURN)) or secrets.token_hex(6))
