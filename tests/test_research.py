"""The research team: cited, checked, honest about what is missing, and pausing when asked to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from graphs.teams import research
from nodes import ScriptedChatModel
from nodes.research.citations import find_claims
from nodes.scripted import call
from state import Budget, Context
from state.graph import Pattern
from tools import open_corpus

BEES = "# Bees\n\nA honey bee colony has one queen. The queen lays up to 2000 eggs a day in summer.\n"
WASPS = "# Wasps\n\nA wasp colony dies in winter. Only young queens survive the winter.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "bees.md").write_text(BEES)
    (docs / "wasps.md").write_text(WASPS)
    return docs


def ids(folder: Path) -> dict[str, str]:
    """Return the passage id of each document."""
    with open_corpus(folder) as corpus:
        found = corpus.search("queen colony winter eggs", limit=5)
    return {Path(passage.source).stem: passage.id for passage in found}


def findings(answer: str, passage: str = "", missing: str = "") -> dict[str, Any]:
    quotes = [{"passage": passage, "quote": answer}] if passage else []
    return {"answer": answer, "quotes": quotes, "missing": missing}


def by_part(parts: dict[str, Any]) -> list[Any]:
    """Return researcher steps that answer by the part they are given, in whatever order the branches run."""

    def step(messages: Any) -> Any:
        text = next(m.text for m in messages if m.type == "human")
        answer = next(value for part, value in parts.items() if part in text)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return [step] * len(parts)


def script(folder: Path, *, drafts: list[Any], reviews: list[Any], **researcher: Any) -> ScriptedChatModel:
    known = ids(folder)
    parts = {
        "bees": researcher.get("bees", findings(f"The queen lays 2000 eggs. [{known['bees']}]", known["bees"])),
        "wasps": researcher.get("wasps", findings(f"Only young queens survive. [{known['wasps']}]", known["wasps"])),
    }
    return ScriptedChatModel(
        by_agent={
            "planner": [{"items": ["What of bees?", "What of wasps?"]}],
            "researcher": by_part(parts),
            "writer": drafts,
            "fact_checker": reviews,
        }
    )


GOOD = {"verdict": "accept", "issues": [], "score": 1.0}


def good_draft(folder: Path) -> str:
    known = ids(folder)
    return (
        f"The queen of a honey bee colony lays up to 2000 eggs a day [{known['bees']}]. "
        f"A wasp colony dies in winter [{known['wasps']}]."
    )


def ask(model: ScriptedChatModel, folder: Path, graph: Pattern = research.graph, **context: Any) -> dict[str, Any]:
    result: dict[str, Any] = graph.invoke(
        {"task": "Compare bees and wasps."}, context=Context(model=model, corpus=str(folder), **context)
    )
    return result


def test_a_report_has_numbered_references_with_the_passages_quoted(folder: Path) -> None:
    with script(folder, drafts=[good_draft(folder)], reviews=[GOOD]) as model:
        result = ask(model, folder)
    assert (result["status"], result["reason"]) == ("completed", "")
    assert "2000 eggs a day [1]." in result["answer"]
    assert "A wasp colony dies in winter [2]." in result["answer"]
    assert "**[1]** `bees.md`, Bees, line" in result["answer"]
    assert "> A wasp colony dies in winter. Only young queens survive the winter." in result["answer"]
    assert [reference["source"] for reference in result["structured"]["references"]] == ["bees.md", "wasps.md"]


def test_each_agent_is_told_only_what_it_needs(folder: Path) -> None:
    with script(folder, drafts=[good_draft(folder)], reviews=[GOOD]) as model:
        ask(model, folder)
    told = {request.agent: request.messages[-1].text for request in model.requests}
    assert "wasps" not in next(
        r.messages[-1].text for r in model.requests if "bees" in r.messages[-1].text and r.agent == "researcher"
    )
    assert "Draft:" not in told["researcher"]
    assert "<passage id=" in told["writer"]
    assert "Draft:" in told["fact_checker"]


def test_a_made_up_passage_is_never_a_source_and_never_a_reference(folder: Path) -> None:
    invented = findings(f"Bees can count [p:0123456789] and lay [{ids(folder)['bees']}].", "p:0123456789")
    draft = good_draft(folder).replace("A wasp", "Bees can count to four [p:0123456789]. A wasp")
    with script(folder, drafts=[draft, good_draft(folder)], reviews=[GOOD, GOOD], bees=invented) as model:
        result = ask(model, folder)
    assert "p:0123456789" not in result["answer"]
    feedback = [request.messages[-1].text for request in model.requests if request.agent == "writer"][1]
    assert "cites p:0123456789, which is not among the sources" in feedback


def test_what_stays_unsupported_after_the_last_round_is_marked_so(folder: Path) -> None:
    wrong = good_draft(folder).replace("2000", "9000")
    with script(folder, drafts=[wrong, f"Well. {wrong}"], reviews=[GOOD, GOOD]) as model:
        result = ask(model, folder, max_rounds=2)
    assert result["status"] == "partial"
    assert "9000 eggs a day [1]. (unsupported)" in result["answer"]
    assert len(result["structured"]["unsupported"]) == 1
    assert "A wasp colony dies in winter [2]." in result["answer"]


def test_a_researcher_that_fails_leaves_a_report_that_says_what_is_missing(folder: Path) -> None:
    draft = f"The queen lays up to 2000 eggs a day [{ids(folder)['bees']}]."
    with script(folder, drafts=[draft], reviews=[GOOD], wasps=ValueError("no luck")) as model:
        result = ask(model, folder)
    assert result["status"] == "partial"
    assert "## What is missing" in result["answer"]
    assert "What of wasps?" in result["answer"]
    assert "ValueError" in result["reason"]
    assert "2000 eggs a day [1]." in result["answer"]


def test_documents_that_do_not_answer_give_an_abstention(folder: Path) -> None:
    nothing = findings("", missing="Nothing about hornets was found.")
    with script(folder, drafts=[], reviews=[], bees=nothing, wasps=nothing) as model:
        result = ask(model, folder)
    assert result["status"] == "completed"
    assert "The documents do not answer this question." in result["answer"]
    assert "Nothing about hornets was found." in result["answer"]


def test_a_planner_that_fails_is_a_typed_failure(folder: Path) -> None:
    model = ScriptedChatModel(by_agent={"planner": [ValueError("confused")]})
    result = ask(model, folder)
    assert (result["status"], result["answer"]) == ("failed", "")
    assert "ValueError: confused" in result["reason"]


def test_a_researcher_searches_reads_and_reports(folder: Path) -> None:
    known = ids(folder)
    steps = [call("search_documents", query="queen eggs"), findings(f"Up to 2000. [{known['bees']}]", known["bees"])]
    model = ScriptedChatModel(
        by_agent={
            "planner": [{"items": ["How many eggs does a queen bee lay?"]}],
            "researcher": steps,
            "writer": [f"The queen lays up to 2000 eggs a day [{known['bees']}]."],
            "fact_checker": [GOOD],
        }
    )
    with model:
        result = ask(model, folder)
    assert result["status"] == "completed"
    shown = next(r.messages[-1].text for r in model.requests if r.messages[-1].type == "tool")
    assert f'<passage id="{known["bees"]}"' in shown


@pytest.mark.parametrize("decision", ["approve", "edit", "reject", "respond"])
def test_a_person_decides_before_the_report_is_written(folder: Path, decision: str) -> None:
    graph = research.build(approve_report=True).compile(checkpointer=InMemorySaver(), name="research")
    config: Any = {"configurable": {"thread_id": "t"}}
    shorter = f"A wasp colony dies in winter [{ids(folder)['wasps']}]."
    drafts = [good_draft(folder), shorter] if decision == "respond" else [good_draft(folder)]
    with script(folder, drafts=drafts, reviews=[GOOD] * len(drafts)) as model:
        context = Context(model=model, corpus=str(folder))
        paused = graph.invoke({"task": "Compare."}, config, context=context)
        (request,) = graph.get_state(config).interrupts
        assert paused["messages"][-1].tool_calls[0]["name"] == "write_report"
        answers: dict[str, dict[str, Any]] = {
            "approve": {"type": "approve"},
            "edit": {"type": "edit", "edited_action": {"name": "write_report", "args": {"report": shorter}}},
            "reject": {"type": "reject", "message": "not now"},
            "respond": {"type": "respond", "message": "Only wasps, please."},
        }
        result = graph.invoke(Command(resume={request.id: {"decisions": [answers[decision]]}}), config, context=context)
        if decision == "respond":
            (again,) = graph.get_state(config).interrupts
            assert again.id != request.id
            answer = {again.id: {"decisions": [{"type": "approve"}]}}
            result = graph.invoke(Command(resume=answer), config, context=context)
    if decision == "reject":
        assert (result["status"], result["answer"], result["reason"]) == ("stopped", "", "rejected: not now")
    else:
        assert result["status"] == "completed"
        assert ("2000 eggs" in result["answer"].split("## References")[0]) == (decision == "approve")
    if decision == "respond":
        feedback = [r.messages[-1].text for r in model.requests if r.agent == "writer"][1]
        assert "Only wasps, please." in feedback


def test_a_budget_stops_the_team_with_what_it_has(folder: Path) -> None:
    model = script(folder, drafts=[good_draft(folder)], reviews=[GOOD])
    result = ask(model, folder, budget=Budget(model_calls=3))
    assert len(model.requests) == 3
    assert result["status"] in ("partial", "stopped")
    assert "BudgetExceeded" in result["reason"]


def test_the_embedded_engine_answers_from_the_language_reference() -> None:
    result = research.graph.invoke({"task": "How does Python resolve a name in a nested scope?"})
    assert result["status"] == "completed"
    assert "python-reference/" in result["answer"]
    references = {reference["id"]: reference["text"] for reference in result["structured"]["references"]}
    assert references
    body = result["answer"].split("## References")[0]
    assert "scope" in body
    assert "[1]" in body
    assert find_claims(body)
