"""Patterns: matches with their places, and no pattern that runs for long."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from langchain_core.tools import ToolException

from hostile import PATTERNS, within_the_limit
from state.errors import ConfigurationError
from tools.patterns import create_pattern_tool
from tools.rights import rights_of


@pytest.mark.parametrize("pattern", PATTERNS, ids=range(len(PATTERNS)))
def test_no_pattern_takes_long(pattern: str) -> None:
    said = ""
    with within_the_limit(), suppress(ToolException):
        said = create_pattern_tool().invoke({"pattern": pattern, "text": "a" * 5000 + " ab" * 100})
    assert len(said) <= 20_000


def test_matches_are_given_with_their_places_and_groups() -> None:
    said = create_pattern_tool().invoke({"pattern": r"(?P<name>\w+)=(\d+)", "text": "x\n a=1\nbb=22"})
    assert said.splitlines() == [
        "line 2, column 2: 'a=1', name='a', 2='1'",
        "line 3, column 1: 'bb=22', name='bb', 2='22'",
    ]
    assert create_pattern_tool().invoke({"pattern": "z", "text": "a"}) == "No match."


def test_of_many_matches_some_are_given() -> None:
    said = create_pattern_tool().invoke({"pattern": "a", "text": "a" * 1000}).splitlines()
    assert (len(said), said[-1]) == (101, "... and more")


def test_a_pattern_that_is_none_says_where_it_is_wrong() -> None:
    with pytest.raises(ToolException, match=r"Expected a regular expression .* missing \)"):
        create_pattern_tool().invoke({"pattern": "(a", "text": "a"})


def test_a_pattern_that_never_ends_says_so() -> None:
    with pytest.raises(ToolException, match=r"No result within 0.5 s"), within_the_limit():
        create_pattern_tool().invoke({"pattern": "(?:a{1,1000}){1,1000}c", "text": "a" * 5000})


def test_a_file_in_the_folder_is_searched_and_none_outside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "log.txt").write_text("ok\nERROR 42\n")
    (root / "way.txt").symlink_to("../outside.txt")
    (tmp_path / "outside.txt").write_text("ERROR 43")
    tool = create_pattern_tool(root)
    assert tool.invoke({"pattern": r"ERROR (\d+)", "path": "log.txt"}) == "line 2, column 1: 'ERROR 42', 1='42'"
    for path in ("way.txt", "../outside.txt"):
        with pytest.raises(ToolException):
            tool.invoke({"pattern": "ERROR", "path": path})


def test_it_needs_to_read_only_where_there_are_files(tmp_path: Path) -> None:
    assert rights_of(create_pattern_tool()) == frozenset()
    assert rights_of(create_pattern_tool(tmp_path)) == {"read"}
    with pytest.raises(ConfigurationError, match="expected a folder"):
        create_pattern_tool(tmp_path / "missing")
