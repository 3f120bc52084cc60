"""Sequential: what a failure in the chain leaves."""

from __future__ import annotations

from langchain_core.messages import HumanMessage

from acting import fails, run, says, statuses, told
from graphs import sequential
from nodes import Policy
from state import Budget


def test_a_failure_in_the_middle_keeps_what_was_made_and_asks_nobody_else() -> None:
    last = says("c")
    result = run(sequential.build([says("a", "one"), fails("b"), last]))
    assert (result["answer"], result["status"], result["reason"]) == ("one", "partial", "b failed (ValueError: broken)")
    assert list(statuses(result)) == ["a", "b"]


def test_a_failure_at_the_start_is_a_failure_without_an_answer() -> None:
    result = run(sequential.build([fails("a"), says("b")]))
    assert (result["answer"], result["status"]) == ("", "failed")
    assert [type(message) for message in result["messages"]] == [HumanMessage]


def test_who_is_skipped_is_left_out_of_what_the_next_one_is_told() -> None:
    last = says("c", "three")
    skipped = says("b", ValueError("x"), policy=Policy(on_failure="skip"))
    result = run(sequential.build([says("a", "one"), skipped, last]))
    assert told(last) == "the task\n\nContext from a:\none"
    assert (result["answer"], result["status"], result["reason"]) == ("three", "partial", "b skipped (ValueError: x)")


def test_a_chain_that_a_budget_stops_is_stopped_with_what_it_made() -> None:
    agents = [says(name, name.upper()) for name in "abc"]
    result = run(sequential.build(agents), budget=Budget(model_calls=2))
    assert (result["answer"], result["status"]) == ("B", "stopped")
