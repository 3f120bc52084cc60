"""Patterns: a tool that finds where a regular expression occurs, in a text or in a file, and cannot be made to run for long."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field

from tools.errand import run_errand
from tools.folder import Folder, open_folder, read_text
from tools.rights import needs

SECONDS = 0.5
"""For one search."""
_LONGEST_PATTERN = 1_000
_LONGEST_TEXT = 1_000_000
_MOST_SAID = 20_000


class _TextArguments(BaseModel):
    pattern: str = Field(
        description=r"A regular expression in the syntax of Python, such as '(?m)^total: (?P<cents>\d+)$'."
    )
    text: str = Field(description="The text to look through.")


class _FileArguments(BaseModel):
    pattern: str = Field(
        description=r"A regular expression in the syntax of Python, such as '(?m)^total: (?P<cents>\d+)$'."
    )
    path: str = Field(description="Path of the file to look through, relative to the folder, with / between names.")


def create_pattern_tool(root: str | Path | None = None, *, hidden: bool = False) -> BaseTool:
    """Create the tool `find_pattern`, for text that the model gives or, with a folder, for files in it.

    Args:
        root: The folder of the files; without it, the text is an argument.
        hidden: Whether names that begin with a dot can be used.

    Raises:
        ConfigurationError: It is no folder.
    """
    return _for_text() if root is None else _for_files(open_folder(root, hidden=hidden))


def _for_text() -> BaseTool:
    def find_pattern(pattern: str, text: str) -> str:
        return _found(pattern, text)

    description = "Find where a regular expression occurs in a text. Returns line, column, match and groups."
    return needs()(StructuredTool.from_function(find_pattern, args_schema=_TextArguments, description=description))


def _for_files(folder: Folder) -> BaseTool:
    def find_pattern(pattern: str, path: str) -> str:
        return _found(pattern, read_text(folder, path, 4 * _LONGEST_TEXT))

    description = "Find where a regular expression occurs in a file. Returns line, column, match and groups."
    return needs("read")(
        StructuredTool.from_function(find_pattern, args_schema=_FileArguments, description=description)
    )


def _found(pattern: str, text: str) -> str:
    """Say where a pattern occurs.

    Raises:
        ToolException: It is no pattern, too long, or takes too long.
    """
    for what, each, most in (("pattern", pattern, _LONGEST_PATTERN), ("text", text, _LONGEST_TEXT)):
        if len(each) > most:
            raise ToolException(f"Expected a {what} of at most {most} characters, got {len(each)}.")
    given = {"pattern": pattern, "text": text, "seconds": SECONDS}
    found = run_errand("tools.matching:find_matches", given, seconds=SECONDS)
    lines = [_line(match) for match in found["matches"]]
    more = ["... and more"] if found["more"] else []
    return "\n".join([*lines, *more])[:_MOST_SAID] or "No match."


def _line(match: Mapping[str, Any]) -> str:
    groups = "".join(f", {name}={text!r}" for name, text in match["groups"].items())
    return f"line {match['line']}, column {match['column']}: {match['text']!r}{groups}"
