"""Audit: one record for each thing that was done, in a chain that shows whatever was changed afterwards."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import tool
from langgraph.types import Command, interrupt

from cases import says
from graphs import single
from nodes.auditing import audit, trail_in
from nodes.scripted import call, calls
from nodes.step import current_step
from orchestra.__main__ import command
from orchestra.commands.audit import KINDS as NAMED_KINDS
from orchestra.thread import config_of
from state import (
    ConfigurationError,
    PersistenceError,
    StorageCorrupt,
    StorageForeign,
    StorageUnavailable,
    open_persistence,
)
from state.audit import KINDS, Draft, Record, digest_of, hash_of, row_of, sealed
from state.chain import MemoryTrail, Verified, walked
from state.persistence import Persistence
from state.storage.audit import GUARDS, REFUSAL, trail_of
from storage import connection_of, fresh_url, on, talk_graph
from test_effects import saver_of

SAVERS = ("memory", "sqlite", "asyncsqlite", "postgres", "asyncpostgres", "ours", "ours-postgres")


@pytest.fixture(params=("memory", "sqlite", "postgres"))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persistence]:
    with fresh_url(request.param, tmp_path) as url, open_persistence(url) as persistence:
        yield persistence


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as persistence:
        yield persistence


def draft(number: int = 0, **more: Any) -> Draft:
    told: dict[str, Any] = {"kind": "effect", "subject": "pay", "outcome": "done", "thread": "t", "turn": "1", **more}
    return Draft(**{"key": f"call-{number}", **told})


def chain(length: int) -> list[tuple[Any, ...]]:
    """Return the rows of a chain."""
    trail = MemoryTrail()
    return [row_of(trail.append(draft(number, agent=f"agent {number % 3}"))) for number in range(length)]


def verified(rows: list[tuple[Any, ...]], head: str = "") -> Verified:
    return walked(rows, lambda sought: next((row[0] for row in rows if row[-1] == sought), None), head)


def found(rows: list[tuple[Any, ...]], head: str = "") -> list[tuple[int, str]]:
    return [(finding.seq, finding.kind) for finding in verified(rows, head).findings]


def orchestra(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, env={"COLUMNS": "80"})


# --- written once


@pytest.mark.parametrize("kind", SAVERS)
async def test_what_is_written_twice_is_one_record_beside_every_checkpointer(kind: str, tmp_path: Path) -> None:
    async with saver_of(kind, tmp_path) as saver:
        trail = await trail_of(saver)
        first, second = await trail.append(draft(1)), await trail.append(draft(2))
        assert await trail.append(draft(1, run="another", outcome="something else")) == first
        assert await trail.records() == [first, second]
        assert (second.seq, second.previous) == (2, first.hash)
        assert await trail.verify() == Verified(2, second.hash, [])


def test_the_same_key_in_another_thread_turn_or_kind_is_another_record(place: Persistence) -> None:
    drafts = [draft(), draft(thread="u"), draft(turn="2"), draft(kind="denial"), draft(key="b")]
    for each in [*drafts, *drafts]:
        place.trail.append(each)
    assert [record.seq for record in place.trail.records()] == [1, 2, 3, 4, 5]


def test_a_record_comes_back_as_it_was_written(place: Persistence) -> None:
    record = place.trail.append(
        draft(
            run="r",
            agent="ann",
            step="s",
            arguments=digest_of({"to": "x"}),
            names=("to",),
            taint=("mail",),
            detail="ok",
        )
    )
    assert place.trail.records() == [record]
    assert record.plain()["hash"] == hash_of(record.plain())
    assert list(record.plain())[:3] == ["seq", "at", "thread"]


def test_texts_that_no_database_holds_are_kept_without_what_it_does_not_hold(place: Persistence) -> None:
    odd = "a\x00b\ud800c\N{GRINNING FACE}'\n"
    record = place.trail.append(draft(thread=odd, subject=odd, detail=odd * 200, names=(odd,), key=odd * 50))
    assert place.trail.records() == [record]
    assert (record.thread, len(record.detail)) == ("a\ufffdb?c\N{GRINNING FACE}'\n", 300)
    assert not place.trail.verify().findings


def test_records_are_listed_by_thread_kind_and_number(place: Persistence) -> None:
    for number in range(6):
        place.trail.append(draft(number, thread="t" if number % 2 else "u", kind="denial" if number > 3 else "effect"))

    def numbers(**which: Any) -> list[int]:
        return [record.seq for record in place.trail.records(**which)]

    assert numbers(thread="t") == [2, 4, 6]
    assert numbers(kind="denial") == [5, 6]
    assert numbers(thread="t", kind="denial", after=1) == [6]
    assert numbers(after=4) == [5, 6]
    assert numbers(last=2) == [5, 6]
    assert numbers(thread="t", last=1) == [6]


def test_neither_values_of_arguments_nor_secrets_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "hunter2-hunter2")
    given = {"iban": "DE02120300000000202051", "amount": 5}
    with open_persistence(tmp_path / "runs.db") as place:
        record = place.trail.append(
            draft(arguments=digest_of(given), names=tuple(given), detail="the service refused hunter2-hunter2")
        )
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("runs.db*") if path.is_file())
    assert record.names == ("amount", "iban")
    assert record.arguments == digest_of({"amount": 5, "iban": "DE02120300000000202051"})
    assert "refused [redacted" in record.detail
    assert b"DE0212" not in kept
    assert b"hunter2" not in kept


@pytest.mark.parametrize("arguments", [{1: "a", "b": 2}, {"a": object}, {"a": float("nan")}, {"a": "\ud800"}])
def test_arguments_that_are_no_json_have_a_digest_too(arguments: Any) -> None:
    assert digest_of(arguments) == digest_of(dict(arguments))
    assert digest_of(arguments) != digest_of({})


def test_arguments_that_hold_themselves_have_a_digest_too() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    assert len(digest_of(circle)) == 64


def test_a_record_of_an_unknown_kind_or_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"expected a kind of effect.*got 'refund'"):
        draft(kind="refund")
    with pytest.raises(ConfigurationError, match=r"expected a key for the effect of 'pay'"):
        draft(key="")


# --- in a run


def test_a_node_that_is_entered_again_writes_no_second_record(file: Persistence) -> None:
    entered = list[Record]()

    @tool
    async def pay(order: int) -> str:
        """Pay."""
        entered.append(await audit(current_step(), "effect", "pay", "asked", key="call", arguments={"order": order}))
        return str(interrupt("sure?"))

    agent = says("clerk", calls(call("pay", order=7)), "Paid.", tools=[pay])
    graph = single.build(agent).compile(file.checkpointer)
    graph.invoke({"task": "Pay."}, config_of("t"))
    [asked] = graph.get_state(config_of("t")).interrupts
    graph.invoke(Command(resume={asked.id: "yes"}), config_of("t"))
    assert len(entered) == 2
    [record] = file.trail.records(thread="t")
    assert entered == [record, record]
    assert (record.agent, record.subject, record.names) == ("clerk", "pay", ("order",))
    assert record.turn


def test_the_default_key_tells_steps_subjects_and_arguments_apart_and_nothing_else(file: Persistence) -> None:
    @tool
    async def look(page: int) -> str:
        """Look."""
        for detail in ("first", "again"):
            await audit(current_step(), "denial", "look", "refused", arguments={"page": page}, detail=detail)
        return "seen"

    agent = says("ann", calls(call("look", page=1)), calls(call("look", page=2)), "Done.", tools=[look])
    single.build(agent).compile(file.checkpointer).invoke({"task": "Look."}, config_of("t"))
    assert [record.detail for record in file.trail.records()] == ["first", "first"]


def test_a_run_without_a_checkpointer_has_a_trail_of_its_own() -> None:
    trails = list[list[Record]]()

    @tool
    async def pay(order: int) -> str:
        """Pay."""
        step = current_step()
        await audit(step, "effect", "pay", "done", arguments={"order": order})
        trails.append(await (await trail_in(step)).records())
        return "paid"

    for _ in range(2):
        agent = says("clerk", calls(call("pay", order=1)), calls(call("pay", order=2)), "Paid.", tools=[pay])
        single.build(agent).compile().invoke({"task": "Pay."})
    assert [[record.seq for record in trail] for trail in trails] == [[1], [1, 2], [1], [1, 2]]


# --- many writers


WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from state import open_persistence
from state.audit import Draft
url, name = sys.argv[1:]
with open_persistence(url) as place:
    def write(number):
        for key in (f"{name} {number}", f"shared {number}"):
            place.trail.append(Draft(kind="effect", subject="pay", outcome="done", key=key))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(25)))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_and_threads_that_write_at_once_keep_one_unbroken_chain(kind: str, tmp_path: Path) -> None:
    with fresh_url(kind, tmp_path) as url, open_persistence(url) as place:
        words = [sys.executable, "-c", WRITER, url]
        env = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"}
        running = [subprocess.Popen([*words, name], env=env) for name in ("a", "b")]
        assert [process.wait(60) for process in running] == [0, 0]
        result = place.trail.verify()
        assert (result.records, result.findings) == (25 * 3, [])


async def test_coroutines_that_write_at_once_beside_a_stock_saver_keep_one_chain(tmp_path: Path) -> None:
    async with saver_of("sqlite", tmp_path) as saver:
        trails = await asyncio.gather(*(trail_of(saver) for _ in range(10)))
        await asyncio.gather(*(trail.append(draft(number % 5)) for number, trail in enumerate(trails)))
        result = await trails[0].verify()
    assert (result.records, result.findings) == (5, [])


async def test_those_that_look_for_the_trail_of_a_saver_in_memory_at_once_get_the_same() -> None:
    from langgraph.checkpoint.sqlite import SqliteSaver

    with SqliteSaver.from_conn_string(":memory:") as saver:
        trails = await asyncio.gather(*(trail_of(saver) for _ in range(10)))
    assert all(trail is trails[0] for trail in trails)


def test_threads_that_write_to_memory_at_once_keep_one_unbroken_chain() -> None:
    trail = MemoryTrail()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: trail.append(draft(number % 100)), range(400)))
    assert (trail.verify().records, trail.verify().findings) == (100, [])


# --- kept


def test_records_outlive_their_thread_and_pruning_and_are_not_copied_to_a_fork(place: Persistence) -> None:
    graph = talk_graph(checkpointer=place.checkpointer)
    for thread in ("t", "old"):
        graph.invoke({"messages": [("user", "hi")]}, on(thread))
        place.trail.append(draft(thread=thread))
    place.fork_thread("t", "fork", at=place.lineage("t")[-1].id)
    place.delete_thread("t")
    place.prune(keep_last=1)
    assert [(record.seq, record.thread) for record in place.trail.records()] == [(1, "t"), (2, "old")]
    assert not place.trail.verify().findings


async def test_a_record_can_be_written_through_the_place(place: Persistence) -> None:
    record = await place.aaudit(draft(thread="t"))
    assert place.trail.records(thread="t") == [record]


@pytest.mark.parametrize("statement", ["UPDATE orchestra_audit SET outcome = 'x'", "DELETE FROM orchestra_audit"])
def test_an_sqlite_file_refuses_to_change_records(statement: str, tmp_path: Path) -> None:
    with open_persistence(tmp_path / "runs.db") as place:
        place.trail.append(draft())
        with pytest.raises(sqlite3.IntegrityError, match=REFUSAL):
            connection_of(place).execute(statement)
        place.trail.append(draft(2))
        assert place.trail.verify().records == 2


def test_a_file_with_records_is_opened_again_and_one_with_another_trigger_is_not(tmp_path: Path) -> None:
    url = tmp_path / "runs.db"
    with open_persistence(url) as place:
        place.trail.append(draft())
    with open_persistence(url) as place:
        assert place.trail.verify().records == 1
        connection_of(place).execute("DROP TRIGGER orchestra_audit_delete")
        text = GUARDS["orchestra_audit_delete"].replace("RAISE(ABORT", "RAISE(IGNORE) -- (")
        connection_of(place).execute(text.replace("; END", "\n; END"))
    with pytest.raises(StorageForeign, match="orchestra_audit_delete"):
        open_persistence(url).trail.verify()


async def test_the_records_beside_a_stock_saver_are_guarded_and_shown_by_the_command(tmp_path: Path) -> None:
    async with saver_of("sqlite", tmp_path) as saver:
        saver.setup()
        await (await trail_of(saver)).append(draft(subject="refund"))
        with pytest.raises(sqlite3.IntegrityError, match=REFUSAL):
            saver.conn.execute("DELETE FROM orchestra_audit")
        saver.conn.rollback()
    assert "refund" in orchestra("audit", "t", "--db", str(tmp_path / "runs.db")).stdout


@pytest.mark.parametrize(
    "statement",
    ["UPDATE orchestra_audit SET outcome = 'x'", "DELETE FROM orchestra_audit", "TRUNCATE orchestra_audit"],
)
def test_a_server_refuses_to_change_records(statement: str, tmp_path: Path) -> None:
    with fresh_url("postgres", tmp_path) as url, open_persistence(url) as place:
        place.trail.append(draft())
        psycopg = pytest.importorskip("psycopg")
        with pytest.raises(psycopg.errors.RaiseException, match=REFUSAL), psycopg.connect(url) as connection:
            connection.execute(statement)
        assert place.trail.verify().records == 1


def test_a_storage_fault_is_a_typed_error_with_file_and_thread(tmp_path: Path) -> None:
    place = open_persistence(tmp_path / "runs.db")
    with place:
        connection_of(place).execute("DROP TABLE orchestra_audit")
        with pytest.raises(StorageCorrupt) as caught:
            place.trail.append(draft(thread="t"))
        assert (caught.value.location, caught.value.thread) == (str(tmp_path / "runs.db"), "t")
        trail = place.trail
    with pytest.raises(StorageUnavailable):
        trail.append(draft())


async def test_a_fault_beside_a_stock_saver_is_a_typed_error(tmp_path: Path) -> None:
    async with saver_of("sqlite", tmp_path) as saver:
        trail = await trail_of(saver)
        await trail.append(draft())
        (tmp_path / "runs.db").rename(tmp_path / "moved.db")
        with pytest.raises(PersistenceError, match=r"runs\.db"):
            await trail.append(draft(2))


# --- verified


def test_an_empty_chain_is_whole_and_not_the_rest_of_a_longer_one(place: Persistence) -> None:
    assert place.trail.verify() == Verified(0, "", [])
    assert [finding.kind for finding in place.trail.verify("a" * 64).findings] == ["truncated"]


def test_a_chain_that_grew_holds_its_earlier_head(place: Persistence) -> None:
    place.trail.append(draft(1))
    head = place.trail.verify().head
    place.trail.append(draft(2))
    assert not place.trail.verify(head).findings


@pytest.mark.parametrize("column", range(1, 17))
def test_a_change_of_any_field_is_found_where_it_is(column: int) -> None:
    rows = chain(5)
    changed = list(rows[2])
    changed[column] = (
        changed[column] + 1 if column == 1 else '["x"]' if changed[column] == "[]" else f"{changed[column]}x"
    )
    rows[2] = tuple(changed)
    assert found(rows)[0] == (3, "changed")


def test_what_was_done_to_a_chain_is_named_with_its_place() -> None:
    rows = chain(9)
    assert found(rows) == []
    assert found([*rows[:3], *rows[4:]]) == [(4, "deleted")]
    assert found(rows[2:]) == [(1, "deleted")]
    assert verified([*rows[:3], *rows[6:]]).findings[0].text == "records 4 to 6 are missing"
    assert found(rows[:7]) == []
    assert found(rows[:7], head=rows[-1][-1]) == [(7, "truncated")]


def test_records_that_changed_places_are_named() -> None:
    rows = chain(9)
    rows[3], rows[4] = (4, *rows[4][1:]), (5, *rows[3][1:])
    assert {kind for _, kind in found(rows)} == {"reordered"}
    assert found(rows)[0] == (4, "reordered")


def test_a_record_that_was_put_in_is_named_and_those_that_moved_for_it_are_not() -> None:
    rows = chain(9)
    false = row_of(sealed(draft(99), seq=4, at=1.0, previous=rows[2][-1]))
    assert found([*rows[:3], false, *((row[0] + 1, *row[1:]) for row in rows[3:])]) == [(4, "inserted")]
    assert found([*rows[:3], (3.5, *false[1:]), *rows[3:]]) == [(3, "inserted")]


def test_records_that_were_taken_out_are_noticed_when_the_rest_was_renumbered() -> None:
    rows = chain(9)
    assert found([*rows[:3], *((row[0] - 2, *row[1:]) for row in rows[5:])]) == [(4, "deleted")]


def test_a_record_that_was_written_anew_with_its_hash_is_found_by_the_next() -> None:
    rows = chain(5)
    rows[2] = row_of(sealed(draft(2, outcome="denied"), seq=3, at=1.0, previous=rows[1][-1]))
    assert found(rows) == [(3, "changed")]


def test_a_chain_that_was_written_anew_is_found_by_its_head() -> None:
    trail, head = MemoryTrail(), chain(5)[-1][-1]
    forged = [row_of(trail.append(draft(number, outcome="denied"))) for number in range(5)]
    assert found(forged) == []
    assert found(forged, head) == [(5, "truncated")]


@given(st.data())
def test_whatever_is_done_to_a_chain_before_its_end_is_found(data: st.DataObject) -> None:
    rows = chain(data.draw(st.integers(2, 12)))
    at = data.draw(st.integers(0, len(rows) - 2))
    how = data.draw(st.sampled_from(["delete", "swap", "copy", "renumber"]))
    if how == "delete":
        changed = rows[:at] + rows[data.draw(st.integers(at + 1, len(rows) - 1)) :]
    elif how == "swap":
        changed = list(rows)
        changed[at], changed[at + 1] = (at + 1, *rows[at + 1][1:]), (at + 2, *rows[at][1:])
    elif how == "copy":
        changed = [*rows[: at + 1], *((row[0] + 1, *row[1:]) for row in rows[at:])]
    else:
        changed = [(row[0] + (row[0] > at) * data.draw(st.integers(1, 3)), *row[1:]) for row in rows]
        changed = sorted({row[0]: row for row in changed}.values())
    assert verified(changed).findings


def test_findings_end_when_enough_is_known() -> None:
    rows = [(*row[:9], "x", *row[10:]) for row in chain(50)]
    assert len(verified(rows).findings) == 20


def test_twenty_thousand_records_are_verified_in_seconds(file: Persistence) -> None:
    rows, previous = list[tuple[Any, ...]](), ""
    for number in range(1, 20_001):
        rows.append(row_of(sealed(draft(number), seq=number, at=float(number), previous=previous)))
        previous = rows[-1][-1]
    connection_of(file).executemany(f"INSERT INTO orchestra_audit VALUES ({', '.join('?' * 17)})", rows)
    begun = time.monotonic()
    assert file.trail.verify() == Verified(20_000, previous, [])
    assert time.monotonic() - begun < 20


# --- the command


def test_records_are_listed_in_eighty_columns(file: Persistence) -> None:
    for number in range(3):
        file.trail.append(
            draft(
                number,
                thread="a-thread-with-a-rather-long-name",
                agent="researcher-number-one",
                kind="consultation",
                subject="transfer_to_the_other_agent",
                outcome="refused",
                detail="because of\na reason that is quite long, and longer than there is space for it",
                taint=("web",),
            )
        )
    shown = orchestra("audit", "--db", file.location)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["#", "when", "thread", "agent", "what"]
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80
    assert "consultation transfer_to" in lines[1]
    alone = orchestra("audit", "a-thread-with-a-rather-long-name", "--db", file.location).stdout
    assert "consultation transfer_to_the_other_agent: refu" in alone


def test_records_of_a_thread_and_a_kind_are_listed(file: Persistence) -> None:
    file.trail.append(draft(1, subject="mail"))
    file.trail.append(draft(2, kind="denial", subject="shell"))
    file.trail.append(draft(3, thread="u", subject="other"))
    shown = orchestra("audit", "t", "--kind", "denial", "--db", file.location)
    assert "shell" in shown.stdout
    assert "mail" not in shown.stdout
    told = json.loads(orchestra("audit", "t", "--json", "--db", file.location).stdout)
    assert [each["subject"] for each in told] == ["mail", "shell"]
    assert told[0] == file.trail.records()[0].plain()
    assert "Nothing of thread none is recorded" in orchestra("audit", "none", "--db", file.location).stderr
    assert orchestra("audit", "--last", "1", "--db", file.location).stdout.count("effect") == 1


def test_the_command_knows_the_kinds_that_there_are() -> None:
    assert tuple(NAMED_KINDS) == KINDS


def test_what_a_record_says_cannot_steer_a_terminal(file: Persistence) -> None:
    file.trail.append(draft(subject="\x1b[2Jgone", detail="\x1b]0;title\x07x"))
    assert "\x1b" not in orchestra("audit", "--db", file.location).stdout


def test_verify_prints_a_head_that_notices_a_missing_end(file: Persistence) -> None:
    for number in range(3):
        file.trail.append(draft(number))
    told = orchestra("audit", "verify", "--db", file.location)
    assert told.exit_code == 0
    assert "3 records, unchanged and complete" in told.stdout
    head = told.stdout.split("head ")[1].strip()
    assert orchestra("audit", "verify", "--head", head, "--db", file.location).exit_code == 0
    unguarded(file, "DELETE FROM orchestra_audit WHERE seq = 3")
    assert orchestra("audit", "verify", "--db", file.location).exit_code == 0
    shorter = orchestra("audit", "verify", "--head", head, "--db", file.location)
    assert shorter.exit_code == 1
    assert "truncated: no record has the hash" in shorter.stdout


def test_verify_names_what_was_changed_and_ends_with_one(file: Persistence) -> None:
    for number in range(3):
        file.trail.append(draft(number))
    unguarded(file, "UPDATE orchestra_audit SET outcome = 'refused' WHERE seq = 2")
    told = orchestra("audit", "verify", "--db", file.location)
    assert told.exit_code == 1
    assert told.stdout.startswith("changed: record 2 ")
    plain = json.loads(orchestra("audit", "verify", "--json", "--db", file.location).stdout)
    assert (plain["ok"], plain["records"], plain["findings"][0]["seq"]) == (False, 3, 2)


def test_verify_refuses_a_head_that_is_none_and_a_database_that_is_not_there(file: Persistence) -> None:
    told = orchestra("audit", "verify", "--head", "latest", "--db", file.location)
    assert (told.exit_code, "64 hexadecimal digits" in told.stderr) == (2, True)
    assert orchestra("audit", "verify", "--db", "nowhere.db").exit_code == 2
    assert not Path("nowhere.db").exists()


def test_a_list_in_a_record_that_is_none_is_a_typed_error_and_a_finding(file: Persistence) -> None:
    file.trail.append(draft())
    unguarded(file, "UPDATE orchestra_audit SET names = 'no list'")
    with pytest.raises(StorageCorrupt, match="audit record 1 cannot be read"):
        file.trail.records()
    assert [finding.kind for finding in file.trail.verify().findings] == ["changed"]


def unguarded(file: Persistence, statement: str) -> None:
    """Change records as somebody who has the file can."""
    connection = connection_of(file)
    for name in ("orchestra_audit_update", "orchestra_audit_delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    connection.execute(statement)
