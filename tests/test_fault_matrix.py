"""Every fault in every pattern: tried again, answered by a fallback, kept to a part, or failed with a type; never silent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from cases import HANGING, says
from faults import FAULTS, Fault, expected
from graphs.registry import REGISTRY
from nodes import Agent, coroutines
from state.outcome import Outcome

PATTERNS = [name for name, entry in REGISTRY.items() if not entry.is_team]
PAGE = Path(__file__).parent.parent / "docs" / "faults.md"
THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def outcomes_in(outcomes: list[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        yield outcome
        yield from outcomes_in(outcome.get("children", []))


def run(fault: Fault, pattern: str) -> tuple[dict[str, Any], list[Outcome]]:
    """Run a pattern with the worker that misbehaves; return the result and the worker's outcomes.

    Nothing is kept, so that what would be put to a person ends here.
    """
    worker = fault.build()
    builder = HANGING[pattern](REGISTRY[pattern].load(), worker, says("other", "fine", "fine", "fine"))
    result = builder.compile(name=pattern).invoke({"task": "t"})
    mine = [outcome for outcome in outcomes_in(result["outcomes"]) if outcome["agent"] == "stuck"]
    return result, mine


def code_of(fault: Fault, result: dict[str, Any], mine: list[Outcome]) -> str:
    """Return what a run came to, in the letters of the table."""
    if any(outcome["status"] == "ok" for outcome in mine):
        return {"passes": "R", "falls back": "B"}.get(fault.kind, "=")
    return {"partial": "P", "failed": "F", "stopped": "S"}.get(result["status"], "silent")


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_comes_to_what_the_table_says(fault: Fault, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault.error == "LoopBlocked":
        monkeypatch.setattr(coroutines, "PATIENCE", 0.1)
    result, mine = run(fault, pattern)
    assert mine, "the worker was never asked"
    assert code_of(fault, result, mine) == expected(fault, pattern)
    assert result["status"] == "completed" or result["reason"]
    for outcome in mine:
        assert outcome["attempts"] <= (fault.attempts if fault.kind in ("lasts", "falls back") else 12)
        assert (outcome["error"] is None) == (outcome["status"] == "ok")
        assert outcome["status"] != "ok" or outcome["output"].strip() or outcome["structured"]
        if fault.kind == "lasts" and outcome["error"] is not None:
            assert outcome["error"]["type"] in (fault.error, "CircuitOpen")  # the second after five failures in a row
            assert outcome["error"]["message"] not in result["answer"]  # an error is no answer
    assert len(result["answer"]) < 1_000_000
    assert not any("\ud800" in outcome["output"] for outcome in mine)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.kind == "lasts"], ids=lambda fault: fault.name)
def test_the_thread_is_usable_after_it(fault: Fault) -> None:
    saver = InMemorySaver()
    single = REGISTRY["single"].load()
    single.build(fault.build()).compile(checkpointer=saver, name="g").invoke({"task": "t"}, THREAD)
    well: Agent = says("stuck", "well again")
    result = single.build(well).compile(checkpointer=saver, name="g").invoke({"task": "and now?"}, THREAD)
    assert (result["status"], result["answer"]) == ("completed", "well again")


def page() -> str:
    """Return the table as it is shown to readers."""
    rows = [f"| {fault.name} | " + " | ".join(expected(fault, name) for name in PATTERNS) + " |" for fault in FAULTS]
    head = "| a worker's fault | " + " | ".join(PATTERNS) + " |"
    line = "|---|" + ":-:|" * len(PATTERNS)
    text = """# What becomes of a fault

Each row is something that one worker of a pattern does, each cell what the run comes to. `tests/test_fault_matrix.py` runs
them all.

`=` the same answer as without it · `R` tried again, and answered · `B` answered by the fallback · `P` a partial result with
the reason, what the others made is kept · `F` failed with a typed error; the thread takes the next turn

"""
    return text + "\n".join([head, line, *rows]) + "\n"


def test_the_page_shows_this_table() -> None:
    if os.environ.get("ORCHESTRA_WRITE_PAGES"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "ORCHESTRA_WRITE_PAGES=1 writes it anew"
