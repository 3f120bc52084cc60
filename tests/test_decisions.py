"""Decisions: an outcome read as one, whichever way an agent put it, and what models get wrong in ledgers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from acting import says
from nodes import Agent, HumanAgent
from nodes.decisions import (
    Choice,
    Delegation,
    Finding,
    Finish,
    ProgressLedger,
    Review,
    Route,
    TaskLedger,
    read_decision,
    read_decisions,
    with_shape,
)
from nodes.failure import without_work
from state.outcome import Failure, Outcome, OutcomeStatus

LEDGER: dict[str, dict[str, Any]] = {
    "is_request_satisfied": {"reason": "r1", "answer": False},
    "is_in_loop": {"reason": "r2", "answer": True},
    "is_progress_being_made": {"reason": "r3", "answer": True},
    "next_speaker": {"reason": "r4", "answer": "a"},
    "instruction_or_question": {"reason": "r5", "answer": "Go."},
}


def outcome(output: str = "", structured: Any = None, status: OutcomeStatus = "ok") -> Outcome:
    made = without_work("a", "a", status, Failure(type="X", message="x", retryable=False))
    return {**made, "output": output, "structured": structured}


# --- reading


@pytest.mark.parametrize("structured", [None, {"agents": ["a"], "confidence": 0.5}])
def test_a_decision_is_read_from_the_structure_or_from_json_in_the_text(structured: Any) -> None:
    route = read_decision(outcome('I choose: {"agents": ["a"], "confidence": 0.5}', structured), Route)
    assert route == Route(agents=["a"], confidence=0.5)


def test_the_structure_goes_before_the_text() -> None:
    assert read_decision(outcome('{"answer": "text"}', {"answer": "structure"}), Finish) == Finish(answer="structure")
    assert read_decision(outcome('{"answer": "text"}', {"other": 1}), Finish) is None


@pytest.mark.parametrize("status", ["failed", "timed_out", "skipped", "stopped", "cancelled", "denied"])
def test_an_outcome_that_did_not_succeed_holds_no_decision(status: OutcomeStatus) -> None:
    assert read_decision(outcome('{"answer": "text"}', {"answer": "s"}, status), Finish) is None


@pytest.mark.parametrize(
    "output", ["", "I would say a.", "{}", '{"verdict": "perhaps", "score": 1}', "[1, 2]", "{" * 500]
)
def test_an_outcome_without_one_gives_none(output: str) -> None:
    assert read_decision(outcome(output), Review) is None
    assert read_decisions(outcome(output), Delegation | Finish) == []


TWO = [{"agent": "a", "task": "x"}, {"answer": "done"}]


@pytest.mark.parametrize(
    "given_as",
    [
        outcome("", {"answers": TWO}),
        outcome(f"First {json.dumps(TWO[0])} then {json.dumps(TWO[1])}"),
        outcome(json.dumps(TWO)),
        outcome("{'agent': 'a', 'task': 'x',} {'answer': 'done'}"),
        outcome("", {"answers": [TWO[0], {"neither": 1}, "text", None, TWO[1]]}),
    ],
)
def test_several_decisions_are_read_in_order_each_in_the_shape_it_fits(given_as: Outcome) -> None:
    assert read_decisions(given_as, Delegation | Finish) == [Delegation(agent="a", task="x"), Finish(answer="done")]
    assert read_decision(given_as, Finish) == Finish(answer="done")


def test_a_decision_under_a_key_of_its_own_is_found_in_structure_and_text() -> None:
    wrapped = {"thought": "hm", "finish": {"answer": "done"}}
    assert read_decision(outcome("", wrapped), Finish) == Finish(answer="done")
    assert read_decision(outcome(json.dumps(wrapped)), Finish) == Finish(answer="done")


@given(st.text(max_size=200), st.none() | st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8)))
def test_nothing_that_an_agent_gives_raises(text: str, structured: Any) -> None:
    for shape in (Route, Review, TaskLedger, ProgressLedger, Delegation | Finish):
        read_decisions(outcome(text, structured), shape)


def test_only_an_agent_without_a_shape_is_given_one() -> None:
    plain, shaped, person = says("a", "x"), Agent("b", response_format=Finish), HumanAgent()

    async def own(task: str) -> str:
        return task

    given_one = with_shape(plain, Route)
    assert isinstance(given_one, Agent)
    assert (given_one.response_format, given_one.name, given_one.model) == (Route, "a", plain.model)
    assert plain.response_format is None
    assert [with_shape(agent, Route) for agent in (shaped, person, own)] == [shaped, person, own]


# --- ledgers


@pytest.mark.parametrize("answer", [True, "true", "Yes", "yes.", "YES, of course", 1, "**yes**", "on"])
def test_a_yes_in_words_is_true(answer: Any) -> None:
    assert Finding.model_validate({"answer": answer}).answer is True
    assert Finding.model_validate({"reason": "r", "Answer": answer}).answer is True


@pytest.mark.parametrize("answer", [False, "false", "No", "no, not yet", "NO!", 0, "`no`"])
def test_a_no_in_words_is_false(answer: Any) -> None:
    assert Finding.model_validate({"answer": answer}).answer is False


@pytest.mark.parametrize("answer", ["perhaps", "", None, [], "not", 2, {}])
def test_what_is_neither_yes_nor_no_is_refused(answer: Any) -> None:
    with pytest.raises(ValidationError):
        Finding.model_validate({"answer": answer})


def test_an_answer_without_its_reason_or_without_its_object_is_taken() -> None:
    assert Finding.model_validate(True) == Finding(answer=True)
    assert Finding.model_validate("no") == Finding(answer=False)
    assert Choice.model_validate("a") == Choice(answer="a")
    assert Choice.model_validate(None) == Choice(answer=""), "nobody is named when nobody has to go on"
    assert Choice.model_validate({"answer": None, "reason": "done"}) == Choice(answer="", reason="done")


def test_keys_are_known_in_whatever_way_they_are_written() -> None:
    as_meant = ProgressLedger.model_validate(LEDGER)
    for spelled in (str.upper, str.title, lambda key: key.replace("_", " "), lambda key: key.replace("_", "-")):
        odd = {spelled(key): {spelled(k): v for k, v in part.items()} for key, part in LEDGER.items()}
        assert ProgressLedger.model_validate(odd) == as_meant
    assert as_meant.model_dump() == LEDGER


@pytest.mark.parametrize("missing", LEDGER)
def test_a_ledger_without_one_of_the_five_keys_is_none(missing: str) -> None:
    assert (
        read_decision(outcome("", {key: part for key, part in LEDGER.items() if key != missing}), ProgressLedger)
        is None
    )


def test_lists_of_a_task_ledger_are_read_from_texts_and_objects_as_well() -> None:
    ledger = TaskLedger.model_validate(
        {"Facts": "- It is old.\n- It is tall.\n", "plan": [{"step": "Look.", "by": "a"}, " Write. ", "", 7]}
    )
    assert ledger == TaskLedger(facts=["It is old.", "It is tall."], plan=["Look., a", "Write.", "7"])


def test_a_damaged_task_ledger_is_not_taken_for_one_of_the_objects_in_it() -> None:
    text = '{"facts": [{"fact": "It is old."}], "plan": ["Look."],}'
    assert read_decision(outcome(text), TaskLedger) == TaskLedger(facts=["It is old."], plan=["Look."])
    assert read_decision(outcome(json.dumps(LEDGER)), TaskLedger) is None
    assert read_decision(outcome("{}"), TaskLedger) == TaskLedger()


def test_a_ledger_asks_for_the_published_keys() -> None:
    schema = ProgressLedger.model_json_schema()
    assert schema["required"] == list(LEDGER)
    assert schema["$defs"]["Finding"]["properties"]["answer"]["type"] == "boolean"
    assert TaskLedger.model_json_schema()["properties"]["facts"]["items"] == {"type": "string"}
