"""Marks of tools: those that change the world, those that a person has to agree to, and those whose results may be kept.

Marking a tool does nothing by itself: the agent step reads the marks where the tool executes, so they hold however the call came
about. An effect goes through a ledger: intent, call, recorded result. The same call in the same turn of a thread is carried out
once, whatever is killed, retried, resumed or handed to somebody else in between; its recorded result is given again.

    @effect(transactional=True)
    def refund(order: int, cents: int) -> str:
        \"\"\"Pay an order back.\"\"\"
        with connect() as database:
            return once(database, lambda: _refund(database, order, cents))
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType
from typing import Any, overload
from uuid import uuid4

from langchain_core.tools import BaseTool

from state.errors import ConfigurationError
from tools.marks import Effect, Key, Reconcile, When, marked_as


@overload
def effect(
    tool: BaseTool | Callable[..., Any],
    *,
    key: Key | None = ...,
    transactional: bool = ...,
    reconcile: Reconcile | None = ...,
) -> BaseTool: ...
@overload
def effect(
    *, key: Key | None = ..., transactional: bool = ..., reconcile: Reconcile | None = ...
) -> Callable[[BaseTool | Callable[..., Any]], BaseTool]: ...
def effect(
    tool: BaseTool | Callable[..., Any] | None = None,
    *,
    key: Key | None = None,
    transactional: bool = False,
    reconcile: Reconcile | None = None,
) -> Any:
    """Mark a tool that changes the world: in one turn of a thread the same call is carried out once.

    A tool that raises `ToolException` says that it changed nothing, and may be called again. After any other error, a timeout
    or a crash it is in doubt whether the effect happened. The call is then never repeated silently: a transactional tool is
    asked again under the same key, `reconcile` is asked, or else a person is.

    Args:
        tool: A LangChain tool or a function; without it, a decorator is returned.
        key: What tells two effects of a turn apart; all arguments by default. Two mails that read the same need an argument
            that differs, or they are one.
        transactional: The tool commits what it changes through `once`, together with its key; calling it again does nothing.
        reconcile: Called after a crash with those of `args` (all arguments as a mapping), `key` and the tool's arguments that it
            names, sync or async. It returns None or False when the effect did not happen, else what the tool would have
            returned. When it raises, a person is asked.

    Raises:
        ConfigurationError: It is neither a tool nor a function.
    """
    mark = Effect(key if callable(key) or key is None else tuple(key), transactional, reconcile)
    if isinstance(key, str):
        raise ConfigurationError(f"effect: expected key as a list of argument names or a function, got {key!r}")

    def marked(found: BaseTool | Callable[..., Any]) -> BaseTool:
        return marked_as(found, effect=mark)

    return marked if tool is None else marked(tool)


@overload
def requires_approval(tool: BaseTool | Callable[..., Any], *, when: When | None = ...) -> BaseTool: ...
@overload
def requires_approval(*, when: When | None = ...) -> Callable[[BaseTool | Callable[..., Any]], BaseTool]: ...
def requires_approval(tool: BaseTool | Callable[..., Any] | None = None, *, when: When | None = None) -> Any:
    """Mark a tool that a person has to agree to, call by call: the run pauses and shows the arguments.

    Args:
        tool: A LangChain tool or a function; without it, a decorator is returned.
        when: Whether a call needs approval, from its arguments; every call by default. A function that raises means yes. It runs
            on the run's event loop, so it may only look: no I/O.

    Raises:
        ConfigurationError: It is neither a tool nor a function.
    """

    def marked(found: BaseTool | Callable[..., Any]) -> BaseTool:
        return marked_as(found, approval=when or _always)

    return marked if tool is None else marked(tool)


@overload
def cached(tool: BaseTool | Callable[..., Any], *, seconds: float = ...) -> BaseTool: ...
@overload
def cached(*, seconds: float = ...) -> Callable[[BaseTool | Callable[..., Any]], BaseTool]: ...
def cached(tool: BaseTool | Callable[..., Any] | None = None, *, seconds: float = 3600.0) -> Any:
    """Mark a tool whose result depends on its arguments alone: for a while the same call gives the same, without calling it.

    Results are shared by all agents and threads that have the same store; without a store, by the process. Errors are not kept.
    A function of a module is known again by other processes; what was made while the program ran, such as a function within a
    function, answers for nobody but itself.

    Args:
        tool: A LangChain tool or a function; without it, a decorator is returned.
        seconds: For how long a result may be given again.

    Raises:
        ConfigurationError: It is neither a tool nor a function, or it changes the world.
    """
    if seconds <= 0:
        raise ConfigurationError(f"cached: expected seconds above 0, got {seconds!r}")

    def marked(found: BaseTool | Callable[..., Any]) -> BaseTool:
        return marked_as(found, cached=seconds, kept_as=_identity(found))

    return marked if tool is None else marked(tool)


def _identity(tool: BaseTool | Callable[..., Any]) -> str:
    """Return what tells a tool from others of its name."""
    function = tool
    if isinstance(tool, BaseTool):
        function = getattr(tool, "func", None) or getattr(tool, "coroutine", None) or tool
    if isinstance(function, FunctionType) and "<" not in function.__qualname__ and function.__closure__ is None:
        code = function.__code__
        return (
            f"{code.co_filename if function.__module__ == '__main__' else function.__module__}:{function.__qualname__}"
        )
    return uuid4().hex


def _always(arguments: Mapping[str, Any]) -> bool:  # noqa: ARG001  # the shared signature
    return True


_current: ContextVar[str] = ContextVar("orchestra_effect")


def effect_key() -> str:
    """Return the key of the effect that is being carried out, for a service that takes an idempotency key.

    It is the same at every retry and after every resume, and differs between threads, turns, tools and arguments.

    Raises:
        ConfigurationError: No effect is being carried out here.
    """
    try:
        return _current.get()
    except LookupError:
        raise ConfigurationError(
            "effect_key: only a tool marked with `effect` has one, while an agent calls it"
        ) from None


@contextmanager
def carrying_out(key: str) -> Iterator[None]:
    """Make a key the one of the effect that is carried out within."""
    token = _current.set(key)
    try:
        yield
    finally:
        _current.reset(token)


def once(connection: Any, work: Callable[[], Any]) -> Any:
    """Do a piece of work in one transaction together with its key, or return what it gave when it was done before.

    Args:
        connection: Of the tool's own database, not in a transaction: of `sqlite3`, or of a driver with `%s` such as psycopg. A
            table `orchestra_effects` is made in it.
        work: Changes that database through the same connection, commits nothing itself, and returns plain JSON.

    Raises:
        ConfigurationError: No effect is being carried out here.
        Exception: Whatever `work` raises; nothing is changed then.
    """
    key, hole = effect_key(), "?" if isinstance(connection, sqlite3.Connection) else "%s"
    cursor = connection.cursor()
    if isinstance(connection, sqlite3.Connection):
        cursor.execute("BEGIN IMMEDIATE")  # else two processes could both find nothing
    try:
        cursor.execute("CREATE TABLE IF NOT EXISTS orchestra_effects (key TEXT PRIMARY KEY, result TEXT NOT NULL)")
        cursor.execute(f"SELECT result FROM orchestra_effects WHERE key = {hole}", (key,))  # noqa: S608  # a constant
        row = cursor.fetchone()
        if row is not None:
            connection.rollback()
            return json.loads(row[0] if not isinstance(row, Mapping) else row["result"])
        result = work()
        text = json.dumps(result, ensure_ascii=False, default=str)
        cursor.execute(f"INSERT INTO orchestra_effects VALUES ({hole}, {hole})", (key, text))  # noqa: S608  # likewise
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return result
