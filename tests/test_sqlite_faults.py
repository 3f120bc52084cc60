"""What happens when the SQLite file is damaged, or fails under a run, or the process is killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import START, StateGraph

from state.errors import ConfigurationError, PersistenceError, StorageCorrupt, StorageUnavailable
from state.persistence import Persistence, open_persistence
from storage import Talk, connection_of, on, talk_graph, texts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def persistence(path: Path) -> Iterator[Persistence]:
    with open_persistence(f"sqlite:///{path}?timeout=0.05") as persistence:
        yield persistence


def empty(path: Path) -> None:
    os.truncate(path, 0)


def replace(path: Path) -> None:
    path.rename(path.with_name("away.db"))
    path.write_bytes(path.with_name("away.db").read_bytes())


@pytest.mark.parametrize(
    ("damage", "fault"), [(empty, StorageCorrupt), (Path.unlink, StorageUnavailable), (replace, StorageUnavailable)]
)
def test_a_file_that_changes_under_a_run_stops_it(
    persistence: Persistence, path: Path, damage: Callable[[Path], None], fault: type[PersistenceError]
) -> None:
    expect_a_stop(persistence, lambda: damage(path), fault)


def test_flipped_bits_in_the_file_are_noticed_or_harmless(path: Path, tmp_path: Path) -> None:
    with open_persistence(path) as persistence:
        graph = talk_graph(checkpointer=persistence.checkpointer)
        for turn in range(5):
            graph.invoke({"messages": [f"question {turn}"]}, on("t"))
        said = texts(graph.get_state(on("t")))
    whole, chance = path.read_bytes(), random.Random(3)
    refused = 0
    for number in range(240):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        copy = tmp_path / f"{number}.db"
        copy.write_bytes(damaged)
        try:
            with open_persistence(copy) as persistence:
                state = talk_graph(checkpointer=persistence.checkpointer).get_state(on("t"))
            # A row whose key was hit may not be found; what is found is never another text, nor in another order.
            found = iter(said)
            assert all(text in found for text in texts(state))
        except PersistenceError as fault:
            assert str(copy) in str(fault)  # noqa: PT017 - most flips are harmless
            refused += 1
    assert refused > 5


def test_a_check_finds_an_index_that_does_not_agree_with_its_table(path: Path) -> None:
    with open_persistence(path) as persistence:
        talk_graph(checkpointer=persistence.checkpointer).invoke({"messages": ["hi"]}, on("a thread to look for"))
        persistence.check()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"a thread to look for", b"a thread to look f\xefr", 1))
    with open_persistence(path) as persistence, pytest.raises(StorageCorrupt, match="index"):
        persistence.check()


def exhaust(function: Callable[..., Iterator[object]], *args: object) -> int:
    return len(list(function(*args)))


GARBAGE: list[Any] = [None, 5, "text", b"", b"\x90", b"\xa1x", b"\x85", b"\x81\xa2id\x01", b"[1]", b"{}", b"\xff" * 50]


@pytest.mark.parametrize("column", ["checkpoint", "metadata", "type", "parent_checkpoint_id", "value"])
def test_whatever_stands_in_a_column_raises_typed_errors_only(path: Path, column: str) -> None:
    table = "writes" if column == "value" else "checkpoints"
    faults = 0
    for garbage in GARBAGE:
        path.unlink(missing_ok=True)
        with open_persistence(path) as persistence:
            graph = talk_graph(checkpointer=persistence.checkpointer)
            for _ in range(2):
                graph.invoke({"messages": ["hi"]}, on("t"))
            connection_of(persistence).execute(f"UPDATE {table} SET {column} = ?", (garbage,))
            reads: tuple[Callable[[], object], ...] = (
                partial(graph.get_state, on("t")),
                partial(exhaust, graph.get_state_history, on("t")),
                partial(graph.invoke, {"messages": ["more"]}, on("t")),
                persistence.threads,
                persistence.prune,
            )
            for read in reads:
                try:
                    read()
                except PersistenceError as fault:
                    assert (fault.location, bool(fault.remedy)) == (str(path), True)  # noqa: PT017 - some are harmless
                    faults += 1
                except ConfigurationError:  # decodes, and is not a message
                    faults += 1
    assert faults > 0


# Storage that fails under a run


def ten_nodes(
    persistence: Persistence,
    ran: list[int],
    before: Callable[[int], object] = lambda number: None,
    padding: str = "",
) -> Any:
    """Return a graph of ten nodes, which say that they ran, and call `before` at their start."""
    builder: Any = StateGraph(Talk)
    names = [f"node{number}" for number in range(10)]

    def node(number: int) -> Callable[[Talk], dict[str, Any]]:
        def run(state: Talk) -> dict[str, Any]:
            before(number)
            ran.append(number)
            return {"messages": [f"said by {number}{padding}"]}

        return run

    for number, name in enumerate(names):
        builder.add_node(name, node(number))
    for first, second in zip([START, *names], names, strict=False):
        builder.add_edge(first, second)
    return builder.compile(checkpointer=persistence.checkpointer)


def expect_a_stop(
    persistence: Persistence, fail: Callable[[], object], kind: type[PersistenceError], padding: str = ""
) -> PersistenceError:
    """Break the storage while the fourth node runs; no node may start after it."""
    ran: list[int] = []
    graph = ten_nodes(persistence, ran, lambda number: fail() if number == 3 else None, padding)
    with pytest.raises(kind) as caught:
        graph.invoke({"messages": ["go"]}, on("t"), durability="sync")
    assert ran == [0, 1, 2, 3]
    assert (caught.value.location, caught.value.thread) == (persistence.location, "t")
    assert caught.value.remedy
    return caught.value


def expect_nothing_lost(persistence: Persistence, padding: str = "") -> None:
    ran: list[int] = []
    out = ten_nodes(persistence, ran, padding=padding).invoke(None, on("t"), durability="sync")
    assert texts(out) == ["go", *(f"said by {number}{padding}" for number in range(10))]
    assert ran[0] in (3, 4)


def test_a_locked_file_stops_the_run_and_loses_nothing(persistence: Persistence, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        fault = expect_a_stop(persistence, lambda: other.execute("BEGIN IMMEDIATE"), StorageUnavailable)
    assert "locked" in str(fault)
    expect_nothing_lost(persistence)


def test_a_full_disk_stops_the_run_and_loses_nothing(persistence: Persistence) -> None:
    def fill() -> None:
        (pages,) = connection_of(persistence).execute("PRAGMA page_count").fetchone()
        connection_of(persistence).execute(f"PRAGMA max_page_count = {pages}")

    more_than_a_page = "." * 20_000
    fault = expect_a_stop(persistence, fill, StorageUnavailable, more_than_a_page)
    assert "full" in str(fault)
    connection_of(persistence).execute("PRAGMA max_page_count = 1000000")
    expect_nothing_lost(persistence, more_than_a_page)


def test_a_file_that_cannot_be_written_stops_the_run_and_loses_nothing(persistence: Persistence) -> None:
    def forbid() -> None:
        connection_of(persistence).execute("PRAGMA query_only = ON")

    fault = expect_a_stop(persistence, forbid, StorageUnavailable)
    assert "cannot be written" in str(fault)
    connection_of(persistence).execute("PRAGMA query_only = OFF")
    expect_nothing_lost(persistence)


def test_a_removed_file_that_is_put_back_has_lost_nothing(persistence: Persistence, path: Path) -> None:
    away = path.with_name("away.db")
    expect_a_stop(persistence, lambda: path.rename(away), StorageUnavailable)
    away.rename(path)
    expect_nothing_lost(persistence)


# Growth and crashes


def test_deleting_threads_gives_back_95_percent_of_their_space(persistence: Persistence, path: Path) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    graph.invoke({"messages": ["kept"]}, on("kept"))
    persistence.prune()
    least = path.stat().st_size
    for number in range(20):
        for _ in range(5):
            graph.invoke({"messages": ["x" * 2000]}, on(f"t{number}"))
    persistence.prune(keep_last=1000)
    most = path.stat().st_size
    persistence.delete_thread(*(f"t{number}" for number in range(20)))
    assert most - least > 300_000
    assert path.stat().st_size - least < 0.05 * (most - least)
    assert texts(graph.get_state(on("kept"))) == ["kept", "reply 0"]


def test_a_long_thread_takes_at_most_20_times_its_text(persistence: Persistence, path: Path) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for _ in range(150):
        graph.invoke({"messages": ["x" * 1000]}, on("t"))
    text = sum(map(len, texts(graph.get_state(on("t")))))
    persistence.close()
    assert path.stat().st_size < 20 * text


WRITER = """
import sys
sys.path[:0] = {paths!r}
from test_sqlite_faults import ten_nodes
from state.persistence import open_persistence
from storage import on

with open_persistence({file!r}) as persistence:
    graph = ten_nodes(persistence, [], before=lambda number: print(number, flush=True))
    for run in range(1000):
        graph.invoke({{"messages": ["go"]}}, on(f"run {{run}}"), durability="sync")
"""


@pytest.mark.parametrize("lines", [1, 23, 47])
def test_a_killed_process_leaves_a_file_that_opens_and_resumes(path: Path, lines: int) -> None:
    here = Path(__file__).parent
    script = WRITER.format(paths=[str(here), str(here.parent)], file=str(path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    with open_persistence(path) as persistence:
        graph = ten_nodes(persistence, [])
        threads = [each["thread"] for each in persistence.threads()]
        assert len(threads) >= lines // 10
        for thread in threads:
            out = graph.invoke(None, on(thread), durability="sync")
            assert texts(out) == ["go", *(f"said by {number}" for number in range(10))]
        persistence.check()
