"""Personal data: taken out of what models are sent, what is seen and what is kept, where a run asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import orchestra
from cases import says
from graphs import sequential
from nodes import Agent, ScriptedChatModel
from nodes.scripted import call
from orchestra.result import read_result
from state import ConfigurationError, Context, open_persistence
from state.pii import KINDS, find
from state.redaction import redact, redacting
from storage import fresh_url
from tools import effect

EXAMPLES = {
    "email": ["ann@example.com", "ann.lee+news@mail.example.co.uk", "A_B-1%x@sub.example.org"],
    "credit_card": ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004"],
    "ip": ["192.168.0.1", "8.8.8.8", "255.255.255.255"],
    "mac_address": ["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"],
    "url": ["https://example.com/a?b=c", "http://10.0.0.1:80/x", "www.example.com", "example.com/path"],
    "phone": [
        "+49 30 901820",
        "+1 (415) 555-2671",
        "+44 20 7946 0958",
        "0049 30 901820",
        "030 901820",
        "089/1234567",
        "(030) 901 820",
        "415-555-2671",
        "1-415-555-2671",
        "+33 1 23 45 67 89",
    ],
    "iban": [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82 WEST 1234 5698 7654 32",
        "NO93 8601 1117 947",
        "FR14 2004 1010 0505 0001 3M02 606",
    ],
}
OTHERS = {
    "email": ["ann at example.com", "@ann", "a@b", "user@localhost"],
    "credit_card": ["4111111111111112", "1234 5678 9012 3456", "411111111111111", "41111111111111111"],
    "ip": ["256.1.1.1", "1.2.3", "1.2.3.4.5.6.7"[:5], "version 1.2"],
    "mac_address": ["00:1B:44:11:3A", "00:1G:44:11:3A:B7", "12:30:45"],
    "url": ["example.com", "e.g. this", "file.txt", "ftp"],
    "phone": [
        "2024-05-04",
        "2024-05-04T06:32:42.235444+00:00",
        "1ef4f797-8335-6428-8001-8a1503f9b875",
        "12345678-1234-5678-1234-567812345678",
        "1234567890123456789",
        "3.14159265358979",
        "1,000,000",
        "call 911",
        "lines 10-25",
        "v1.2.3-4",
        "00000000000000000000000000000003",
        "192.168.0.1",
    ],
    "iban": ["DE89370400440532013001", "DE89", "AB12 CDEF GHIJ KLMN OPQR", "GB00 WEST 1234 5698 7654 32"],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in EXAMPLES.items() for value in values])
def test_personal_data_is_found_in_its_usual_forms(kind: str, value: str) -> None:
    for text in (value, f"It is {value}, you know.", f"({value})", f'{{"a": "{value}"}}', f"line\n{value}\nline"):
        at = text.index(value)
        assert find(text, [kind]) == [(at, at + len(value), kind)]
        with redacting([kind]):
            assert redact(text) == text.replace(value, f"[redacted {kind.replace('_', ' ')}]")
            assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in OTHERS.items() for value in values])
def test_what_only_looks_like_personal_data_stays(kind: str, value: str) -> None:
    for text in (value, f"It is {value}, you know."):
        assert find(text, [kind]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_personal_data_is_found_anywhere_in_a_long_text(kind: str) -> None:
    value = EXAMPLES[kind][0]
    for before in (0, 1, 1_790, 1_800, 1_900, 1_990, 1_999, 2_000, 2_001, 5_555):
        text = "word " * (before // 5) + "x" * (before % 5) + " " + value + " word" * 900
        with redacting([kind]):
            assert value not in redact(text)
            assert redact(text).count("[redacted ") == 1


def test_kinds_that_are_not_asked_for_stay() -> None:
    text = "Mail ann@example.com or call +49 30 901820."
    with redacting(["phone"]):
        assert redact(text) == "Mail ann@example.com or call [redacted phone]."
    assert redact(text) == text


def test_kinds_that_overlap_are_taken_out_once() -> None:
    with redacting(["ip", "url", "email"]):
        assert redact("see http://10.0.0.1/x now") == "see [redacted url] now"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"redact\.0.*'email'.*got 'name'"):
        Context(redact=("name",))  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("hostile", ["a.", "1-", "1 ", "a@", "www.", "0123 4567 ", "DE89 ", "://", "+49 "])
def test_hostile_texts_take_time_that_grows_with_their_length_only(hostile: str) -> None:
    text = hostile * (100_000 // len(hostile))
    with redacting(KINDS):  # a pattern that backtracks would take hours
        assert redact(f"{text}\nann@example.com").endswith("\n[redacted email]")


DATA = {kind: values[0] for kind, values in EXAMPLES.items()}


def customer_team(got: list[str]) -> tuple[Any, list[Agent]]:
    """Return a team that handles personal data, and its agents."""

    def look_up(name: str) -> str:
        """Look somebody up."""
        got.append(name)
        return "Found: " + ", ".join(DATA.values())

    def write_to(name: str) -> str:
        """Write to somebody."""
        return f"written to {DATA['email']}"

    clerk = says(
        "clerk",
        call("look_up", name=DATA["iban"]),
        call("write_to", name=DATA["email"]),
        f"It is {DATA['email']}.",
        tools=[look_up, effect(write_to)],
    )
    return sequential.build([clerk, says("writer", "Written.")]), [clerk]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_run_that_asks_for_it_sends_shows_and_keeps_no_personal_data(kind: str, tmp_path: Path) -> None:
    got: list[str] = []
    seen: list[Any] = []
    with fresh_url(kind, tmp_path) as url, open_persistence(url) as place:
        builder, (clerk,) = customer_team(got)
        graph = builder.compile(checkpointer=place.checkpointer, store=place.store, name="team")
        task = "Please help " + " and ".join(DATA.values())
        context = Context(redact=KINDS)
        result = orchestra.start(graph, place, task, thread="t", context=context, on_event=seen.append)
        again = read_result("t", graph.get_state({"configurable": {"thread_id": "t"}}))
        assert isinstance(clerk.model, ScriptedChatModel)
        sent = "\n".join(m.model_dump_json() for request in clerk.model.requests for m in request.messages)
        with place._parts.place.transaction(write=False) as execute:
            tables = {
                "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
                "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
            }[kind]
            rows = [row for (name,) in execute(tables, ()) for row in execute(f'SELECT * FROM "{name}"', ())]
        kept = "\n".join(
            part.decode("utf-8", "replace") if isinstance(part, bytes) else json.dumps(part, default=str)
            for row in rows
            for part in row
        )
        record = json.dumps(place.events("t"))
    assert result.status == "completed"
    assert got == [DATA["iban"]]  # the tool itself gets what the model wrote
    everywhere = {
        "sent": sent,
        "kept": kept,
        "record": record,
        "trace": json.dumps(seen, default=str),
        "report": result.model_dump_json() + again.model_dump_json(),
    }
    leaks = [(where, name) for where, text in everywhere.items() for name, value in DATA.items() if value in text]
    assert not leaks
    assert all("[redacted email" in text for text in everywhere.values())


def test_a_run_that_does_not_ask_for_it_keeps_what_it_was_told(tmp_path: Path) -> None:
    got: list[str] = []
    with open_persistence(tmp_path / "runs.db") as place:
        builder, (clerk,) = customer_team(got)
        graph = builder.compile(checkpointer=place.checkpointer, name="team")
        result = orchestra.start(graph, place, f"Help {DATA['phone']}", thread="t")
    assert isinstance(clerk.model, ScriptedChatModel)
    assert DATA["phone"] in clerk.model.requests[0].messages[-1].text
    assert DATA["email"] in result.model_dump_json()
