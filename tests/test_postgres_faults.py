"""PostgreSQL: what happens when the server fails under a run, and what it cannot hold."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from state.errors import PersistenceError, StorageCorrupt, StorageForeign, StorageUnavailable
from state.persistence import Persistence, open_persistence
from storage import POSTGRES, Talk, fresh_schema, on, talk_graph, texts


@pytest.fixture
def url() -> Iterator[str]:
    with fresh_schema() as url:
        yield url


@pytest.fixture
def persistence(url: str) -> Iterator[Persistence]:
    with open_persistence(url) as persistence:
        yield persistence


def run_sql(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def three_nodes(persistence: Persistence, ran: list[str], fail: Callable[[], None]) -> Any:
    def first(state: Talk) -> dict[str, Any]:
        ran.append("first")
        return {"messages": ["first"]}

    def breaking(state: Talk) -> dict[str, Any]:
        if "breaking" not in ran:
            fail()
        ran.append("breaking")
        return {"messages": ["breaking"]}

    def last(state: Talk) -> dict[str, Any]:
        ran.append("last")
        return {"messages": ["last"]}

    builder: Any = StateGraph(Talk)
    builder.add_sequence([first, breaking, last]).add_edge(START, "first")
    return builder.compile(checkpointer=persistence.checkpointer)


def test_a_run_whose_tables_fail_stops_and_loses_nothing(persistence: Persistence, url: str) -> None:
    ran: list[str] = []
    graph = three_nodes(persistence, ran, lambda: run_sql(url, "ALTER TABLE checkpoints RENAME TO hidden"))
    with pytest.raises(PersistenceError) as caught:
        graph.invoke({"messages": ["go"]}, on("t"), durability="sync")
    assert ran == ["first", "breaking"]
    assert (caught.value.thread, caught.value.location) == ("t", persistence.location)
    run_sql(url, "ALTER TABLE hidden RENAME TO checkpoints")
    assert texts(graph.invoke(None, on("t"), durability="sync")) == ["go", "first", "breaking", "last"]


def test_a_run_goes_on_over_new_connections_when_the_old_ones_are_cut(url: str) -> None:
    name = f"cut-{uuid.uuid4().hex}"
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
    ran: list[str] = []
    with open_persistence(f"{url}&application_name={name}") as persistence:
        graph = three_nodes(persistence, ran, lambda: run_sql(POSTGRES, cut))
        out = graph.invoke({"messages": ["go"]}, on("t"), durability="sync")
    assert texts(out) == ["go", "first", "breaking", "last"]


def test_tables_that_are_gone_are_damage(persistence: Persistence, url: str) -> None:
    run_sql(url, "DROP TABLE checkpoints")
    with pytest.raises(StorageCorrupt, match="damaged"):
        persistence.checkpointer.get_tuple(on("t"))  # type: ignore[arg-type]


def test_a_server_that_accepts_no_writes_is_named_with_a_remedy(url: str) -> None:
    with open_persistence(url):
        pass
    read_only = f"{url}%20-cdefault_transaction_read_only%3Don"
    with (
        pytest.raises(StorageUnavailable, match=r"read-only.*primary server"),
        open_persistence(read_only) as persistence,
    ):
        persistence.note_thread("t", name="x")


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    with open_persistence(url):
        pass
    run_sql(url, "INSERT INTO orchestra_version VALUES (99)")
    with pytest.raises(StorageForeign, match="version 99"), open_persistence(url):
        pass


def test_many_processes_may_make_the_tables_at_the_same_time(url: str) -> None:
    def open_and_note(number: int) -> int:
        with open_persistence(url) as persistence:
            persistence.note_thread(f"t{number}", name="x")
            return number

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(open_and_note, range(4))) == [0, 1, 2, 3]
    with open_persistence(url) as persistence:
        assert len(persistence.threads()) == 4


def test_a_text_that_json_cannot_hold_is_kept_as_far_as_it_can_be(persistence: Persistence) -> None:
    class Draft(TypedDict):
        text: str

    def write(state: Draft) -> Draft:
        return {"text": "NUL \x00 and \ud800 lone"}

    graph: Any = (
        StateGraph(Draft).add_node(write).add_edge(START, "write").compile(checkpointer=persistence.checkpointer)
    )
    graph.invoke({"text": ""}, on("t"))
    assert graph.get_state(on("t")).values == {"text": "NUL \ufffd and ? lone"}


def test_the_connection_settings_of_the_url_are_used(url: str) -> None:
    with open_persistence(url) as persistence:
        talk_graph(checkpointer=persistence.checkpointer).invoke({"messages": ["hi"]}, on("t"))
    schema = url.rpartition("%3D")[2]
    import psycopg

    with psycopg.connect(POSTGRES) as connection:
        found = connection.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = %s", (schema,))
        row = found.fetchone()
    assert row is not None
    assert row[0] >= 8
