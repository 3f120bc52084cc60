"""A database that somebody else wrote: nothing in it is executed, and what is wrong is a typed error."""

from __future__ import annotations

import os
import pickle
import random
import resource
import sqlite3
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.types import Interrupt, Send

from graphs import single
from state import ConfigurationError, OrchestraError, PersistenceError, StorageCorrupt, open_persistence
from state.loop import run_sync
from state.storage.ledger import Ledger
from state.storage.requests import book_of
from state.storage.serde import StrictSerializer, _footer
from state.storage.signals import Signals
from storage import on, talk_graph

DANGEROUS = (
    "os.",
    "subprocess.",
    "pickle.",
    "socket.",
    "shutil.",
    "ctypes.",
    "code.",
    "pty.",
    "webbrowser.",
    "urllib.",
)
"""What audit events of code that does something begin with."""
HARMLESS = ("os.listdir", "os.scandir", "os.putenv", "os.fwalk", "os.walk")

_watched: list[str] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _watched is not None:
        if event.startswith(DANGEROUS) and event not in HARMLESS:
            _watched.append(event)
        elif event == "import" and str(args[0]).startswith("hostile_canary"):
            _watched.append(f"import {args[0]}")


@pytest.fixture(scope="module")
def hook() -> None:
    sys.addaudithook(_watch)  # stays for good, and does nothing unless it watches


@contextmanager
def watched(hook: None) -> Iterator[list[str]]:
    """Give a list of what was done within that no decoding of data has to do."""
    global _watched
    seen: list[str] = []
    _watched = seen
    try:
        yield seen
    finally:
        _watched = None


