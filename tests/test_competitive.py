"""The competitive team: every cell cited, both sides of a conflict, and what is missing said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, says
from graphs.teams import competitive
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.competitive.figures import agree, contradict, phrase_of
from nodes.competitive.scoping import read_comparison
from nodes.scripted import Step, call
from state import Budget, ConfigurationError, Context
from state.graph import Pattern
from tools import open_corpus

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "competitive"
TASK = "Compare Acme and Globex on price and support"
SUMMARY = "Acme costs 8 USD per month {acme}."

DOCUMENTS = {
    "acme": "# Acme\n\nAcme costs 8 USD per month. Acme is not sold in shops.\n",
    "globex": "# Globex\n\nGlobex costs 9 USD per month. Globex answers by phone.\n",
    "list": "# List\n\nGlobex is sold for 12 USD per month.\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in DOCUMENTS.items():
        (docs / f"{name}.md").write_text(text)
    return docs


def ids(folder: Path) -> dict[str, str]:
    """Return the passage id of each document, in brackets."""
    with open_corpus(folder) as corpus:
        found = corpus.search("Acme Globex USD", limit=5)
    return {Path(passage.source).stem: f"[{passage.id}]" for passage in found}


def fact(aspect: str, value: str, quote: str, passage: str) -> dict[str, str]:
    return {"aspect": aspect, "value": value, "quote": quote, "passage": passage.strip("[]")}


def profile(competitor: str, *facts: dict[str, str]) -> dict[str, Any]:
    return {"competitor": competitor, "facts": list(facts)}


def acme(folder: Path, **changed: str) -> dict[str, Any]:
    plain = {"value": "8 USD per month", "quote": "Acme costs 8 USD per month.", "passage": ids(folder)["acme"]}
    return profile("Acme", fact("price", **{**plain, **changed}))


def globex(folder: Path) -> dict[str, Any]:
    known = ids(folder)
    return profile(
        "Globex",
        fact("price", "9 USD per month", "Globex costs 9 USD per month.", known["globex"]),
        fact("price", "12 USD per month", "Globex is sold for 12 USD per month.", known["list"]),
        fact("support", "by phone", "Globex answers by phone.", known["globex"]),
    )


def script(folder: Path, **steps: Any) -> ScriptedChatModel:
    """Return a model that plays the team; an argument replaces what that agent answers."""
    plan = {"competitors": ["Acme", "Globex"], "aspects": ["price", "support"]}
    summary = SUMMARY.format(**ids(folder))
    return ScriptedChatModel(
        by_agent={
            "planner": steps.get("planner", [plan]),
            "researcher": [
                Step(steps.get("acme", acme(folder)), match="say of Acme", delay=steps.get("delay", 0.0)),
                Step(steps.get("globex", globex(folder)), match="say of Globex"),
            ],
            "writer": steps.get("writer", [summary]),
        }
    )


def ask(
    model: ScriptedChatModel, folder: Path, graph: Pattern = competitive.graph, task: str = TASK, **context: Any
) -> dict[str, Any]:
    result: dict[str, Any] = graph.invoke({"task": task}, context=Context(model=model, corpus=str(folder), **context))
    return result


def rows(result: dict[str, Any]) -> list[str]:
    return [line for line in result["answer"].splitlines() if line.startswith("|")]


def test_every_cell_cites_the_passages_that_state_it(folder: Path) -> None:
    with script(folder) as model:
        result = ask(model, folder)
    assert (result["status"], result["reason"]) == ("completed", "")
    assert rows(result) == [
        "|  | Acme | Globex |",
        "| --- | --- | --- |",
        "| **price** | 8 USD per month [1] | 9 USD per month [2] **or** 12 USD per month [3] (sources differ) |",
        "| **support** | not stated | by phone [2] |",
    ]
    assert "Acme costs 8 USD per month [1]." in result["answer"]
    assert "**[3]** `list.md`, List, line" in result["answer"]
    assert [reference["source"] for reference in result["structured"]["references"]] == [
        "acme.md",
        "globex.md",
        "list.md",
    ]
    assert [outcome["id"] for outcome in result["outcomes"]] == ["planner", "researcher", "researcher#2", "writer"]


def test_where_documents_differ_both_sides_are_given_with_their_quotes(folder: Path) -> None:
    with script(folder) as model:
        result = ask(model, folder)
    (conflict,) = result["structured"]["conflicts"]
    assert (conflict["competitor"], conflict["aspect"]) == ("Globex", "price")
    assert [(each["value"], each["source"]) for each in conflict["statements"]] == [
        ("9 USD per month", "globex.md"),
        ("12 USD per month", "list.md"),
    ]
    assert '- 9 USD per month [2], `globex.md`: "Globex costs 9 USD per month."' in result["answer"]
    assert '- 12 USD per month [3], `list.md`: "Globex is sold for 12 USD per month."' in result["answer"]
    assert result["structured"]["table"]["price"]["Globex"] == {
        "state": "sources differ",
        "values": [{"value": "9 USD per month", "references": [2]}, {"value": "12 USD per month", "references": [3]}],
    }


def test_what_the_documents_do_not_state_is_said(folder: Path) -> None:
    with script(folder) as model:
        result = ask(model, folder)
    assert result["structured"]["table"]["support"]["Acme"] == {"state": "not stated", "values": []}
    assert result["structured"]["gaps"] == ["Acme, support: not stated in the documents."]
    assert "## What is missing\n\n- Acme, support: not stated in the documents." in result["answer"]


def test_each_researcher_is_told_of_its_own_competitor_only(folder: Path) -> None:
    with script(folder) as model:
        ask(model, folder)
    told = [request.messages[-1].text for request in model.requests if request.agent == "researcher"]
    assert sorted("Globex" if "Globex" in text else "Acme" for text in told) == ["Acme", "Globex"]
    assert all(("Acme" in text) != ("Globex" in text) for text in told)
    assert all("- price\n- support" in text for text in told)
    tools = next(request.tool_names for request in model.requests if request.agent == "researcher")
    assert {"search_documents", "read_passage", "list_documents"} <= set(tools) <= {
        "search_documents", "read_passage", "list_documents", "Profile",
    }  # fmt: skip


def test_the_writer_is_told_the_table_the_differences_and_the_quotes_alone(folder: Path) -> None:
    with script(folder) as model:
        ask(model, folder)
    told = next(request.messages[-1].text for request in model.requests if request.agent == "writer")
    assert f"8 USD per month {ids(folder)['acme']}" in told
    assert "Differences:\n- **Globex, price**" in told
    assert "Globex answers by phone." in told
    assert "not sold in shops" not in told


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"quote": "Acme costs 5 USD per month."}, "its quote is not in the passage"),
        ({"value": "5 USD per month"}, "its quote does not say 5"),
        ({"passage": "p:0123456789"}, "it names p:0123456789, which does not exist"),
        ({"quote": "sold in shops", "value": "sold in shops"}, "its quote leaves out the word 'not' in front of it"),
        ({"quote": " "}, "it has no quote"),
        ({"quote": "...", "value": "cheap"}, "its quote is not in the passage"),
        ({"quote": "cost", "value": "cheap"}, "its quote is not in the passage"),
    ],
)
def test_a_fact_that_its_passage_does_not_bear_out_is_dropped_and_counted(
    folder: Path, changed: dict[str, str], why: str
) -> None:
    true = fact("support", "not sold in shops", "Acme is not sold in shops.", ids(folder)["acme"])
    wrong = acme(folder, **changed)["facts"][0]
    with script(folder, acme=profile("Acme", true, wrong)) as model:
        result = ask(model, folder)
    assert result["structured"]["table"]["price"]["Acme"]["state"] == "not stated"
    assert result["structured"]["dropped"] == 1
    assert [each["reason"] for each in result["structured"]["profiles"][0]["dropped"]] == [why]
    assert result["status"] == "partial"
    assert f"Acme, price: a statement was left out, because {why}." in result["reason"]
    assert result["structured"]["table"]["support"]["Acme"]["state"] == "stated"


def test_a_fact_about_something_else_is_dropped_and_a_near_name_of_an_aspect_is_understood(folder: Path) -> None:
    answer = acme(folder)
    answer["facts"] = [{**answer["facts"][0], "aspect": aspect} for aspect in ("Price (monthly)", "colour")]
    with script(folder, acme=answer) as model:
        result = ask(model, folder)
    assert result["structured"]["table"]["price"]["Acme"]["state"] == "stated"
    assert (result["structured"]["dropped"], result["status"]) == (1, "completed")


def test_facts_are_looked_up_where_a_researcher_gives_none_that_holds(folder: Path) -> None:
    with script(folder, acme=profile("Acme")) as model:
        result = ask(model, folder)
    assert rows(result)[2].startswith("| **price** | 8 USD per month [1] |")
    assert [each["found_by"] for each in result["structured"]["profiles"]] == ["search", "agent"]


def test_a_sentence_of_the_summary_that_nothing_bears_out_is_marked(folder: Path) -> None:
    known = ids(folder)
    summary = (
        f"Acme costs 80 USD per month {known['acme']}. Globex answers by phone {known['globex']}.\n\nMore p:0123456789."
    )
    with script(folder, writer=[summary]) as model:
        result = ask(model, folder)
    assert result["status"] == "partial"
    assert "Acme costs 80 USD per month [1]. (unsupported)" in result["answer"]
    assert "Globex answers by phone [2]." in result["answer"]
    assert len(result["structured"]["unsupported"]) == 2
    assert "unsupported: Acme costs 80 USD per month" in result["reason"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(ValueError("no luck"), "ValueError: no luck"), (Step("late", delay=60), "AttemptTimeout")],
)
def test_a_competitor_nobody_could_research_is_named_and_the_others_are_kept(
    folder: Path, answer: Any, why: str
) -> None:
    model = script(folder)
    given = answer if isinstance(answer, Step) else Step(answer)
    steps = [Step(given.answer, delay=given.delay, match="say of Acme")] * 4
    steps.append(Step(globex(folder), match="say of Globex"))
    stuck = Agent(
        "researcher",
        model=ScriptedChatModel(by_agent={"researcher": steps}),
        policy=Policy(timeout=0.5 if given.delay else 30, max_attempts=1),
    )
    result = ask(model, folder, competitive.build(researcher=stuck).compile(name="competitive"))
    assert result["status"] == "partial"
    assert why in result["reason"]
    assert result["structured"]["table"]["price"]["Acme"] == {"state": "not researched", "values": []}
    assert result["structured"]["gaps"][0].startswith("Acme: not researched, researcher ")
    assert "| **support** | not researched | by phone [" in result["answer"]


def test_researchers_that_all_fail_give_a_typed_failure_and_no_answer(folder: Path) -> None:
    with script(folder, acme=ValueError("one"), globex=ValueError("two"), writer=[]) as model:
        result = ask(model, folder)
    assert (result["status"], result["answer"]) == ("failed", "")
    assert "ValueError: one" in result["reason"]
    assert "ValueError: two" in result["reason"]


@pytest.mark.parametrize(
    "answer", [ValueError("confused"), {"competitors": [], "aspects": []}, {"competitors": ["Compare Acme"]}]
)
def test_a_planner_that_fails_or_says_nothing_is_replaced_by_what_the_task_lists(folder: Path, answer: Any) -> None:
    with script(folder, planner=[answer]) as model:
        result = ask(model, folder)
    assert rows(result)[0] == "|  | Acme | Globex |"
    failed = isinstance(answer, Exception)
    assert result["status"] == ("partial" if failed else "completed")
    assert ("ValueError: confused" in result["reason"]) is failed


def test_a_planner_looks_into_the_documents_when_the_task_names_nobody(folder: Path) -> None:
    plan = [call("list_documents"), {"competitors": ["Acme", "Globex", "Hooli"], "aspects": ["price", "support"]}]
    with script(folder, planner=plan) as model:
        result = ask(model, folder, task="Compare the vendors in these documents")
    shown = next(r.messages[-1].text for r in model.requests if r.messages[-1].type == "tool")
    assert "acme.md" in shown
    assert rows(result)[0] == "|  | Acme | Globex |", "a name that is nowhere is nobody"


def test_a_competitor_of_the_task_that_no_document_mentions_keeps_its_column(folder: Path) -> None:
    plan = {"competitors": ["Acme", "Hooli"], "aspects": ["price"]}
    steps: dict[str, list[Any]] = {
        "planner": [plan],
        "researcher": [Step(acme(folder), match="of Acme"), Step(profile("Hooli"), match="of Hooli")],
        "writer": [SUMMARY.format(**ids(folder))],
    }
    with ScriptedChatModel(by_agent=steps) as model:
        result = ask(model, folder, task="Compare Acme and Hooli on price")
    assert rows(result)[2] == "| **price** | 8 USD per month [1] | not stated |"
    assert result["status"] == "completed"


def test_nobody_to_compare_is_a_typed_failure(folder: Path) -> None:
    with ScriptedChatModel(by_agent={"planner": [{"competitors": [], "aspects": []}]}) as model:
        result = ask(model, folder, task="compare them all")
    assert (result["status"], result["answer"]) == ("failed", "")
    assert result["reason"] == "neither the task nor the documents name a competitor"


def test_competitors_beyond_the_limit_are_named(folder: Path) -> None:
    steps: dict[str, list[Any]] = {
        "planner": [{"competitors": ["Acme", "Globex"], "aspects": ["price"]}],
        "researcher": [acme(folder)],
        "writer": [SUMMARY.format(**ids(folder))],
    }
    with ScriptedChatModel(by_agent=steps) as model:
        result = ask(model, folder, max_items=1)
    assert result["status"] == "partial"
    assert "Not researched, beyond max_items=1: Globex." in result["structured"]["gaps"]


def test_a_writer_that_fails_leaves_the_table(folder: Path) -> None:
    with script(folder, writer=[ValueError("no words")]) as model:
        result = ask(model, folder)
    assert result["status"] == "partial"
    assert "No summary: writer failed (ValueError: no words)." in result["answer"]
    assert len(rows(result)) == 4


@pytest.mark.parametrize("calls", range(4))
def test_a_budget_stops_the_team_with_what_it_has(folder: Path, calls: int) -> None:
    model = script(folder)
    result = ask(model, folder, budget=Budget(model_calls=calls))
    assert len(model.requests) == calls
    assert result["status"] == ("stopped" if calls < 2 else "partial")
    assert "BudgetExceeded" in result["reason"]
    assert bool(result["answer"]) == (calls >= 2)


async def test_a_run_cut_off_after_any_step_ends_the_same_and_repeats_no_finished_agent(folder: Path) -> None:
    thread: RunnableConfig = {"configurable": {"thread_id": "t"}}
    with script(folder) as model:
        whole = ask(model, folder)
    given = {"task": TASK}
    context = Context(model=script(folder), corpus=str(folder))
    steps = [part async for part in competitive.graph.astream(given, context=context)]
    for cut in range(1, len(steps)):
        saver = InMemorySaver()
        graph = competitive.build().compile(checkpointer=saver, name="competitive")
        with script(folder) as model:
            context = Context(model=model, corpus=str(folder))
            run = graph.astream(given, thread, context=context, interrupt_after="*")
            done = len([part async for part in run])
            while done < cut and (await graph.aget_state(thread)).tasks:
                run = graph.astream(None, thread, context=context, interrupt_after="*")
                done += len([part async for part in run])
            reborn = competitive.build().compile(checkpointer=saver, name="competitive")
            result = await reborn.ainvoke(None, thread, context=context)
        assert result["answer"] == whole["answer"]
        assert [o["id"] for o in result["outcomes"]] == [o["id"] for o in whole["outcomes"]]


def test_a_second_turn_starts_clean(folder: Path) -> None:
    graph = competitive.build().compile(checkpointer=InMemorySaver(), name="competitive")
    thread: RunnableConfig = {"configurable": {"thread_id": "t"}}
    for _ in range(2):
        with script(folder) as model:
            result = graph.invoke({"task": TASK}, thread, context=Context(model=model, corpus=str(folder)))
    assert (result["status"], len(result["outcomes"]), len(rows(result))) == ("completed", 4, 4)


def test_people_may_be_the_researchers_and_are_answered_one_by_one(folder: Path) -> None:
    builder = competitive.build(
        planner=says("planner", {"competitors": ["Acme", "Globex"], "aspects": ["price", "support"]}),
        researcher=HumanAgent("person"),
        writer=fails("writer"),
    )
    graph = builder.compile(checkpointer=InMemorySaver(), name="competitive")
    thread: RunnableConfig = {"configurable": {"thread_id": "t"}}
    context = Context(corpus=str(folder))
    graph.invoke({"task": TASK}, thread, context=context)
    first, second = graph.get_state(thread).interrupts
    answers = {first.id: "I do not know.", second.id: json.dumps(globex(folder))}
    for request, text in answers.items():
        decision = {"decisions": [{"type": "respond", "message": text}]}
        result = graph.invoke(Command(resume={request: decision}), thread, context=context)
    assert rows(result)[2].startswith("| **price** | 8 USD per month [1] | 9 USD per month [2]")
    assert [each["found_by"] for each in result["structured"]["profiles"]] == ["search", "agent"]


def test_what_cannot_be_an_agent_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="agents: expected an Agent"):
        competitive.build(writer=7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="different names"):
        competitive.build(writer=Agent("researcher"))


def test_the_embedded_engine_compares_the_sample_vendors() -> None:
    task = "Compare Acme, Globex and Initech on price, storage and support"
    result = competitive.graph.invoke({"task": task}, context=Context(corpus=str(SAMPLE)))
    table = result["structured"]["table"]
    said = {(aspect, name): cell["values"] for aspect, cells in table.items() for name, cell in cells.items()}
    assert result["status"] == "completed"
    assert {key: [each["value"] for each in values] for key, values in said.items() if key[0] != "support"} == {
        ("price", "Acme"): ["8 USD per user per month"],
        ("price", "Globex"): ["9 USD per user per month", "12 USD"],
        ("price", "Initech"): ["6 USD per user per month"],
        ("storage", "Acme"): ["1 TB of storage", "2 TB of storage"],
        ("storage", "Globex"): ["3 TB of storage"],
        ("storage", "Initech"): ["500 GB of storage"],
    }
    assert "by phone on working days" in said["support", "Acme"][0]["value"]
    assert "around the clock" in said["support", "Globex"][0]["value"]
    assert all(each["references"] for values in said.values() for each in values)
    found = {
        (c["competitor"], c["aspect"]): [s["source"] for s in c["statements"]]
        for c in result["structured"]["conflicts"]
    }
    assert found == {
        ("Acme", "storage"): ["acme-datasheet.md", "acme-press-note.md"],
        ("Globex", "price"): ["globex-datasheet.md", "price-list.md"],
    }
    assert result["structured"]["gaps"] == ["Initech, support: not stated in the documents."]
    assert result["answer"].count("(sources differ)") == 2


def test_the_embedded_engine_finds_out_who_is_compared_on_what() -> None:
    result = competitive.graph.invoke(
        {"task": "Compare the vendors in these documents"}, context=Context(corpus=str(SAMPLE))
    )
    table = result["structured"]["table"]
    assert list(table) == ["price", "storage", "security"]
    assert list(table["price"]) == ["Acme", "Globex", "Initech"]
    assert [each["value"] for each in table["security"]["Globex"]["values"]] == [
        "Files are encrypted with keys that the customer may hold",
        "Sign-on works over SAML and OpenID Connect",
    ]


@pytest.mark.parametrize(
    ("task", "competitors", "aspects"),
    [
        (
            "Compare Acme, Globex and Initech on price, storage, and support.",
            "Acme Globex Initech",
            "price storage support",
        ),
        ("How do Acme and Globex compare in terms of price?", "Acme Globex", "price"),
        ("Acme vs. Globex vs Initech: price and support", "Acme Globex Initech", "price support"),
        ("Please compare Acme with Globex.", "Acme Globex", ""),
        ("Compare the vendors on price and support", "", "price support"),
        ("What is a closure?", "", ""),
    ],
)
def test_a_task_says_who_is_compared_on_what(task: str, competitors: str, aspects: str) -> None:
    found = read_comparison(task)
    assert (found.competitors, found.aspects) == (competitors.split(), aspects.split())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9 USD per user per month", "12 USD"),
        ("1 TB of storage", "2 TB"),
        ("open source", "proprietary"),
        ("free", "8 USD"),
        ("24/7 phone support", "phone support on working days"),
        ("Encryption at rest is included in every plan", "Encryption at rest is not included in every plan"),
    ],
)
def test_values_of_which_only_one_can_hold_contradict(one: str, other: str) -> None:
    assert contradict(one, other)
    assert contradict(other, one)
    assert not agree(one, other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("$8", "8 USD per user per month", True),
        ("1 TB", "1,000 GB", True),
        ("eight hours", "8 hours", True),
        ("phone on working days", "phone on working days, in English", True),
        ("Team: 9 USD", "Business: 15 USD", False),
        ("8 USD per month", "96 USD per year", False),
        ("8 USD per month", "8 USD per year", False),
        ("99.9% uptime", "replies within 4 hours", False),
    ],
)
def test_values_that_can_both_hold_do_not_contradict(one: str, other: str, same: bool) -> None:
    assert not contradict(one, other)
    assert agree(one, other) is same


def test_the_figure_of_a_sentence_is_taken_only_when_it_says_what_it_measures() -> None:
    assert phrase_of("Acme costs 8 USD per user per month, billed yearly.") == "8 USD per user per month"
    assert phrase_of("It costs $1,200.50 per year.") == "$1,200.50 per year"
    assert phrase_of("It is made for 500 people.") == ""
    assert phrase_of("9 USD for teams, 15 USD for firms.") == ""


def test_a_document_that_states_two_values_means_two_things(folder: Path) -> None:
    (folder / "acme.md").write_text("# Acme\n\nAcme costs 8 USD per month. Acme costs 11 USD per month for firms.\n")
    (folder / "shop.md").write_text("# Shop\n\nAcme is sold for 8 USD per month.\n")
    known = ids(folder)
    answer = profile(
        "Acme",
        fact("price", "8 USD", "Acme costs 8 USD per month.", known["acme"]),
        fact("price", "11 USD", "Acme costs 11 USD per month for firms.", known["acme"]),
        fact("price", "8 USD", "Acme is sold for 8 USD per month.", known["shop"]),
    )
    with script(folder, acme=answer) as model:
        result = ask(model, folder)
    assert [conflict["competitor"] for conflict in result["structured"]["conflicts"]] == ["Globex"]
    assert len(result["structured"]["table"]["price"]["Acme"]["values"]) == 2
