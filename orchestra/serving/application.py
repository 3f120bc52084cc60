"""The application that the server builds on: a project's own or an empty one, behind the door."""

from __future__ import annotations

from contextvars import ContextVar
from importlib import import_module, util
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from orchestra.serving.door import Door
from orchestra.serving.guards import through
from state.delivery import SHOWING
from state.errors import ConfigurationError

DOOR: ContextVar[Door] = ContextVar("DOOR")
"""The door of the server that is being started: the server imports `app` and passes it nothing."""
INNER_APP: ContextVar[str | None] = ContextVar("INNER_APP", default=None)
"""A served project's own application as `file.py:name` or `module:name`; it goes behind the door."""


def load_app(path: str) -> Starlette:
    """Return a project's own application.

    Raises:
        ConfigurationError: There is none.
    """
    place, _, name = path.rpartition(":")
    if place.endswith(".py"):
        spec = util.spec_from_file_location("served_app", place)
        if spec is None or spec.loader is None:
            raise ConfigurationError(f"http.app names {path!r}, and that file cannot be imported")
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = import_module(place)
    app = getattr(module, name, None)
    if not isinstance(app, Starlette):
        raise ConfigurationError(f"expected a Starlette or FastAPI application at {path!r} (http.app); got {app!r}")
    return app


class _Nothing(Starlette):
    """An application without routes. The server adds its own, which its API documentation describes better than we do."""

    @property
    def routes(self) -> list[BaseRoute]:
        return []


def open_app() -> Starlette:
    """Return the application that the server builds on: the project's own or an empty one, behind the door."""
    inner = INNER_APP.get()
    app = _Nothing() if inner is None else load_app(inner)
    app.user_middleware[:0] = through(DOOR.get())
    SHOWING.watch()
    return app


def __getattr__(name: str) -> Any:
    # The server looks an attribute up and calls nothing.
    if name == "app":
        return open_app()
    raise AttributeError(name)
