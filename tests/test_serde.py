"""Stored values: damage is noticed, and hostile ones run nothing."""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import ormsgpack
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from state.errors import StorageCorrupt
from state.storage.serde import StrictSerializer

VALUES = (
    {"messages": [HumanMessage("question", id="1"), AIMessage("answer", id="2")], "plan": {"subtasks": [1, 2.5, None]}},
    _DeltaSnapshot([HumanMessage("kept", id="3")]),
    ["text", b"bytes", {"key": ("tuple", {1, 2})}],
)


def test_every_flipped_bit_of_a_stored_value_is_noticed() -> None:
    serde = StrictSerializer()
    kind, blob = serde.dumps_typed(VALUES[0])
    unnoticed = 0
    for bit in range(8 * len(blob)):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            value = serde.loads_typed((kind, bytes(flipped)))
        except StorageCorrupt:
            continue
        # A bit of the checksum's own mark: the value behind it is whole.
        assert value == VALUES[0]
        unnoticed += 1
    assert unnoticed <= 32


def test_hostile_values_run_no_code_and_raise_typed_errors_only() -> None:
    canary = Canary()
    serde, chance = StrictSerializer(), random.Random(14)
    seeds = [*hostile_blobs(), *(serde.dumps_typed(value) for value in VALUES)]
    # Without the checksum, too: whoever forges a value can also forge that.
    seeds += [(kind, blob[:-8]) for kind, blob in seeds if blob[-8:-4] == b"\xc1orc"]
    outcomes = {"read": 0, "refused": 0}
    with canary:
        for number in range(6000):
            kind, blob = seeds[number] if number < len(seeds) else mutated(*chance.choice(seeds), chance)
            try:
                serde.loads_typed((kind, blob))
                outcomes["read"] += 1
            except StorageCorrupt:
                outcomes["refused"] += 1
    assert canary.seen == []
    assert min(outcomes.values()) > 100, outcomes


def hostile_blobs() -> Iterator[tuple[str, bytes]]:
    """Yield values that would run code if they were constructed the way they ask for."""
    command = f"touch {os.devnull}"
    calls: list[tuple[int, Any]] = [
        (0, ("os", "system", command)),
        (1, ("os", "system", (command,))),
        (2, ("subprocess", "Popen", {"args": ["true"]})),
        (3, ("builtins", "eval", "__import__('os').system('true')", "__call__")),
        (3, ("pathlib", "Path", "x", "unlink")),
        (4, ("subprocess", "Popen", {"args": ["true"]})),
        (5, ("subprocess", "Popen", {"args": ["true"]}, "model_validate_json")),
        (0, ("builtins", "exec", "import os; os.system('true')")),
    ]
    for code, call in calls:
        inner = ormsgpack.Ext(code, ormsgpack.packb(call))
        yield "msgpack", ormsgpack.packb(inner)
        yield "msgpack", ormsgpack.packb({"channel_values": {"x": ormsgpack.Ext(7, ormsgpack.packb([inner]))}})
    deep = ormsgpack.packb(1)
    for _ in range(2000):
        deep = ormsgpack.packb(ormsgpack.Ext(7, deep))
    yield "msgpack", deep
    yield "pickle", pickle.dumps(Bomb())
    revived = {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": [command]}
    yield "json", json.dumps(revived).encode()


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def mutated(kind: str, blob: bytes, chance: random.Random) -> tuple[str, bytes]:
    damaged = bytearray(blob)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(damaged) + 1)
        match chance.randrange(4):
            case 0:
                damaged[at : at + 1] = chance.randbytes(1)
            case 1:
                damaged[at:at] = chance.randbytes(chance.randint(1, 8))
            case 2:
                del damaged[at : at + chance.randint(1, 8)]
            case _:
                damaged[at:] = damaged[at:][:: chance.choice((1, -1))]
    return chance.choice(("msgpack", "msgpack", "msgpack", "msgpack", "json", "pickle", kind)), bytes(damaged)


class Canary:
    """Sees every attempt to run something while it is entered."""

    # Not "exec": importing a module is one. What a value would run ends in one of these.
    EVENTS = ("os.", "subprocess.", "shutil.", "ctypes.", "socket.", "pickle.find_class")

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._thread = 0
        sys.addaudithook(self._hear)  # for good: an audit hook cannot be removed, but it only listens while entered

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._thread == threading.get_ident() and event.startswith(self.EVENTS) and event != "os.listdir":
            self.seen.append(event)

    def __enter__(self) -> None:
        self._thread = threading.get_ident()

    def __exit__(self, *error: object) -> None:
        self._thread = 0
