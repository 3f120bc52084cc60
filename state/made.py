"""Of what a pattern was built: which `build` was called with what, so that a graph can be written out again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")


@dataclass(frozen=True)
class Made:
    """How a builder was made.

    Args:
        pattern: Name of the pattern's file.
        arguments: What its `build` was called with, by name; not what was left out.
        source: What it was read from, if it was: a team file.
    """

    pattern: str
    arguments: Mapping[str, Any]
    source: Any = None


class _Builder(Protocol):
    made: Made | None


BuilderT = TypeVar("BuilderT", bound=_Builder)


def remembered(build: Callable[P, BuilderT]) -> Callable[P, BuilderT]:
    """Return a pattern's `build` that notes with the builder of what it was made."""
    pattern, signature = Path(build.__code__.co_filename).stem, inspect.signature(build)

    @wraps(build)
    def noted(*args: P.args, **kwargs: P.kwargs) -> BuilderT:
        builder = build(*args, **kwargs)
        builder.made = Made(pattern, dict(signature.bind(*args, **kwargs).arguments))
        return builder

    return noted
