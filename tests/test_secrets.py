"""Secrets: in the environment and in the context, and nowhere else."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import StructuredTool, ToolException
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

import orchestra
from cases import says
from graphs import sequential, single
from nodes import Agent, ScriptedChatModel
from nodes.scripted import call
from nodes.step import send_event
from nodes.threads import _log
from orchestra.result import read_result
from state import ConfigurationError, Context, StorageUnavailable, open_persistence
from state.excerpts import EXCERPT, excerpt
from state.persistence import Persistence
from state.redaction import MARK, lacks, redact, redact_blob, redacted, shown
from state.secrets import SHORTEST, known, secret
from state.storage.postgres import fault_of
from state.storage.serde import StrictSerializer
from storage import fresh_url
from tools import effect, requires_approval

CHANNELS = ("config", "metadata", "argument", "exception", "user", "environment", "context", "result")
OTHER = "some-other-token-4711"
KEY = "sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3"
LOOKS = (KEY, f"ghp_{'a1B2' * 9}", f"AKIA{'A1B2' * 4}", f"hf_{'a1B2' * 8}", f"glpat-{'a1B2' * 6}")


def canaries(how: str, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, str], dict[str, str]]:
    """Return a secret for each channel, and what the context holds: they are known by their looks, or by where they are."""
    looks = {name: f"sk-proj-{name}Q7w8E9r0T1y2U3i4O5p6" for name in CHANNELS}
    told = {name: f'{name} "secret" höchst/geheim\\{i}' for i, name in enumerate(CHANNELS)}
    found = {"looks": looks, "environment": told, "context": told, "mixed": {**told, "config": looks["config"]}}[how]
    for name in CHANNELS if how == "environment" else ("environment",):
        monkeypatch.setenv(f"ORCHESTRA_CANARY_{name.upper()}_TOKEN", found[name])
    held = found if how in ("context", "mixed") else {"context": found["context"]}
    return found, held


def leaky_team(found: dict[str, str]) -> tuple[Any, list[Agent], list[Any]]:
    """Return a team whose tools and agents say whatever they know, its agents, and the arguments that a tool got."""
    got: list[Any] = []

    def look_up(token: str) -> str:
        """Look something up."""
        got.append(token)
        return f"{found['result']} and {secret('context')} and {found['environment']} for {token}"

    def shout(token: str) -> str:
        """Fail."""
        raise ToolException(f"no such thing: {found['exception']}")

    def pay(token: str) -> str:
        """Pay."""
        return f"paid with {token}, {found['result']}"

    async def broken(task: str) -> str:
        raise ValueError(f"cannot reach postgres://me:{OTHER}@host/db with {found['exception']}")

    clerk = Agent(
        "clerk",
        prompt=f"You are a clerk. {found['environment']}",
        tools=[StructuredTool.from_function(look_up), StructuredTool.from_function(shout), effect(pay)],
        model=ScriptedChatModel(
            [
                call("look_up", token=found["argument"]),
                call("shout", token=found["argument"]),
                call("pay", token=found["argument"]),
                f"I know {found['argument']} and {found['result']}.",
            ]
        ),
    )
    writer = says("writer", f"Written: {found['user']}.")
    return sequential.build([clerk, writer, broken]), [clerk, writer], got


def everything_in(place: Persistence, url: str, folder: Path) -> str:
    """Return all that a database holds, the bytes of its files too."""
    if url.startswith("postgresql"):
        import psycopg

        with psycopg.connect(url) as server:
            tables = [
                row[0] for row in server.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            ]
            assert {"checkpoints", "checkpoint_blobs", "checkpoint_writes", "orchestra_events"} <= set(tables)
            rows = [row for table in tables for row in server.execute(f'SELECT * FROM "{table}"').fetchall()]
        return "\n".join(
            part.decode("utf-8", "replace")
            if isinstance(part, bytes)
            else json.dumps(part, default=str, ensure_ascii=False)
            for row in rows
            for part in row
        )
    files = [*folder.glob("runs.db*")]
    assert {file.name for file in files} >= {"runs.db", "runs.db-wal"}
    return "\n".join(file.read_bytes().decode("utf-8", "replace") for file in files if file.is_file())


def forms(value: str) -> set[str]:
    """Return how a secret may be written, and a part of it that would be too much already."""
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}


@pytest.mark.parametrize("how", ["looks", "environment", "context"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_secret_gets_anywhere_through_any_channel(
    kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found, held = canaries(how, monkeypatch)
    caplog.set_level(logging.DEBUG)
    with fresh_url(kind, tmp_path) as url, open_persistence(url) as place:
        builder, agents, got = leaky_team(found)
        graph = builder.compile(checkpointer=place.checkpointer, store=place.store, name="leaky")
        config = {
            "configurable": {"thread_id": "direct", "crm": found["config"]},
            "metadata": {"note": found["metadata"], found["metadata"]: "x"},
            "tags": [found["config"]],
        }
        seen: list[Any] = []
        told = {"task": f"Use {found['user']} please."}
        for event in graph.stream(told, config, context=Context(secrets=held), stream_mode="custom", subgraphs=True):
            seen.append(event)
        assert got == [found["argument"]]  # the tool itself gets what the model wrote
        place.store.put(("people",), "ann", {"token": found["result"]})

        builder, more, _ = leaky_team(found)
        graph = builder.compile(checkpointer=place.checkpointer, store=place.store, name="leaky")
        result = orchestra.start(
            graph, place, told["task"], thread="t", context=Context(secrets=held), on_event=seen.append
        )
        assert result.status == "partial"
        place.note_thread("t", remark=found["user"])
        _log.warning("late: %s", found["exception"])
        _log.exception("worse", exc_info=ValueError(found["exception"]))
        sent = [request.messages for agent in [*agents, *more] for request in agent.model.requests]  # type: ignore[union-attr]
        shown_to_models = "\n".join(message.model_dump_json() for messages in sent for message in messages)
        snapshot = read_result("direct", graph.get_state({"configurable": {"thread_id": "direct"}}))
        ours = [
            r for r in caplog.records if r.name.partition(".")[0] in ("orchestra", "graphs", "nodes", "tools", "state")
        ]
        assert ours
        places = {
            "database": everything_in(place, url, tmp_path),
            "trace": json.dumps(seen, default=str, ensure_ascii=False),
            "record": json.dumps(place.events("t"), ensure_ascii=False)
            + json.dumps(place.threads(), ensure_ascii=False),
            "report": result.model_dump_json() + repr(result) + snapshot.model_dump_json(),
            "prompts": shown_to_models,
            "log": "\n".join(caplog.handler.format(record) for record in ours),
        }
    leaks = {
        (where, channel)
        for where, text in places.items()
        for channel, value in {**found, "password": OTHER}.items()
        if any(form in text for form in forms(value))
    }
    assert not leaks
    assert all(MARK.rstrip("]") in text for text in places.values())  # they were all there to be taken out


def test_a_secret_is_taken_out_of_what_a_stock_sqlite_saver_stores(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "stock.db", check_same_thread=False)
    graph = single.build(says("a", f"I say {KEY}")).compile(checkpointer=SqliteSaver(connection), name="g")
    config: Any = {"configurable": {"thread_id": "t", "crm": KEY}, "metadata": {"note": KEY}}
    graph.invoke({"task": f"Say {KEY}"}, config)
    assert MARK[:-1] in repr(graph.get_state(config).values)
    connection.close()
    stored = (tmp_path / "stock.db").read_bytes()
    assert MARK[:-1].encode() in stored
    assert KEY.encode() not in stored


def test_the_command_prints_no_secret(tmp_path: Path) -> None:
    def orchestra_command(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "orchestra", *args], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        return done.stdout + done.stderr

    said = orchestra_command("run", "single", f"My key is {KEY}", "--json", "--thread", "t", "--db", "runs.db")
    said += orchestra_command("show", "t", "--json", "--db", "runs.db")
    said += orchestra_command("threads", "--db", f"postgresql://me:{OTHER}@127.0.0.1:1/none")
    assert '"thread": "t"' in said
    assert MARK[:-1] in said
    assert KEY not in said
    assert OTHER not in said
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("runs.db*") if file.is_file())
    assert stored
    assert KEY.encode() not in stored


def test_a_tool_reads_a_secret_by_its_name_and_the_context_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "the-token-of-the-environment")
    got: list[str] = []

    def read(name: str) -> str:
        """Read a secret."""
        got.append(secret(name))
        return "read"

    agent = says("a", call("read", name="crm"), call("read", name="CRM_TOKEN"), "done", tools=[read])
    context = Context(secrets={"crm": "the-token-of-the-run"})
    single.build(agent).compile(name="g").invoke({"task": "read"}, context=context)
    assert got == ["the-token-of-the-run", "the-token-of-the-environment"]
    assert "the-token-of-the-run" not in repr(context)
    hash(context)


def test_a_secret_that_is_missing_is_named_and_those_there_are_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="got 'crm'") as caught:
        secret("crm")
    assert "Context(secrets=" in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"secrets\.crm: .*at least 8") as caught:
        Context(secrets={"crm": "tooshrt"})
    assert "tooshrt" not in str(caught.value)


def test_what_a_run_was_told_is_noted_without_its_secrets(tmp_path: Path) -> None:
    with open_persistence(tmp_path / "runs.db") as place:
        graph = single.build(says("a", "hi")).compile(checkpointer=place.checkpointer, name="g")
        context = Context(max_turns=7, secrets={"crm": "the-token-of-the-run"})
        orchestra.start(graph, place, "hello", thread="t", context=context)
        facts = place.thread("t")
    assert facts is not None
    assert facts["context"] == {"max_turns": 7}


def test_secrets_of_a_context_are_known_as_long_as_it_lives_and_the_latest_after() -> None:
    context = Context(secrets={"crm": "held-by-a-context"})
    assert redact("x held-by-a-context y") == f"x {MARK} y"
    del context
    assert redact("x held-by-a-context y") == f"x {MARK} y"
    for i in range(300):
        Context(secrets={"crm": f"secret number {i:05}"})
    assert redact("secret number 00299") == MARK
    assert redact("x held-by-a-context y") == "x held-by-a-context y"
    assert len(known().texts) < 2_000


def asks_with_a_secret(ask: bool = True) -> tuple[Agent, list[str]]:
    """Return an agent that calls a tool with a secret, and the arguments that the tool got."""
    got: list[str] = []

    def send(token: str, to: str = "ann") -> str:
        """Send something."""
        got.append(token)
        return "sent"

    tool = requires_approval(send) if ask else StructuredTool.from_function(send)
    return says("a", call("send", token=KEY), "I could not.", tools=[tool]), got


def test_a_call_that_lost_a_secret_while_it_waited_is_refused_and_the_model_told(tmp_path: Path) -> None:
    config: Any = {"configurable": {"thread_id": "t"}}
    with open_persistence(tmp_path / "runs.db") as place:
        agent, got = asks_with_a_secret()
        graph = single.build(agent).compile(checkpointer=place.checkpointer, name="g")
        graph.invoke({"task": "send"}, config)
        (request,) = graph.get_state(config).interrupts
        assert KEY not in repr(request)
        graph.invoke(Command(resume={request.id: {"decisions": [{"type": "approve"}]}}), config)
    assert got == []
    told = agent.model.requests[-1].messages[-1].text  # type: ignore[union-attr]
    assert "'token' of send" in told
    assert "Nothing was done" in told


def test_a_person_can_put_in_what_a_waiting_call_lost(tmp_path: Path) -> None:
    config: Any = {"configurable": {"thread_id": "t"}}
    with open_persistence(tmp_path / "runs.db") as place:
        agent, got = asks_with_a_secret()
        graph = single.build(agent).compile(checkpointer=place.checkpointer, name="g")
        graph.invoke({"task": "send"}, config)
        (request,) = graph.get_state(config).interrupts
        edit = {"type": "edit", "edited_action": {"name": "send", "args": {"token": "by name: crm", "to": "bob"}}}
        graph.invoke(Command(resume={request.id: {"decisions": [edit]}}), config)
    assert got == ["by name: crm"]


def test_a_call_that_waits_in_memory_keeps_its_arguments() -> None:
    config: Any = {"configurable": {"thread_id": "t"}}
    agent, got = asks_with_a_secret()
    graph = single.build(agent).compile(checkpointer=InMemorySaver(), name="g")
    graph.invoke({"task": "send"}, config)
    (request,) = graph.get_state(config).interrupts
    graph.invoke(Command(resume={request.id: {"decisions": [{"type": "approve"}]}}), config)
    assert got == [KEY]


@pytest.mark.parametrize(
    ("argument", "lacking"),
    [
        ("[redacted]", True),
        ("Bearer [redacted]", True),
        ({"a": ["x", "[redacted email]"]}, True),
        ("curl -H 'Authorization: [redacted: not stored]' https://example.com/a/long/address", True),
        ("The report: the customer gave [redacted] as the reason, which we could not verify.", False),
        ("no note at all", False),
        (17, False),
        (None, False),
    ],
)
def test_arguments_lack_something_when_they_are_little_else_than_a_note(argument: Any, lacking: bool) -> None:
    assert lacks(argument) is lacking


SECRETS = (
    "sk-proj-Q7w8E9r0T1y2U3i4O5p6a7s8",
    "sk-ant-api03-AbC_1234567890-abcdefXYZ",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "glpat-abcdEFGH1234ijklMNOP",
    "xoxb-123456789012-abcdefABCDEF",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----",
)
AROUND = (
    ("Authorization: Bearer ", "abc.DEF-123_456~789/0", ""),
    ("Authorization: Basic ", "dXNlcjpwYXNzd29yZA==", ""),
    ("postgres://ann:", "p:ss-w0rd!", "@host:5432/db?sslmode=require"),
    ("https://api.example.com/v1?api_key=", "q1w2e3r4t5y6", "&page=2"),
)


@pytest.mark.parametrize(("before", "value", "after"), [*[("", value, "") for value in SECRETS], *AROUND])
def test_what_is_shaped_like_a_secret_is_one_wherever_it_stands(before: str, value: str, after: str) -> None:
    for left, right in (("", ""), ("see ", " there"), ('{"a":"', '"}'), ("(", ")"), ("key=", "\n"), ("ü", "ü")):
        text = f"{left}{before}{value}{after}{right}"
        assert redact(text) == f"{left}{before}{MARK}{after}{right}"
        assert redact(redact(text)) == redact(text)
        kind, blob = StrictSerializer().dumps_typed({"a": [text, HumanMessage(text)], "n": 7})
        assert value.encode() not in blob
        back = StrictSerializer().loads_typed((kind, blob))
        assert back["a"] == [redact(text, stored=True), HumanMessage(redact(text, stored=True))]
        assert back["n"] == 7


HARMLESS = (
    "risk-adjusted-returns-of-2024-and-the-task-of-ranking-them",
    "sk-learn-style-names-without-digits",
    "the bearer certificates-and-responsibilities",
    "http://localhost:8000/a:b?key=short&q=x",
    "ssh://git@github.com/owner/repository.git",
    "postgres://ann:***@host/db",
    "-----BEGIN PUBLIC KEY----- MIIBIjANBgkqhkiG9w0BAQEFAAOC",
    "a lock file names sha512-Zx9Yw8Vu7Ts6Rq5Po4Nm3== and eyJ alone",
    "1ef4f797-8335-6428-8001-8a1503f9b875",
)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_similar_stays(text: str) -> None:
    assert redact(text) is text
    blob = StrictSerializer().dumps_typed(text)[1]
    assert StrictSerializer().loads_typed(("msgpack", blob)) == text


def test_variables_hold_secrets_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "OPENAI_API_KEY": "very-secret-1",
        "my_password": "correct horse battery",
        "GH_TOKEN": "tttttttttt1",
        "SENTRY_DSN_KEY": "abcdef0123",
        "AWS_SECRET_ACCESS_KEY": "wJalr/XUtnFEMI/K7MDENG",
        "DB_PASS": "hunter2hunter2",
        "OTHER_SECRET_KEY": "/ab7/cDe+fghijklmnop/qrstuvwx12345678901",
    }
    others = {
        "SSH_KEY_PATH": "/home/ann/.ssh/id",
        "WEB_TOKEN_FILE": "/var/run/there/is/none",
        "CLIENT_SECRET": str(Path(__file__)),
        "SORT_KEY": "outcomes",
        "MONKEY": "gorilla-123",
        "MAX_TOKENS": "100000",
        "TOKENIZERS_PARALLELISM": "falsefalse",
        "API_KEY": "none",
        "KEY_OF_LIFE": "composite.name",
        "HOMEPAGE": "https://example.com/abcdefgh",
    }
    for name, value in {**secrets, **others, "DATABASE_URL": "postgres://ann:s3cr3tpassw0rd@db/x"}.items():
        monkeypatch.setenv(name, value)
    for value in secrets.values():
        assert redact(f"<{value}>") == f"<{MARK}>"
    for value in others.values():
        assert redact(f"<{value}>") == f"<{value}>"
    assert redact("password s3cr3tpassw0rd") == f"password {MARK}"
    monkeypatch.delenv("GH_TOKEN")
    assert redact("<tttttttttt1>") == "<tttttttttt1>"


def test_a_secret_that_was_read_from_a_file_is_one_without_its_line_break() -> None:
    context = Context(secrets={"crm": "canary7secretvalue\n"})
    assert redact("key=canary7secretvalue;") == f"key={MARK};"
    assert context.secrets["crm"].endswith("\n")


def test_bytes_of_which_nothing_is_known_keep_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "the-token-of-the-environment")
    for kind in ("bytes", "bytearray"):
        new = redact_blob(kind, b"\x00\xff the-token-of-the-environment " + KEY.encode() + b"\xfe")
        assert new == b"\x00\xff [redacted]****************** " + b"[redacted]" + b"*" * (len(KEY) - 10) + b"\xfe"


def test_a_number_that_stands_behind_a_secret_in_a_blob_stays() -> None:
    for value in ([KEY, 65, 97, 48], {KEY: 65, "n": 48}, ["k-" + "a1" * 56 + "x", 65], [*KEY.encode()]):
        kind, blob = StrictSerializer().dumps_typed(value)
        assert StrictSerializer().loads_typed((kind, blob)) == redacted(value, stored=True)


def test_texts_and_data_without_secrets_come_back_as_the_same_objects() -> None:
    data = {"a": ["x", 1, None, {"b": ("y", 2.5)}], 3: b"z"}
    assert redacted(data) is data
    assert shown(data) is data
    message = AIMessage("hello", tool_calls=[{"name": "t", "args": {"a": 1}, "id": "1"}])
    blob = StrictSerializer().dumps_typed(message)[1]
    assert StrictSerializer().loads_typed(("msgpack", blob)) == message


@pytest.mark.parametrize(
    "part",
    [
        "sk-",
        "sk-1",
        "eyJ",
        "eyJaaaaaaaaa.",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        "Bearer ",
        "?key=",
        "a@",
        "AKIA",
        "-----",
    ],
)
def test_hostile_texts_take_time_that_grows_with_their_length_only(part: str) -> None:
    text = part * (1_000_000 // len(part))
    assert isinstance(redact(text), str)  # a pattern that backtracks would take hours
    redact_blob("msgpack", StrictSerializer().dumps_typed([text])[1])


def test_errors_of_a_database_name_it_without_password() -> None:
    import psycopg

    error = fault_of(
        psycopg.OperationalError(f"connection to postgres://me:{OTHER}@h/db failed"), "postgresql://me@h/db"
    )
    assert isinstance(error, StorageUnavailable)
    assert OTHER not in redact(str(error))


@pytest.fixture(autouse=True)
def forgets() -> Iterator[None]:
    """Let what one test protects not reach the next."""
    yield
    from state import secrets

    known()
    secrets._late.clear()
    secrets._cached = {}, secrets.Values(()), -1


@settings(max_examples=300, deadline=None)
@given(
    st.text(min_size=SHORTEST, max_size=20).filter(lambda value: value not in MARK),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["", *LOOKS]),
)
def test_a_secret_is_found_in_any_data_at_any_depth(value: str, data: Any, looks: str) -> None:
    context = Context(secrets={"it": value})
    hidden = {"said": [data, {f"the {value}": (f"it is {value}, or {looks}",)}]}
    without = redacted(hidden)
    said, (key,) = without["said"][1], without["said"][1]
    assert context.secrets["it"] == value
    assert value not in key
    assert value not in said[key][0]
    assert not looks or looks not in said[key][0]


def test_a_text_is_cut_for_an_event_once_its_secrets_are_out() -> None:
    for before in range(40, EXCERPT):
        assert KEY[:8] not in excerpt("x" * before + f" {KEY} " + "y" * EXCERPT)
    assert excerpt("short") == "short"


def test_an_outcome_and_an_event_hold_no_secret_where_nothing_is_stored() -> None:
    async def broken(task: str) -> str:
        raise ValueError(f"{'x' * 200} cannot use {KEY}{'x' * 600}")

    result = single.build(broken).compile(name="g").invoke({"task": "try"})
    message = result["outcomes"][0]["error"]["message"]
    assert KEY[:12] not in message  # nor the half of it that is left where a long text is cut
    assert MARK in message
    assert KEY[:12] not in repr(result["outcomes"])
    sent: list[Any] = []
    runtime: Any = SimpleNamespace(stream_writer=sent.append)
    run: Any = SimpleNamespace(
        id="r", thread="t", parent="", sequence=iter([1]), context=Context(), above=(), recorder=None
    )
    send_event(run, runtime, "planned", {"plan": [{"task": f"use {KEY}"}]}, agent="a")
    assert [event["data"] for event in sent] == [{"plan": [{"task": f"use {MARK}"}]}]
