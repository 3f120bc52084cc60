"""`orchestra chat`: turns, people and days on one thread, as a user has them."""

from __future__ import annotations

import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nodes.support import quality
from openai_server import Hang, OpenAIServer, openai_server
from orchestra.__main__ import command
from orchestra.commands.lines import Decided, read_decided, typed
from orchestra.recipe import read_settings
from state import open_persistence
from state.errors import ConfigurationError, InvalidAnswer

SHOP = Path(".orchestra/support/shop.db")
started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def settled() -> Iterator[None]:
    """Let no reading and no process outlive a test."""
    yield
    while started:
        with started.pop() as process:
            process.kill()
    assert quality.settle(30)


def chat(*lines: str, name: str = "support", options: tuple[str, ...] = ()) -> Result:
    """Hold a conversation in this process, a line a turn."""
    return CliRunner().invoke(command, ["chat", name, *options], input="".join(f"{line}\n" for line in lines))


def orchestra(*words: str) -> Result:
    return CliRunner().invoke(command, words)


def spawn(*words: str, stdin: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """Run the command in a process of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    pipe = subprocess.PIPE
    command_line = [sys.executable, "-m", "orchestra", *words]
    started.append(subprocess.Popen(command_line, env=env, stdin=stdin, stdout=pipe, stderr=pipe, text=True))
    return started[-1]


def refunds() -> list[int]:
    """Return the cents of the refunds that were not in the example."""
    with closing(sqlite3.connect(SHOP)) as database:
        return [cents for (cents,) in database.execute("SELECT cents FROM refunds WHERE id > 1 ORDER BY id")]


def noted(thread: str) -> dict[str, Any]:
    """Return what is noted with a thread."""
    with open_persistence("sqlite:///.orchestra/runs.db") as persistence:
        facts = persistence.thread(thread)
    assert facts is not None
    return facts


AS_ADA = ("--thread", "a", "--set", "customer=ada@example.com")


def test_each_line_of_a_pipe_is_a_turn_and_the_answers_say_who_speaks() -> None:
    result = chat("How long can I return something?", "", "Where is my order 1003?", options=AS_ADA)
    assert result.exit_code == 0, result.stderr
    spoken = [line.partition(":")[0] for line in result.stdout.splitlines() if ": " in line]
    assert spoken[0] == "frontline"
    assert "order_desk" in spoken
    assert "within 30 days" in result.stdout
    assert "JD0146001003" in result.stdout
    assert "you> Where is my order 1003?" in result.stderr
    assert result.stderr.count("not a language model.") == 1
    assert "Continue with: orchestra chat support --thread a" in result.stderr


def test_quiet_prints_the_answers_and_nothing_else() -> None:
    result = chat("How long can I return something?", options=(*AS_ADA, "--quiet"))
    assert result.stdout.startswith("You can return any article")
    assert "you>" not in result.stderr
    assert "Continue" not in result.stderr


def test_quit_ends_it_before_the_lines_that_follow() -> None:
    result = chat("/quit", "Please refund 20 EUR for order 1001.", options=AS_ADA)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert not SHOP.exists()


def test_a_conversation_goes_on_in_other_processes_with_all_that_was_said_before() -> None:
    days = [
        ["Where is my order 1003?"],
        ["ada@example.com"],
        ["Please refund 20 EUR for order 1001."],
        ["Cancel order 1007.", "What does the warranty cover?"],
    ]
    for day in days:
        process = spawn("chat", "support", "--thread", "a")
        out, err = process.communicate("".join(f"{line}\n" for line in day), timeout=120)
        assert process.returncode == 0, err
    assert "frontline: " in out
    assert refunds() == [2000]
    with closing(sqlite3.connect(SHOP)) as database:
        turns = database.execute(
            "SELECT number, desk FROM turns JOIN tickets ON id = ticket_id WHERE thread LIKE 'a %'"
        ).fetchall()
        (customer,) = database.execute("SELECT customer_id FROM tickets WHERE thread LIKE 'a %'").fetchone()
    assert turns == [(1, "frontline"), (2, "order_desk"), (3, "refunds_desk"), (4, "order_desk"), (5, "frontline")]
    assert customer == 1


BIG = "Please refund 100 EUR for order 1006."


@pytest.mark.parametrize(
    ("decision", "paid"),
    [
        ("approve", [10000]),
        ("/approve", [10000]),
        ("edit amount=60", [6000]),
        ("/reject the photo is missing", []),
        ("respond Ask for a photo first.", []),
    ],
)
def test_a_pause_is_decided_in_the_chat(decision: str, paid: list[int]) -> None:
    result = chat(BIG, decision, "How long can I return something?", options=AS_ADA)
    assert result.exit_code == 0, result.stderr
    assert "amount: 100" in result.stderr
    assert "/approve | /edit NAME=VALUE ... | /reject [WHY] | /respond TEXT" in result.stderr
    assert "within 30 days" in result.stdout
    assert refunds() == paid


def test_what_is_no_decision_is_not_sent_and_the_end_of_the_input_leaves_the_pause_for_later() -> None:
    result = chat(BIG, "and hurry up", "edit amount=much", "edit colour=red", "edit", options=AS_ADA)
    assert result.exit_code == 3
    for wrong in ("got 'and hurry up'", "edit amount: expected a value like 100", "no argument 'colour'", "NAME=VALUE"):
        assert wrong in result.stderr
    assert refunds() == []
    later = chat("approve", options=("--thread", "a"))
    assert "amount: 100" in later.stderr
    assert later.exit_code == 0
    assert refunds() == [10000]


def test_a_pause_that_was_decided_in_another_terminal_is_noticed() -> None:
    assert chat(BIG, options=AS_ADA).exit_code == 3
    process = spawn("chat", "support", "--thread", "a")
    assert process.stdin is not None
    assert process.stderr is not None
    while "orchestra respond a" not in (line := process.stderr.readline()):
        assert line, "it ended"
    assert orchestra("approve", "a").exit_code == 0
    out, err = process.communicate(
        "approve\nHow long can I return something?\n", timeout=120
    )  # too late: it was decided
    assert process.returncode == 0, err
    assert "100.00 EUR has been refunded" in out
    assert "within 30 days" in out
    assert refunds() == [10000]


def test_a_person_answers_in_the_chat() -> None:
    result = chat("I want to speak to a human.", "respond Grace here.", options=AS_ADA)
    assert "person: Grace here." in result.stdout
    assert "Decide here: /respond TEXT" in result.stderr


def test_any_pattern_can_be_talked_to() -> None:
    result = chat("first", "second", name="single", options=("--thread", "s"))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("assistant: ") == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--set", "colour=red"), "expected KEY=VALUE with one of shop, policies, customer"),
        (("--set", "frontline=x"), "cannot be given as a text"),
        (("--set", "refund_limit=much"), "expected a number"),
        (("--set", "shop=nowhere.db"), "found none at"),
        (("--set", "customer=nobody@example.com"), "has no customer"),
    ],
)
def test_wrong_settings_are_refused_with_what_can_be_set(options: tuple[str, ...], why: str) -> None:
    result = chat("hello", options=options)
    assert result.exit_code == 2
    assert why in " ".join(result.stderr.split())


def test_settings_are_kept_with_the_conversation() -> None:
    assert chat(BIG, options=(*AS_ADA, "--set", "refund_limit=200")).exit_code == 0
    assert refunds() == [10000]
    assert noted("a")["recipe"]["build"] == {"customer": "ada@example.com", "refund_limit": 200}
    assert chat("Please refund 50 EUR for order 1006.", options=("--thread", "a")).exit_code == 0
    again = chat("hello", options=AS_ADA)
    assert again.exit_code == 2
    assert "has them already" in again.stderr


def test_a_turn_by_run_keeps_the_settings_and_the_knobs_of_the_conversation() -> None:
    assert chat("hello", options=(*AS_ADA, "--set", "refund_limit=1", "--budget-usd", "3")).exit_code == 0
    before = noted("a")
    words = ("--thread", "a", "--max-rounds", "7", "--approve-within", "2h", "--budget-tokens", "99000")
    assert orchestra("run", "support", "Please refund 50 EUR for order 1006.", *words).exit_code == 3  # not below 1 EUR
    assert refunds() == []
    after = noted("a")
    assert after["recipe"] == before["recipe"]
    told = {"max_rounds": 7, "approval_expires": 7200, "budget": {"usd": 3, "tokens": 99000}}
    assert after["context"] == {**before["context"], **told}


def test_a_thread_of_another_pattern_is_refused() -> None:
    chat("hello", name="single", options=("--thread", "s"))
    result = chat("hello", options=("--thread", "s"))
    assert result.exit_code == 2
    assert "belongs to 'single'" in result.stderr


def test_a_file_that_is_set_is_found_from_any_folder(tmp_path: Path) -> None:
    Path("my.db").touch()
    assert read_settings("support", ["shop=my.db", "customer=7"]) == {"shop": str(tmp_path / "my.db"), "customer": "7"}


@pytest.mark.loopback
def test_ctrl_c_in_a_turn_keeps_it_and_the_next_chat_finishes_it() -> None:
    with openai_server(lambda request: "Here I am.", faults=[Hang()]) as server:
        settings = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "none", "ORCHESTRA_MODEL": "openai:any"}
        process = spawn("chat", "single", "--thread", "c", **settings)
        assert process.stdin is not None
        process.stdin.write("Are you there?\n")
        process.stdin.flush()
        wait_for_request(server)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, ""), err
        assert "Continue with: orchestra chat single --thread c" in err
        process = spawn("chat", "single", "--thread", "c", **settings)
        out, err = process.communicate("", timeout=60)
    assert process.returncode == 0, err
    assert out == "assistant: Here I am.\n"


def wait_for_request(server: OpenAIServer) -> None:
    until = time.monotonic() + 60
    while not server.requests:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_on_a_terminal_there_is_a_prompt_and_ctrl_d_leaves() -> None:
    ours, theirs = pty.openpty()
    process = spawn("chat", "support", "--thread", "p", stdin=theirs)
    os.close(theirs)
    os.write(ours, b"How long can I return something?\n\x04")
    out, err = process.communicate(timeout=120)
    os.close(ours)
    assert process.returncode == 0, err
    assert "you> " in out
    assert "within 30 days" in out


@pytest.mark.parametrize(
    ("line", "decided"),
    [
        ("approve", Decided("approve", None, None, {})),
        (" /Approve ", Decided("approve", None, None, {})),
        ("approve 1a2b3c4d", Decided("approve", "1a2b3c4d", None, {})),
        ("reject 1a2b too much", Decided("reject", "1a2b", "too much", {})),
        ("reject too much", Decided("reject", None, "too much", {})),
        ("respond yes", Decided("respond", None, "yes", {})),
        ("edit amount=40 reason='two words'", Decided("edit", None, None, {"amount": "40", "reason": "two words"})),
        ("edit 1a2b3c4d a=b=c", Decided("edit", "1a2b3c4d", None, {"a": "b=c"})),
    ],
)
def test_a_decision_is_read_from_a_line(line: str, decided: Decided) -> None:
    assert read_decided(line, ["1a2b3c4d5e6f", "ffff0000"]) == decided


@pytest.mark.parametrize("line", ["yes", "approved", "edit", "edit amount", "edit =5", "edit a='open", "/quit"])
def test_a_line_that_is_no_decision_answers_nothing(line: str) -> None:
    with pytest.raises(InvalidAnswer):
        read_decided(line, [])


def test_a_changed_argument_is_of_the_kind_that_it_was() -> None:
    now = {"amount": 100, "reason": "x", "lines": [1]}
    assert typed({"amount": "40.5", "reason": "7", "lines": "[2, 3]"}, now) == {
        "amount": 40.5,
        "reason": "7",
        "lines": [2, 3],
    }
    assert typed({"new": "text"}, now) == {"new": "text"}


def test_settings_need_a_name_and_a_value() -> None:
    with pytest.raises(ConfigurationError, match="KEY=VALUE"):
        read_settings("support", ["customer"])
