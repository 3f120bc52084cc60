"""What a LangGraph server takes from here: graphs, and a checkpointer whose threads live where the command keeps its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple

from orchestra.commands.options import DEFAULT_DB
from orchestra.serving.threads import close_served_threads, open_served_threads
from orchestra.telemetry.environment import instrument_as_told
from state.errors import ConfigurationError
from state.persistence import open_persistence

if TYPE_CHECKING:
    from orchestra.serving.door import Door

DATABASE: ContextVar[str] = ContextVar("DATABASE", default=DEFAULT_DB)
"""Where threads are kept; `serve` says so, and plain `langgraph dev` has the default."""
CHECKPOINTER = "orchestra.serving.server.checkpointer"
FOLDER = Path(".langgraph_api")
"""Where the server keeps its list of threads and its memory, below the current folder. It reads them with `pickle`."""
PREFIXES = ("MOUNT_PREFIX", "LANGGRAPH_MOUNT_PREFIX")
RUNS_AT_ONCE = 10
MOST_ROWS = 2**31 - 1
"""Most checkpoints of one answer: more than that is no number for every database."""
STOP_LIMIT = 5
"""Seconds that open streams have to end in when the server stops."""


@asynccontextmanager
async def checkpointer() -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the database for as long as the server runs, and give its checkpointer.

    A graph of its own must not bring one: the server refuses to start.
    """
    await asyncio.to_thread(instrument_as_told)
    # In a thread, because resolving the path asks the file system, which the server forbids on its event loop.
    async with await asyncio.to_thread(open_persistence, DATABASE.get()) as persistence:
        threads = await open_served_threads(persistence)
        try:
            yield threads.noting(_reading_history(persistence.checkpointer))
        finally:
            close_served_threads()


def _reading_history(saver: BaseCheckpointSaver[Any]) -> BaseCheckpointSaver[Any]:
    """Return the same saver, which also reads its history by what the server hands on from a request as it came.

    That is a bare checkpoint as `before`, and any number as `limit`.
    """
    listing = saver.alist

    def alist(
        config: RunnableConfig | None, *, before: Any = None, limit: int | None = None, **rest: Any
    ) -> AsyncIterator[CheckpointTuple]:
        if before and "configurable" not in before:
            before = {"configurable": before}
        rows = None if limit is None else max(0, min(limit, MOST_ROWS))
        return listing(config, before=before or None, limit=rows, **rest)

    saver.alist = alist  # type: ignore[method-assign]  # of this one, which belongs to the server
    return saver


@dataclass(frozen=True)
class Project:
    """What is served.

    Args:
        source: Where it is described, for people.
        graphs: Graph by name, as `module:attribute`, `/path/file.py:attribute`, or a dictionary with such a `path`.
        checkpointer: Import path of its own, or None where threads go to the database of the command.
        env: Environment variables that its graphs want.
        folders: What Python has to find its modules in.
        more: The rest of its `langgraph.json` that the server knows: `http`, `auth`, `store`, `ui` and their like.
    """

    source: str
    graphs: Mapping[str, Any]
    checkpointer: Mapping[str, Any] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def installed_project() -> Project:
    """Return every pattern and team of the installed package."""
    from graphs.registry import REGISTRY

    graphs = {name: f"{entry.module}:graph" for name, entry in REGISTRY.items()}
    return Project("the patterns and teams of this package", graphs)


def read_project(file: Path) -> Project:
    """Return what a `langgraph.json` describes; paths in it are relative to its folder.

    Raises:
        ConfigurationError: It cannot be read, or cannot be served behind the door.
    """
    require_server()
    config, folder = _read_config(file), file.absolute().parent
    http = dict(config.get("http") or {})
    if http.get("mount_prefix"):
        raise ConfigurationError(f"{file}: http.mount_prefix puts routes in front of the door; remove it")
    if http.get("app"):
        if http.get("middleware_order") == "auth_first":
            raise ConfigurationError(f"{file}: http.middleware_order 'auth_first' goes around the door; remove it")
        http["app"] = _absolute(http["app"], folder)
    own = config.get("checkpointer")
    if own and str(own.get("path", "")).endswith(("orchestra/serving/server.py:checkpointer", CHECKPOINTER)):
        own = None
    elif own and own.get("path"):
        own = {**own, "path": _absolute(own["path"], folder)}
    more = {key: config.get(key) for key in ("auth", "store", "ui", "ui_config", "webhooks")}
    if more["auth"] and more["auth"].get("path"):
        more["auth"] = {**more["auth"], "path": _absolute(more["auth"]["path"], folder)}
    dependencies = [folder / each for each in config.get("dependencies", []) if str(each).startswith((".", "/"))]
    return Project(
        source=str(file),
        graphs={name: _graph(name, value, folder) for name, value in config["graphs"].items()},
        checkpointer=own,
        env=_environment(config.get("env"), folder),
        folders=tuple(dict.fromkeys(str(each.resolve()) for each in (folder, *dependencies) if each.is_dir())),
        more={**more, "http": http},
    )


