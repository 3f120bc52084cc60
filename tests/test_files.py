"""Files inside one folder: what the tools do, and that nothing leads out of the folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, ToolException

from hostile import PATHS, TOTAL, within_the_limit
from state.errors import ConfigurationError
from tools.files import MOST_LISTED, MOST_READ, create_file_tools
from tools.lookup import MOST_FOUND
from tools.rights import rights_of

SECRET = "the secret outside"


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """Lay out a folder with every way out that a file system has, and a secret outside of it."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a").mkdir()
    (tmp_path / "outside.txt").write_text(SECRET)
    (root / "notes.txt").write_text("one\ntwo\nthree\n")
    (root / ".env").write_text(SECRET)
    links = {"link.txt": "../outside.txt", "linked": "..", "sub/link.txt": "../../outside.txt", "sub/up": "../.."}
    links |= {"loop": "loop", "dangling": "../made.txt", "proc": "/proc", "rootlink": "/"}
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    os.mkfifo(root / "sub" / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket is at most 108 bytes
        listening.bind("socket")
        os.chdir(here)
        yield root


def by_name(root: Path, **options: object) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in create_file_tools(root, **options)}  # type: ignore[arg-type]


def outside(trap: Path) -> dict[str, str]:
    """Return what is outside of the folder, so that any change shows."""
    return {str(path): path.read_text() for path in trap.parent.iterdir() if path != trap}


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_no_path_leads_out_of_the_folder(trap: Path, path: str) -> None:
    before = outside(trap)
    arguments: dict[str, dict[str, Any]] = {
        "find_text": {"text": "secret"},
        "write_file": {"content": "escaped", "overwrite": True},
    }
    for name, tool in by_name(trap).items():
        said = ""
        with within_the_limit(), suppress(ToolException):
            said = tool.invoke({"path": path, **arguments.get(name, {})})
        assert SECRET not in said
        assert "root:x:" not in said
    assert outside(trap) == before
    assert (trap / ".env").read_text() == SECRET


