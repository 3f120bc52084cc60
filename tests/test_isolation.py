"""Isolation: what is kept for one thread is never found by another, however alike their ids are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from cases import says
from graphs import single
from state import InvalidThreadId, ThreadBusy, open_persistence
from state.effects import Intent
from state.events import Event
from state.loop import run_sync
from state.persistence import Persistence
from state.requests import Asked
from state.storage.ledger import Ledger
from state.storage.locks import _lock_file, is_held, thread_held
from state.storage.requests import RequestTable
from state.storage.signals import Signals
from storage import fresh_url, on, talk_graph, texts

ODD = (
    "%",
    "_",
    "/",
    "|",
    "\\",
    "'",
    '"',
    ";",
    ":",
    ".",
    "*",
    "?",
    "[",
    "]",
    "-",
    "\n",
    "\t",
    "..",
    "é",
    "e\u0301",
    "İ",
    "ß",
    "ss",
    "ﬁ",
    "😀",
    "\u200b",
    "\ufeff",
    "\x01",
    "\x7f",
    "\u202e",
    "Ω",
    "Ω",
    "--",
    "' OR 1=1 --",
    "%%",
    "a",
    "A",
    "1",
    "01",
)
"""What databases, patterns, paths and alphabets give a meaning to, or take for the same."""


def pairs(count: int) -> list[tuple[str, str]]:
    """Return pairs of different ids that are alike."""
    chance, found = random.Random(5), list[tuple[str, str]]()
    while len(found) < count:
        first = "".join(chance.choice(ODD) for _ in range(chance.randrange(1, 8)))
        odd, at = chance.choice(ODD), chance.randrange(len(first) + 1)
        second = chance.choice(
            (
                first + odd,
                odd + first,
                first[:at] + odd + first[at:],
                first[:at] + odd + first[at + 1 :],
                first.swapcase(),
                first.replace("_", "%") + "_",
                first * 200,
                first + " ",
                " " + first,
            )
        )
        if first != second and first.strip() and second.strip():
            found.append((first, second))
    return found


PAIRS = pairs(10_000)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persistence]:
    with fresh_url(request.param, tmp_path) as url, open_persistence(url) as persistence:
        yield persistence


def test_ten_thousand_pairs_of_ids_share_nothing(tmp_path: Path) -> None:
    ids = {each for pair in PAIRS[:100] for each in pair}
    assert len(ids) * (len(ids) - 1) / 2 > 10_000  # each of them could be taken for any other
    with open_persistence(tmp_path / "runs.db") as place:
        share(place, PAIRS[:100])


def test_alike_ids_share_nothing_in_any_database(place: Persistence) -> None:
    share(place, PAIRS[100:130])


def share(place: Persistence, pairs: list[tuple[str, str]]) -> None:
    """Write for one of each pair, and read for all: what is found was written for the very id that is asked for."""
    parts = place._parts
    ledger, signals, requests = Ledger(parts.place), Signals(parts.place), RequestTable(parts.place)
    ids = sorted({each for pair in pairs for each in pair})
    written = {first for first, _ in pairs}
    fill(place, ledger, signals, requests, sorted(written))
    crossed = list[tuple[str, str]]()
    for each in ids:
        there = [each] if each in written else []
        config: Any = on(each)
        found = place.checkpointer.get_tuple(config)
        read = {
            "checkpoint": [found.checkpoint["channel_values"]["of"]] if found else [],
            "events": [event["data"]["of"] for event in place.events(each)],
            "facts": [known["of"]] if (known := place.thread(each)) and "of" in known else [],
            "ledger": [entry.result["of"]]
            if (entry := ledger.find(Intent(each, "turn", "effect", "tool", {})))
            else [],
            "signals": [one.text for one in signals.guidance(each, "turn")],
            "requests": [asked.about["of"] for asked in requests.asked(each).values()],
            "lineage": [each] if place.lineage(each) else [],
        }
        crossed += [(where, each) for where, what in read.items() if what != there]
    assert not crossed
    halts = {(halt.thread, halt.reason) for halt in signals.halts()}
    assert halts == {(each, each) for each in written}


def fill(place: Persistence, ledger: Ledger, signals: Signals, requests: RequestTable, ids: list[str]) -> None:
    for each in ids:
        config: Any = on(each, checkpoint_ns="")
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"], checkpoint["channel_versions"] = {"of": each}, {"of": 1}
        place.checkpointer.put(config, checkpoint, {"source": "input", "step": 1, "parents": {}}, {"of": 1})
        place.note_thread(each, of=each)
        intent = Intent(each, "turn", "effect", "tool", {})
        ledger.begin(intent)
        ledger.settle(intent, {"of": each})
        signals.inject(each, each, "")
        signals.halt(each, each)
        requests.decide(each, {"id": (Asked(1.0, {"of": each}), "late")})
    place.record(
        Event(kind="noted", run="", thread=each, agent="", step="", parent="", seq=1, at=1.0, data={"of": each})
        for each in ids
    )


def test_no_two_ids_have_one_lock_and_every_lock_is_in_its_folder(tmp_path: Path) -> None:
    ids = {each for pair in PAIRS for each in pair} | {"../../etc/passwd", "/etc/passwd", "x" * 100_000}
    database = str(tmp_path / "runs.db")
    files = {_lock_file(database, each) for each in ids}
    assert len(files) == len(ids)
    assert {file.parent for file in files} == {tmp_path / "runs.db.locks"}
    assert all(len(file.name) < 64 for file in files)


def test_a_thread_that_runs_holds_no_other(place: Persistence) -> None:
    async def look() -> None:
        for first, second in PAIRS[:15]:
            async with thread_held(place.checkpointer, first):
                assert not await is_held(place.checkpointer, second)
                assert await is_held(place.checkpointer, first)
        async with thread_held(place.checkpointer, "a"):
            with pytest.raises(ThreadBusy):
                async with thread_held(place.checkpointer, "a"):
                    pass

    run_sync(look())


def test_items_are_found_by_their_own_namespace_only(place: Persistence) -> None:
    names = sorted({each for pair in PAIRS[:100] for each in pair if "." not in each})
    for name in names:
        place.store.put(("threads", name), "key", {"of": name}, index=False)
    for name in names:
        item = place.store.get(("threads", name), "key")
        assert item is not None
        assert item.value == {"of": name}
        assert [found.value for found in place.store.search(("threads", name))] == [{"of": name}]


def test_conversations_of_alike_threads_go_on_apart(place: Persistence) -> None:
    graph = talk_graph(checkpointer=place.checkpointer)
    ids = ["a", "A", "a%", "a_", "ab", "a/b", "a|b", " a", "a ", "é", "e\u0301", "a" * 2_000]
    for each in ids * 2:
        graph.invoke({"messages": [("user", f"I am {each!r}")]}, on(each))
    for each in ids:
        assert set(texts(graph.get_state(on(each)))[::2]) == {f"I am {each!r}"}
        assert graph.get_state(on(each)).values["turns"] == 2
    place.delete_thread("a")
    assert {each["thread"] for each in place.threads()} == set(ids) - {"a"}


@pytest.mark.parametrize(
    "wrong", ["", " ", "\n", None, 5, 5.0, True, b"a", ["a"], ("a",), {"a": 1}, "a\ud800", "\udfff", "a\x00b"]
)
def test_an_id_that_is_none_is_refused_at_every_door(wrong: Any, tmp_path: Path) -> None:
    with open_persistence(tmp_path / "runs.db") as place:
        saver = place.checkpointer
        graph = single.build(says("a", "hi")).compile(checkpointer=saver, name="g")
        place.note_thread("5", of="five")
        config: Any = on(wrong, checkpoint_ns="")
        doors = (
            lambda: graph.invoke({"task": "hi"}, config),
            lambda: graph.get_state(config),
            lambda: saver.get_tuple(config),
            lambda: list(saver.list(config)),
            lambda: saver.put(config, empty_checkpoint(), {}, {}),
            lambda: saver.put_writes(config, [("a", 1)], "task"),
            lambda: place.note_thread(wrong, a=1),
            lambda: place.events(wrong),
            lambda: place.thread(wrong),
            lambda: place.lineage(wrong),
            lambda: place.delete_thread(wrong),
            lambda: place.fork_thread(wrong, "to", at="x"),
            lambda: place.fork_thread("5", wrong, at="x"),
        )
        for door in doors:
            with pytest.raises(InvalidThreadId, match="thread id: expected a non-empty string"):
                door()
        assert [each["thread"] for each in place.threads()] == ["5"]