def require_server() -> None:
    """Check that the server is installed.

    Raises:
        ConfigurationError: It is not; the message has the command.
    """
    if find_spec("langgraph_api") is None or find_spec("langgraph_runtime_inmem") is None:
        raise ConfigurationError("the server is not installed: pip install 'orchestra-agents[studio]'")


def serve(project: Project, door: Door, *, db: str, open_browser: bool = False) -> None:
    """Serve a project behind a door until the process is told to stop. Blocks; ends the process where it cannot start.

    Args:
        project: What is served.
        door: Who may come in, and where.
        db: Where threads are kept, unless the project brings a checkpointer of its own.
        open_browser: Show Studio once the server is up.
    """
    require_server()
    for name in PREFIXES:
        if os.environ.get(name) or project.env.get(name):
            raise ConfigurationError(f"{name} puts routes in front of the door; unset it")
    _prepare_folder()
    # It asks a package index for a newer version of itself when it starts, and greets with an address alone.
    os.environ.setdefault("LANGGRAPH_NO_VERSION_CHECK", "true")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from langgraph_api.cli import run_server  # type: ignore[import-untyped]  # it has no stubs

    from orchestra.serving import application

    logging.getLogger("langgraph_api.cli").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupt)
    sys.path[:0] = [folder for folder in project.folders if folder not in sys.path]
    http = dict(project.more.get("http") or {})
    for variable, value in ((DATABASE, db), (application.DOOR, door), (application.INNER_APP, http.get("app"))):
        variable.set(value)  # type: ignore[arg-type]  # each its own
    run_server(
        host=door.host,
        port=door.port,
        graphs=dict(project.graphs),
        n_jobs_per_worker=RUNS_AT_ONCE,
        open_browser=open_browser,
        env=dict(project.env),
        checkpointer=dict(project.checkpointer or {"path": CHECKPOINTER}),
        **{**project.more, "http": {**http, "app": "orchestra.serving.application:app", "cors": door.cors()}},
        timeout_graceful_shutdown=STOP_LIMIT,
    )


def _interrupt(number: int, frame: object) -> NoReturn:  # noqa: ARG001  # the signature of a handler
    raise KeyboardInterrupt


def _prepare_folder() -> None:
    """Make the server's folder for this user alone, before the server makes it for everyone."""
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        FOLDER.chmod(0o700)
        (FOLDER / "ui" / "public").mkdir(parents=True, exist_ok=True)  # without it every path below /ui is a 500
        ignore = FOLDER / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise ConfigurationError(
            f"the folder {str(FOLDER.absolute())!r} of the server cannot be made ({error.strerror}): "
            "go to a folder that you may write to"
        ) from None


def _read_config(file: Path) -> dict[str, Any]:
    import click
    from langgraph_cli.config import validate_config_file

    try:
        config: dict[str, Any] = validate_config_file(file)  # type: ignore[assignment]  # a TypedDict of the same keys
    except (click.UsageError, ValueError, OSError, TypeError, AttributeError) as error:
        text = error.message if isinstance(error, click.UsageError) else str(error)
        raise ConfigurationError(f"{file} is no langgraph.json that can be served: {text}") from None
    if not config.get("graphs"):
        raise ConfigurationError(f"{file} names no graphs: expected {{'graphs': {{'name': './file.py:graph'}}}}")
    if config.get("node_version"):
        raise ConfigurationError(f"{file} is about JavaScript graphs (node_version); only Python ones are served here")
    return config


def _absolute(path: str, folder: Path) -> str:
    place, colon, name = path.rpartition(":")
    return f"{(folder / place).resolve()}{colon}{name}" if "/" in place or place.endswith(".py") else path


def _graph(name: str, value: Any, folder: Path) -> Any:
    path = _absolute(str(value.get("path", "") if isinstance(value, Mapping) else value), folder)
    place = path.rpartition(":")[0]
    if "/" in place and not Path(place).is_file():
        raise ConfigurationError(
            f"graph {name!r}: expected a file and a name in it, such as ./file.py:graph; got {path!r}, and there is no such file"
        )
    return {**value, "path": path} if isinstance(value, Mapping) else path


def _environment(given: object, folder: Path) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    if not given or not (folder / str(given)).is_file():
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(folder / str(given)).items() if value is not None}
