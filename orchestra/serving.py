"""What a LangGraph server takes from here: `langgraph.json` names it, and its threads live where the command keeps its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from orchestra.commands.options import DEFAULT_DB
from state.persistence import open_persistence


@asynccontextmanager
async def checkpointer() -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the default database for as long as the server runs, and give its checkpointer.

    A graph of its own must not bring one: the server refuses to start.
    """
    # In a thread, because resolving the path asks the file system, which the server forbids on its event loop.
    async with await asyncio.to_thread(open_persistence, DEFAULT_DB) as persistence:
        yield persistence.checkpointer
