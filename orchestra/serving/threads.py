"""The threads of a server and those of the command are the same ones: each is told what the other needs to go on with them.

A server keeps a list of its threads beside the checkpoints, and knows none that somebody else began. The command builds a graph
again from a recipe, and finds none with a thread that a server began.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from graphs.registry import REGISTRY
from orchestra.knobs import note_context
from orchestra.recipe import Recipe
from orchestra.serving.teams import served_recipes
from state.errors import PersistenceError, ThreadBusy
from state.persistence import Persistence
from state.run import run_of

MOST_LISTED = 1000
"""Threads that a server is told of at once, the last ones used: it goes through all of its list for each."""
_GRAPHS = "LANGSERVE_GRAPHS"
_LISTS = frozenset({"search", "count"})
_STATUS = {"waiting": "interrupted", "failed": "error"}


class ServedThreads:
    """What passes between a server and the database of its threads.

    Args:
        persistence: The database.
        served: Graphs of the server by name: as their import path, or a dictionary with it as `path`.
    """

    def __init__(self, persistence: Persistence, served: Mapping[str, Any]) -> None:
        self._persistence = persistence
        self._served, self._listed = frozenset(served), set[str]()
        registered = {name: Recipe(name=name) for name, given in served.items() if _is_registered(name, given)}
        self._recipes = {**registered, **served_recipes()}

    def noting(self, saver: BaseCheckpointSaver[Any]) -> BaseCheckpointSaver[Any]:
        """Return the same saver, which notes the recipe with a thread when a run of it begins, and deletes all of a thread."""
        putting = saver.aput

        async def aput(config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> RunnableConfig:
            if metadata.get("source") == "input" and not (config.get("configurable") or {}).get("checkpoint_ns"):
                await self._note(config, str(metadata.get("graph_id", "")))
            return await putting(config, checkpoint, metadata, new_versions)

        async def adelete_thread(thread_id: str) -> None:
            from starlette.exceptions import HTTPException  # here: without the server there is none

            try:
                await self._persistence.adelete_thread(thread_id)
            except ThreadBusy as busy:
                raise HTTPException(409, str(busy)) from None
            self._listed.discard(thread_id)

        saver.aput = aput  # type: ignore[method-assign]  # of this one, which belongs to the server
        saver.adelete_thread = adelete_thread  # type: ignore[method-assign]
        return saver

    async def _note(self, config: RunnableConfig, graph: str) -> None:
        run, recipe = run_of(config), self._recipes.get(graph)
        if run is not None and recipe is not None:
            facts = {**recipe.facts(), "context": note_context(run.context)}
            await self._persistence.anote_thread(run.thread, **facts)

    async def enlist(self, thread: str = "") -> None:
        """Tell the server of a thread of the database that it does not have on its list; by default of all.

        It takes those whose id is a UUID: no other can be asked for over HTTP.
        """
        for facts in await self._found(thread):
            name = str(facts["thread"])
            if _is_uuid(name) and name not in self._listed and facts.get("graph") in self._served:
                await _enlist(facts)
                self._listed.add(name)

    async def _found(self, thread: str) -> list[dict[str, Any]]:
        if not thread:
            return (await self._persistence.athreads())[:MOST_LISTED]
        one = await self._persistence.athread(thread) if _is_uuid(thread) and thread not in self._listed else None
        return [one] if one is not None else []


async def _enlist(facts: Mapping[str, Any]) -> None:
    from langgraph_api.graph import NAMESPACE_GRAPH  # type: ignore[import-untyped]  # they have no stubs
    from langgraph_runtime_inmem.database import connect  # type: ignore[import-untyped]
    from langgraph_runtime_inmem.ops import Threads  # type: ignore[import-untyped]

    graph, task = str(facts["graph"]), facts.get("task")
    metadata = {"graph_id": graph, "assistant_id": str(uuid5(NAMESPACE_GRAPH, graph))}
    async with connect() as connection:
        put = await Threads.put(connection, facts["thread"], metadata=metadata, if_exists="do_nothing")
        thread = await anext(put)
    if thread["values"] is None and not thread["metadata"].get("listed"):
        # What a list shows of it. Its state is read from the checkpoints when somebody opens it.
        thread["metadata"]["listed"] = "orchestra"
        thread["values"] = {"messages": [{"type": "human", "content": task}]} if task else None
        thread["status"] = _STATUS.get(str(facts.get("status")), "idle")
        thread["created_at"] = datetime.fromtimestamp(facts["created"], UTC)
        thread["updated_at"] = thread["state_updated_at"] = datetime.fromtimestamp(facts["updated"], UTC)


_open: list[ServedThreads] = []
"""Those of the server of this process, while it runs."""


async def open_served_threads(persistence: Persistence) -> ServedThreads:
    """Return what passes between the server that is being started and a database; its list has the database's threads."""
    served = await asyncio.to_thread(ServedThreads, persistence, json.loads(os.environ.get(_GRAPHS) or "{}"))
    await served.enlist()
    _open[:] = [served]
    return served


def close_served_threads() -> None:
    """Forget them: the database is closed after that."""
    _open.clear()


async def enlist_asked(path: str) -> None:
    """Tell the server of the threads that a request for this path is about, as far as they are not on its list."""
    if not path.startswith("/threads/"):
        return
    asked = path.split("/")[2]
    for served in _open:
        with suppress(PersistenceError):  # the server meets it too, and says so
            await served.enlist("" if asked in _LISTS else asked)


def _is_registered(name: str, given: Any) -> bool:
    """Whether what is served by that name is the pattern or team that the command builds by it."""
    path = str(given.get("path", "") if isinstance(given, Mapping) else given)
    place, _, attribute = path.rpartition(":")
    if name not in REGISTRY or attribute != "graph":
        return False
    module = REGISTRY[name].module
    if place == module:
        return True
    spec = find_spec(module)
    return spec is not None and bool(spec.origin) and Path(place).resolve() == Path(str(spec.origin)).resolve()


def _is_uuid(thread: str) -> bool:
    try:
        return str(UUID(thread)) == thread
    except ValueError:
        return False
