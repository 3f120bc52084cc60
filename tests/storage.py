"""Places to keep things, one of each kind, for tests that every kind must pass."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from state.messages import Messages
from state.persistence import Persistence

KINDS = ("memory", "sqlite", "postgres")

POSTGRES = os.environ.get("ORCHESTRA_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")


class Talk(TypedDict, total=False):
    messages: Messages
    turns: int


def reply(state: Talk) -> dict[str, Any]:
    return {"messages": [("ai", f"reply {state.get('turns', 0)}")], "turns": state.get("turns", 0) + 1}


def talk_graph(**options: Any) -> Any:
    """Return a compiled graph that answers each message and counts its turns."""
    return StateGraph(Talk).add_node(reply).add_edge(START, "reply").compile(**options)


def on(thread: str, **more: Any) -> dict[str, Any]:
    """Return the config of a thread."""
    return {"configurable": {"thread_id": thread, **more}}


def texts(state: Any) -> list[str]:
    """Return what was said, from a snapshot or from an output."""
    values = state if isinstance(state, dict) else state.values
    return [message.content for message in values.get("messages", [])]


def connection_of(persistence: Persistence) -> sqlite3.Connection:
    """Return the connection under an SQLite place, to break it."""
    connection = persistence.checkpointer.conn  # type: ignore[attr-defined]  # the stock saver's own
    assert isinstance(connection, sqlite3.Connection)
    return connection


@contextmanager
def fresh_url(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty place; a PostgreSQL schema is dropped afterwards. Skips where no server answers."""
    if kind == "postgres":
        with fresh_schema() as url:
            yield url
    else:
        yield "memory:" if kind == "memory" else f"sqlite:///{folder / 'runs.db'}"


@contextmanager
def fresh_schema() -> Iterator[str]:
    """Yield the URL of a new PostgreSQL schema."""
    psycopg = pytest.importorskip("psycopg")
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        pytest.skip(f"no PostgreSQL at {POSTGRES}; set ORCHESTRA_TEST_POSTGRES")
    schema = f"orchestra_{uuid.uuid4().hex[:12]}"
    with server:
        server.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"{POSTGRES}{'&' if '?' in POSTGRES else '?'}options={quote(f'-csearch_path={schema}')}"
        finally:
            server.execute(f"DROP SCHEMA {schema} CASCADE")
