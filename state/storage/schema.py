"""Our own tables, beside those of LangGraph's savers and stores."""

# ruff: noqa: S608 - table names are our own constants, and every value is a parameter

from __future__ import annotations

from state.storage import audit, grants, ledger, records, requests, signals
from state.storage.place import Execute

SCHEMA = (*records.SCHEMA, *ledger.SCHEMA, *requests.SCHEMA, *signals.SCHEMA, *audit.SCHEMA, *grants.SCHEMA)
"""Statements that make the tables, with `{counter}` for the database's own self-increasing key."""

TABLES = (*records.TABLES, *ledger.TABLES, *requests.TABLES, *signals.TABLES)
"""Names of the tables whose rows go with their thread. Each has a `thread_id`."""

LASTING = (*audit.TABLES, *grants.TABLES)
"""Names of the tables whose rows outlive their thread: they hold no contents."""


def forget(execute: Execute, thread: str) -> None:
    """Delete all that our tables hold of a thread, in the caller's transaction, but what `LASTING` says."""
    for table in TABLES:
        execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread,))
