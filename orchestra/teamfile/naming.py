"""Names of tools that were made in Python: what a file would call them by, if it can."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from langchain_core.tools import BaseTool

from orchestra.teamfile.toolsets import PARTS


def reference_of(tool: Any) -> str | None:
    """Return what a file names a tool by: that of a ready one without settings, or where it can be imported from.

    None where it was made inside of a function, so that it cannot be found again.
    """
    function = tool
    if isinstance(tool, BaseTool):
        function = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
        if (ready := _ready(tool, function)) is not None:
            return ready
    module = getattr(inspect.unwrap(function), "__module__", None) if function is not None else type(tool).__module__
    for name in dict.fromkeys((str(module), *_modules_with(tool))):
        if (found := _in_module(tool, name)) is not None:
            return found
    return None


def _in_module(tool: Any, name: str) -> str | None:
    module = sys.modules.get(name)
    if module is None or name == "__main__":
        return None
    known = next((key for key, value in vars(module).items() if value is tool and key.isidentifier()), None)
    return f"{name}:{known}" if known is not None else None


def _modules_with(tool: Any) -> list[str]:
    """Return the modules that have a tool at their top, as far as they are loaded."""
    called = tool.name if isinstance(tool, BaseTool) else getattr(tool, "__name__", "")
    return [
        name
        for name, module in list(sys.modules.items())
        if called and getattr(module, "__dict__", {}).get(called) is tool
    ]


def _ready(tool: BaseTool, function: Any) -> str | None:
    """Return the name of one of our tools that has no settings: a file may name it without an entry under `tools`."""
    if getattr(inspect.unwrap(function), "__module__", "") != "tools.corpus_tools":
        return None
    chosen = inspect.getclosurevars(inspect.unwrap(function)).nonlocals.get("chosen")
    corpus = inspect.getclosurevars(chosen).nonlocals.get("corpus", chosen) if chosen is not None else tool
    part = next((part for part, name in PARTS["corpus"].items() if name == tool.name), None)
    return f"corpus.{part}" if corpus is None and part is not None else None
