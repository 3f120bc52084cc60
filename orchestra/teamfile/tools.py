"""Tools by name: what an agent of a team file names becomes what it can call."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool

from orchestra.teamfile.toolsets import (
    BARE,
    PARTS,
    CodeTools,
    CorpusTools,
    FileTools,
    McpTools,
    PatternTools,
    SqlTools,
    WebTools,
)
from orchestra.teamfile.wrong import did_you_mean
from state.errors import ConfigurationError

Tool = BaseTool | Callable[..., Any]
IMPORT = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def name_of_tool(tool: Tool) -> str:
    """Return the name that a model calls a tool by."""
    return tool.name if isinstance(tool, BaseTool) else getattr(tool, "__name__", type(tool).__name__)


def check_reference(reference: str, toolsets: Mapping[str, Any]) -> None:
    """Refuse a name of tools that means nothing. Imports nothing.

    Args:
        reference: As an agent has it: `docs`, `docs.search`, `package.module:name`.
        toolsets: What the file has under `tools`.

    Raises:
        ConfigurationError: Says what there is.
    """
    if ":" in reference:
        if IMPORT.fullmatch(reference) is None:
            raise ConfigurationError(f"tool {reference!r}: expected an import path like 'package.module:name'")
        return
    name, dot, part = reference.partition(".")
    kind = toolsets[name].use if name in toolsets else name
    if name not in toolsets and name not in PARTS:
        known = [*toolsets, *(f"{use}.{part}" for use in sorted(BARE) for part in PARTS[use])]
        remedy = f"{did_you_mean(reference, known)} (one of your own is named 'package.module:name')"
        raise ConfigurationError(f"no tool {reference!r}; {remedy}")
    if name not in toolsets and name not in BARE:
        setting = "database" if name == "sql" else "folder"
        remedy = f"add it under `tools:`, as `{name}: {{use: {name}, {setting}: ...}}`"
        raise ConfigurationError(f"tool {reference!r} needs settings; {remedy}")
    if dot and kind in PARTS and part not in PARTS[kind]:
        raise ConfigurationError(f"{name} has no tool {part!r}; {did_you_mean(part, PARTS[kind])}")
    settings = toolsets.get(name)
    for tool, switch in (("write", "write: true"), ("change", "changes: [TABLE]")):
        off = (isinstance(settings, FileTools) and not settings.write) or (
            isinstance(settings, SqlTools) and not settings.changes
        )
        if part == tool and off:
            raise ConfigurationError(f"tool {reference!r} is off; add `{switch}` to {name!r} under `tools:`")


def known_names(reference: str, toolsets: Mapping[str, Any]) -> list[str]:
    """Return the names of the tools that a reference means, as far as they are known without importing anything."""
    if ":" in reference:
        return [reference.rpartition(":")[2].rpartition(".")[2]]
    name, _, part = reference.partition(".")
    settings = toolsets.get(name)
    kind = settings.use if settings is not None else name
    if kind not in PARTS:
        return [part] if part else []
    parts = PARTS[kind]
    wanted = [part] if part else [one for one in parts if _is_on(one, settings)]
    return [parts[one] for one in wanted if one in parts]


def _is_on(part: str, settings: Any) -> bool:
    if isinstance(settings, FileTools):
        return part != "write" or settings.write
    if isinstance(settings, SqlTools):
        return part != "change" or bool(settings.changes)
    return True


@dataclass
class Toolbox:
    """The tools of one team file, each made once.

    Args:
        toolsets: What the file has under `tools`.
        folder: That its paths begin in.
    """

    toolsets: Mapping[str, Any]
    folder: Path
    made: dict[str, tuple[Tool, ...]] = field(default_factory=dict)

    def tools_of(self, reference: str) -> tuple[Tool, ...]:
        """Return the tools that a reference means.

        Raises:
            ConfigurationError: It means nothing, cannot be imported, or its settings cannot be used.
        """
        check_reference(reference, self.toolsets)
        if ":" in reference:
            return self._kept(reference, lambda: import_tools(reference, self.folder))
        name, _, part = reference.partition(".")
        settings = self.toolsets.get(name)
        kind = settings.use if settings is not None else name
        tools = self._kept(name, lambda: _made(name, kind, settings, self.folder))
        if not part:
            return tools
        wanted = PARTS.get(kind, {}).get(part, part)
        found = tuple(tool for tool in tools if name_of_tool(tool) == wanted)
        if not found:
            raise ConfigurationError(f"{name} has no tool {part!r}; {did_you_mean(part, map(name_of_tool, tools))}")
        return found

    def _kept(self, name: str, make: Callable[[], tuple[Tool, ...]]) -> tuple[Tool, ...]:
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


def _made(name: str, kind: str, settings: Any, folder: Path) -> tuple[Tool, ...]:
    """Return the tools of a toolset."""
    from orchestra.teamfile.servers import open_server

    makers: Mapping[str, Callable[[Any, Path], Sequence[Tool]]] = {
        "corpus": _corpus,
        "files": _files,
        "web": _web,
        "sql": _sql,
        "code": _code,
        "pattern": _pattern,
    }
    if isinstance(settings, McpTools):
        return tuple(open_server(name, settings, folder))
    return tuple(makers[kind](settings, folder))


def _corpus(settings: CorpusTools | None, folder: Path) -> Sequence[Tool]:
    from tools.corpora import corpus_of
    from tools.corpus_tools import create_corpus_tools

    if settings is None or settings.folder is None:
        return create_corpus_tools()
    return create_corpus_tools(corpus_of({"corpus": str(folder / settings.folder)}))


def _files(settings: FileTools, folder: Path) -> Sequence[Tool]:
    from tools.files import create_file_tools

    return create_file_tools(folder / settings.folder, read_only=not settings.write, hidden=settings.hidden)


def _web(settings: WebTools | None, folder: Path) -> Sequence[Tool]:  # noqa: ARG001  # makers share one signature
    from tools.web import create_fetch_tool

    return [create_fetch_tool(**_given(settings, "allow_hosts", "only_hosts", "deny_hosts", "seconds"))]


def _sql(settings: SqlTools, folder: Path) -> Sequence[Tool]:
    from tools.sql import create_sql_tools, create_sql_write_tool

    database = folder / settings.database
    tools: list[Tool] = [*create_sql_tools(database, **_given(settings, "tables", "most_rows", "seconds"))]
    if settings.changes:
        reads: dict[str, Any] = {"reads": settings.tables} if settings.tables is not None else {}
        tools.append(create_sql_write_tool(database, tables=settings.changes, **reads, **_given(settings, "seconds")))
    return tools


def _code(settings: CodeTools, folder: Path) -> Sequence[Tool]:
    from tools.code import create_code_tools
    from tools.sandbox import Limits

    limits = Limits(seconds=settings.seconds) if settings.seconds is not None else None
    return create_code_tools(folder / settings.folder, limits=limits, image=settings.image)


def _pattern(settings: PatternTools | None, folder: Path) -> Sequence[Tool]:
    from tools.patterns import create_pattern_tool

    if settings is None or settings.folder is None:
        return [create_pattern_tool()]
    return [create_pattern_tool(folder / settings.folder, hidden=settings.hidden)]


def _given(settings: Any, *names: str) -> dict[str, Any]:
    """Return those of the settings that the file has."""
    if settings is None:
        return {}
    return {name: value for name in names if (value := getattr(settings, name)) not in (None, ())}


def import_tools(reference: str, folder: Path) -> tuple[Tool, ...]:
    """Return the tool, or the list of tools, that an import path names. Imports its module, which runs it.

    Args:
        reference: `package.module:name`.
        folder: Where modules are looked for after all that is installed.

    Raises:
        ConfigurationError: There is none, or it is nothing that can be a tool.
    """
    module_name, _, path = reference.partition(":")
    with _importable(folder):
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not module_name.startswith(error.name):
                raise ConfigurationError(f"tool {reference!r}: its module needs {error.name!r}; install it") from error
            where = f"it is neither installed nor in {str(folder)!r}"
            raise ConfigurationError(f"tool {reference!r}: no module {error.name!r}; {where}") from None
        except (Exception, SystemExit) as error:  # whatever somebody's module does when it is imported
            said = f"{type(error).__name__}: {error}"
            raise ConfigurationError(f"tool {reference!r}: its module cannot be imported: {said}") from error
    place = getattr(found, "__file__", None) or "no file"
    for name in path.split("."):
        if not hasattr(found, name):
            remedy = did_you_mean(name, [one for one in dir(found) if not one.startswith("_")][:50])
            raise ConfigurationError(f"tool {reference!r}: {module_name} ({place}) has no {name!r}; {remedy}")
        found = getattr(found, name)
    tools = tuple(found) if isinstance(found, list | tuple) else (found,)
    for tool in tools:
        if isinstance(tool, type) or not (isinstance(tool, BaseTool) or callable(tool)):
            raise ConfigurationError(f"tool {reference!r}: expected a tool, a function or a list of them, got {tool!r}")
    return tools


def is_installed(module: str) -> bool:
    """Whether a module can be imported without a folder of its own being looked into. Imports nothing."""
    top = module.partition(".")[0]
    return any(find(top, None) is not None for one in sys.meta_path if (find := getattr(one, "find_spec", None)))


def lies_in(folder: Path, module: str) -> bool:
    """Whether a module lies in a folder. Imports nothing."""
    return PathFinder.find_spec(module.partition(".")[0], [str(folder)]) is not None


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Look for modules in a folder too, after everything else: nothing there takes the place of what is installed."""
    path = str(folder)
    added = path not in sys.path
    if added:
        sys.path.append(path)
    try:
        yield
    finally:
        if added and path in sys.path:
            sys.path.remove(path)