class Runs:
    """A pickle that runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def ext(code: int, value: Any) -> bytes:
    """Return msgpack of an extension: how the library writes objects."""
    data = value if isinstance(value, bytes) else ormsgpack.packb(value)
    return b"\xc9" + struct.pack(">I", len(data)) + bytes([code]) + data


CALLS = (
    ("os", "system", "touch executed"),
    ("builtins", "eval", "__import__('os').system('touch executed')"),
    ("builtins", "exec", "open('executed', 'w')"),
    ("subprocess", "Popen", ["touch", "executed"]),
    ("hostile_canary", "run", "x"),
    ("pickle", "loads", pickle.dumps(Runs())),
    ("langchain_core.load.load", "loads", "{}"),
    ("importlib", "import_module", "hostile_canary"),
    ("zoneinfo", "ZoneInfo", "../../../../etc/passwd"),
    ("langchain_core.messages.human", "HumanMessage", {"content": {"a": 1}}),
    ("pathlib", "Path", ["/etc"]),
    ("re", "compile", ["(" * 90, 0]),
)
VALUES: tuple[Any, ...] = (
    {"messages": [HumanMessage("hello"), AIMessage("hi", tool_calls=[{"name": "t", "args": {"a": [1]}, "id": "1"}])]},
    [ToolMessage("result", tool_call_id="1"), Send("node", {"a": 1}), Interrupt("why", id="i")],
    {"outcomes": [{"id": "a", "agent": "a", "usage": {"usd": 0.5}, "error": None}], "plan": {"a": {"b": ("c", 1)}}},
    {1, 2, 3},
    ["text", 2**40, -1, 1.5, None, True, b"bytes"],
)


def corpus() -> list[bytes]:
    """Return what is mutated: values as we write them, and what somebody may write who means harm."""
    sound = [StrictSerializer().dumps_typed(value)[1][:-8] for value in VALUES]
    forged = [ext(code, [*call, "run"]) for call in CALLS for code in range(8)]
    forged += [ext(code, [module, name, [value], "x"]) for module, name, value in CALLS for code in (1, 3)]
    forged += [ext(code, [module, name, {"cmd": value}, "x"]) for module, name, value in CALLS for code in (2, 4, 5)]
    bombs = [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
    bombs += [
        b"\x91" * 2_000,
        b"\x81\xc0" * 2_000,
        ext(6, ["S1000000000", [2**40], "C", b""]),
        ext(6, ["O", [1], "C", b"x" * 8]),
    ]
    return [*sound, *forged, *bombs, pickle.dumps(Runs()), b""]


def mutated(chance: random.Random, parts: list[bytes]) -> bytes:
    """Return a blob with flipped bits, cut, spliced with another, or with bytes put in."""
    blob = bytearray(chance.choice(parts))
    for _ in range(chance.randrange(0, 4)):
        at = chance.randrange(len(blob) + 1)
        match chance.randrange(5):
            case 0 if blob:
                blob[at % len(blob)] ^= 1 << chance.randrange(8)
            case 1:
                del blob[at:]
            case 2:
                other = chance.choice(parts)
                blob[at:] = other[chance.randrange(len(other) + 1) :]
            case 3:
                blob[at:at] = chance.choice(parts)[:300]
            case 4:
                blob[at : at + 1] = bytes([chance.choice((0xC9, 0xC7, 0xD4, 0xDD, 0xDF, 0xDB, 0x93, 0x81, 0xFF))])
    return bytes(blob[:20_000])


@pytest.mark.filterwarnings("ignore")  # of types that are not made
def test_a_hundred_thousand_hostile_values_execute_nothing_and_raise_typed_errors_only(
    hook: None, tmp_path: Path
) -> None:
    chance, parts, serde = random.Random(20261121), corpus(), StrictSerializer()
    kinds = ["msgpack"] * 12 + ["bytes", "bytearray", "json", "pickle", "null", "", "MSGPACK"]
    for part in parts:
        read(serde, "msgpack", part)  # imports what may be imported
    memory, slowest, refused = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0, 0
    with watched(hook) as seen:
        for _ in range(100_000):
            kind, blob = chance.choice(kinds), mutated(chance, parts)
            begun = time.perf_counter()
            refused += read(serde, kind, blob + _footer(blob) if chance.random() < 0.5 else blob)
            slowest = max(slowest, time.perf_counter() - begun)
    assert seen == []
    assert not Path("executed").exists()
    assert 20_000 < refused < 95_000
    assert slowest < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300_000  # kilobytes


def read(serde: StrictSerializer, kind: str, blob: bytes) -> bool:
    """Return whether a value was refused with the one error there is."""
    try:
        serde.loads_typed((kind, blob))
    except StorageCorrupt:
        return True
    return False


@pytest.mark.parametrize("code", range(8))
def test_objects_nested_without_end_are_refused_before_they_take_memory(code: int) -> None:
    blob = b"\xc0"
    while len(blob) < 100_000:
        blob = ext(code, blob)
    with pytest.raises(StorageCorrupt, match="nested more than 64"):
        StrictSerializer().loads_typed(("msgpack", blob))


def test_a_regular_expression_that_takes_long_to_compile_is_neither_read_nor_written() -> None:
    import re

    serde, bomb = StrictSerializer(), "[\x01-\U0010ffff]" * 20_000
    with pytest.raises(StorageCorrupt, match="regular expressions"):
        serde.loads_typed(("msgpack", ext(1, ["re", "compile", [bomb, int(re.I)]])))
    assert serde.loads_typed(serde.dumps_typed([re.compile("a+"), "compile"])) == [re.compile("a+"), "compile"]
    with pytest.raises(ConfigurationError, match="keep their texts"):
        serde.dumps_typed(re.compile("a" * 1_001))


JUNK: tuple[Any, ...] = (
    None,
    b"\x00\xff",
    "",
    "{",
    "[]",
    "null",
    "[" * 100_000,
    "9" * 5_000,
    '{"a": NaN}',
    '{"step": "x"}',
    17,
    1.5,
    float("inf"),
    "a\x00b",
    "\x1b[31m",
    pickle.dumps(Runs()),
    b"\xdd\xff\xff\xff\xff",
    2**62,
)


def used(path: Path) -> None:
    """Do with a database what is done with one, and let typed errors only be raised."""
    thread = "t"

    async def asked(place: Any) -> None:
        await (await book_of(place.checkpointer)).asked(thread)

    try:
        with open_persistence(path) as place:
            graph = talk_graph(checkpointer=place.checkpointer, store=place.store)
            intent = _intent(thread)
            steps = (
                lambda: graph.get_state(on(thread)),
                lambda: list(graph.get_state_history(on(thread))),
                lambda: graph.invoke({"messages": [("user", "again")]}, on(thread)),
                lambda: place.events(thread),
                lambda: place.records.recent(since=0.0),
                place.threads,
                lambda: place.thread(thread),
                lambda: place.lineage(thread),
                lambda: place.note_thread(thread, a=1),
                lambda: place.store.get(("a",), "k"),
                lambda: place.store.search(("a",)),
                lambda: Ledger(place._parts.place).find(intent),
                lambda: Signals(place._parts.place).guidance(thread, "turn"),
                lambda: run_sync(asked(place)),
                lambda: place.fork_thread(thread, "copy", at=place.lineage(thread)[-1].id),
                lambda: place.prune(keep_last=1),
                place.check,
            )
            for step in steps:
                try:
                    step()
                except (OrchestraError, IndexError):
                    continue
    except PersistenceError:
        return


def _intent(thread: str) -> Any:
    from state.effects import Intent

    return Intent(thread, "turn", "effect", "tool", {"a": 1})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a row in every table that is read."""
    path = tmp_path_factory.mktemp("sound") / "runs.db"
    with open_persistence(path) as place:
        graph = talk_graph(checkpointer=place.checkpointer, store=place.store)
        for text in ("one", "two", "three"):
            graph.invoke({"messages": [("user", text)]}, on("t"))
        place.note_thread("t", name="a name")
        place.record(
            [
                {
                    "kind": "noted",
                    "thread": "t",
                    "run": "r",
                    "agent": "a",
                    "step": "",
                    "parent": "",
                    "seq": 1,
                    "at": 1.0,
                    "data": {},
                }
            ]
        )
        place.store.put(("a",), "k", {"v": 1})
        ledger = Ledger(place._parts.place)
        ledger.begin(_intent("t"))
        ledger.settle(_intent("t"), {"content": "done"})
        Signals(place._parts.place).inject("t", "hello", "")
        with place._parts.place.transaction(write=True) as execute:
            execute("INSERT INTO orchestra_requests VALUES ('t', 'i', 1.0, '{}', '')", ())
    return path