def test_a_folder_that_is_swapped_for_a_link_while_it_is_walked_does_not_lead_out(
    trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trap / "sub" / "outside.txt").write_text("inside")
    opened = os.open

    def swapping(path: object, *args: object, **options: object) -> int:
        if path == "outside.txt" and (trap / "sub").is_dir() and not (trap / "sub").is_symlink():
            (trap / "sub").rename(trap / "moved")
            (trap / "sub").symlink_to("..")
        return opened(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", swapping)
    monkeypatch.setattr(os, "supports_dir_fd", {swapping})
    read = by_name(trap)["read_file"]
    assert read.invoke({"path": "sub/outside.txt"}).endswith("inside")
    with pytest.raises(ToolException, match="no folder, or a link"):
        read.invoke({"path": "sub/outside.txt"})


def test_a_file_that_is_swapped_for_a_link_after_the_look_at_it_is_not_followed(
    trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def swapping(path: object, *args: object, **options: object) -> int:
        if path == "notes.txt":
            (trap / "notes.txt").unlink()
            (trap / "notes.txt").symlink_to("../outside.txt")
        return opened(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", swapping)
    monkeypatch.setattr(os, "supports_dir_fd", {swapping})
    with pytest.raises(ToolException, match="links are not followed"):
        by_name(trap)["read_file"].invoke({"path": "notes.txt"})


def test_a_link_that_appears_while_a_file_is_written_is_replaced_and_not_written_through(
    trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = os.replace

    def swapping(source: str, target: str, **options: int) -> None:
        (trap / "new.txt").symlink_to("../outside.txt")
        replaced(source, target, **options)

    monkeypatch.setattr(os, "replace", swapping)
    by_name(trap)["write_file"].invoke({"path": "new.txt", "content": "x"})
    assert (trap.parent / "outside.txt").read_text() == SECRET
    assert (trap / "new.txt").read_text() == "x"
    assert not (trap / "new.txt").is_symlink()


def test_a_hard_link_is_read_and_what_is_written_in_its_place_leaves_the_other_name_alone(trap: Path) -> None:
    os.link(trap.parent / "outside.txt", trap / "hard.txt")
    tools = by_name(trap)
    assert SECRET in tools["read_file"].invoke({"path": "hard.txt"})
    tools["write_file"].invoke({"path": "hard.txt", "content": "x", "overwrite": True})
    assert (trap.parent / "outside.txt").read_text() == SECRET


def test_a_range_of_lines_is_read_and_says_where_it_stands(trap: Path) -> None:
    read = by_name(trap)["read_file"]
    assert read.invoke({"path": "notes.txt"}) == "notes.txt: lines 1 to 3 of 3\none\ntwo\nthree"
    assert read.invoke({"path": "./notes.txt", "first": 2, "lines": 1}) == "./notes.txt: lines 2 to 2 of 3\ntwo"
    with pytest.raises(ToolException, match="Expected first of at most 3"):
        read.invoke({"path": "notes.txt", "first": 4})
    with pytest.raises(ToolException, match="1 or more"):
        read.invoke({"path": "notes.txt", "lines": 0})


@pytest.mark.parametrize("line", [1, 2, 999, 40_000, 99_999, 100_000])
def test_any_line_of_a_long_file_is_found(tmp_path: Path, line: int) -> None:
    (tmp_path / "long.txt").write_text("".join(f"line {n}\n" for n in range(1, 100_001)))
    said = by_name(tmp_path)["read_file"].invoke({"path": "long.txt", "first": line, "lines": 1})
    assert said == f"long.txt: lines {line} to {line} of 100000\nline {line}"


def test_much_is_clipped_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "wide.txt").write_text("ä" * 100_000)
    said = by_name(tmp_path)["read_file"].invoke({"path": "wide.txt"})
    assert said.count("ä") == MOST_READ
    assert "cut in line 1" in said


def test_a_huge_file_is_read_up_to_a_limit_and_within_the_time(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.write(b"\n" * 10_000)
        file.truncate(1 << 40)
    tools = by_name(tmp_path)
    with within_the_limit():
        assert "of more than" in tools["read_file"].invoke({"path": "huge.txt", "first": 10_001})
    with within_the_limit():
        assert "Nothing contains" in tools["find_text"].invoke({"text": "x"})


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ToolException, match="binary"):
        by_name(tmp_path)["read_file"].invoke({"path": "program"})


def test_a_listing_shows_what_there_is_without_following_or_hidden_names(trap: Path) -> None:
    (trap / "odd\n\x1b[2J").write_text("")
    said = by_name(trap)["list_files"].invoke({}).splitlines()
    assert "notes.txt (14 bytes)" in said
    assert "sub/" in said
    assert "link.txt (link)" in said
    assert "fifo (device or pipe)" in said
    assert not [line for line in said if ".env" in line or "\x1b" in line]
    shown = by_name(trap, hidden=True)
    assert ".env" in shown["list_files"].invoke({})
    assert SECRET in shown["read_file"].invoke({"path": ".env"})


def test_a_folder_of_many_files_is_listed_in_part(tmp_path: Path) -> None:
    for number in range(MOST_LISTED + 10):
        (tmp_path / f"{number}.txt").touch()
    said = by_name(tmp_path)["list_files"].invoke({"path": ""}).splitlines()
    assert len(said) == MOST_LISTED + 1
    assert "and more" in said[-1]


def test_text_is_found_with_file_and_line_and_never_through_a_link(trap: Path) -> None:
    (trap / "sub" / "deep.md").write_text("a\nThe Straße is long\n")
    find = by_name(trap)["find_text"]
    assert find.invoke({"text": "Straße"}) == "sub/deep.md:2: The Straße is long"
    assert find.invoke({"text": "STRASSE", "path": "sub", "ignore_case": True}).startswith("sub/deep.md:2")
    assert find.invoke({"text": "two", "path": "notes.txt"}) == "notes.txt:2: two"
    assert find.invoke({"text": SECRET}).startswith("Nothing contains")
    (trap / "many.txt").write_text("two\n" * 1000)
    assert find.invoke({"text": "two"}).count("many.txt") == MOST_FOUND
    with pytest.raises(ToolException, match="1 to 1000 characters"):
        find.invoke({"text": ""})


def test_a_file_is_written_whole_with_the_folders_it_needs_and_not_over_another_unless_told(tmp_path: Path) -> None:
    write = by_name(tmp_path)["write_file"]
    assert write.invoke({"path": "new/deep/a.txt", "content": "ä"}) == "Wrote 2 bytes to new/deep/a.txt."
    write.invoke({"path": "new/deep/a.txt", "content": "ä"})  # the same once more is no other file
    with pytest.raises(ToolException, match="overwrite=true"):
        write.invoke({"path": "new/deep/a.txt", "content": "b"})
    (tmp_path / "new/deep/a.txt").chmod(0o750)
    write.invoke({"path": "new/deep/a.txt", "content": "b", "overwrite": True})
    assert (tmp_path / "new/deep/a.txt").read_text() == "b"
    assert (tmp_path / "new/deep/a.txt").stat().st_mode & 0o777 == 0o750
    assert [path.name for path in (tmp_path / "new/deep").iterdir()] == ["a.txt"]


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("old")

    def full(file: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ToolException, match="No space left"):
        by_name(tmp_path)["write_file"].invoke({"path": "a.txt", "content": "new", "overwrite": True})
    monkeypatch.undo()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old"}


def test_too_much_and_half_a_character_are_not_written(tmp_path: Path) -> None:
    write = by_name(tmp_path, most_written=10)["write_file"]
    for content, why in (("a" * 11, "at most 10 bytes"), ("\ud800", "surrogate")):
        with pytest.raises(ToolException, match=why):
            write.invoke({"path": "a.txt", "content": content})
    assert list(tmp_path.iterdir()) == []


def test_each_tool_says_what_it_needs_and_read_only_has_none_that_writes(tmp_path: Path) -> None:
    needed = {tool.name: rights_of(tool) for tool in create_file_tools(tmp_path)}
    assert needed.pop("write_file") == {"write"}
    assert needed == {name: {"read"} for name in ("list_files", "read_file", "find_text")}
    assert "write_file" not in by_name(tmp_path, read_only=True)


def test_a_root_that_is_no_folder_is_refused_when_the_tools_are_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in ("file", "missing"):
        with pytest.raises(ConfigurationError, match="expected a folder"):
            create_file_tools(tmp_path / root)
    with pytest.raises(ConfigurationError, match="most_written"):
        create_file_tools(tmp_path, most_written=-1)


def test_there_are_as_many_hostile_inputs_as_promised() -> None:
    assert TOTAL >= 200