@pytest.mark.filterwarnings("ignore")
def test_a_file_with_mutated_rows_executes_nothing_and_raises_typed_errors_only(
    hook: None, sound: Path, tmp_path: Path
) -> None:
    chance, path, parts = random.Random(7), tmp_path / "runs.db", corpus()
    with sqlite3.connect(sound) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            for name in tables
            if not name.startswith("sqlite_") and connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        }
    assert {"checkpoints", "writes", "store", "orchestra_events", "orchestra_effects", "orchestra_requests"} <= set(
        columns
    )
    whole = sound.read_bytes()
    with watched(hook) as seen:
        for table, names in columns.items():
            for column in names:
                for junk in chance.sample([*JUNK, mutated(chance, parts)], 1):
                    for file in tmp_path.glob("runs.db*"):
                        if file.is_file():
                            file.unlink()
                    path.write_bytes(whole)
                    connection = sqlite3.connect(path)
                    try:
                        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (junk,))
                        connection.commit()
                    except sqlite3.Error:
                        continue  # the table itself does not take it
                    finally:
                        connection.close()
                    used(path)
    bad = [
        event
        for event in seen
        if event.split(".")[0] in ("pickle", "subprocess", "socket", "ctypes") or "system" in event
    ]
    assert bad == []
    assert not Path("executed").exists()


def test_checkpoints_that_follow_each_other_in_a_ring_end_with_a_typed_error(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(sound.read_bytes())
    with sqlite3.connect(path) as connection:
        first, last = connection.execute("SELECT min(checkpoint_id), max(checkpoint_id) FROM checkpoints").fetchone()
        connection.execute("UPDATE checkpoints SET parent_checkpoint_id = ? WHERE checkpoint_id = ?", (last, first))
    connection.close()
    used(path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_everything_beside_a_run_is_readable_by_its_user_only(tmp_path: Path) -> None:
    old, modes = os.umask(0), {}
    try:
        with open_persistence(tmp_path / "runs.db") as place:

            async def look(task: str) -> str:
                modes.update({p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")})
                return "seen"

            graph = single.build(look).compile(checkpointer=place.checkpointer, name="g")
            config: Any = on("t")
            graph.invoke({"task": "look"}, config)
    finally:
        os.umask(old)
    assert {"runs.db", "runs.db-wal", "runs.db-shm", "runs.db.locks"} < set(modes)
    assert modes.pop("runs.db.locks") == 0o700
    assert set(modes.values()) == {0o600}
