"""The extractive engine in deciding roles: who is given what, who speaks, who wins, and when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from acting import run
from graphs import adaptive, debate, group_chat, hierarchical, magentic, plan_execute, router, supervisor
from handbook import handbook_tools
from nodes import Agent, ExtractiveChatModel
from nodes.decisions import Delegation, Finish, Judgement, ProgressLedger, Speaker
from state.plan import Plan
from tools.passage import cited_ids

LIST, TUPLE = "A list is a mutable sequence of objects.", "A tuple is an immutable sequence of objects."
TASK = f"Explain what a list is and what a tuple is. {LIST} {TUPLE}"
QUESTION = "How many days of leave do I get, and when are flights allowed?"
NOTICE = "No language model is configured"
TEAM = "Agents:\n- anna: Knows leave and illness.\n- bert: Knows travel and expenses."
MODEL = ExtractiveChatModel()


@pytest.fixture
def team(tmp_path: Path) -> list[Agent]:
    tools = handbook_tools(tmp_path / "handbook")
    anna = Agent("anna", "Knows leave, vacation and illness.", "Answer from the documents.", model=MODEL, tools=tools)
    bert = Agent("bert", "Knows travel, flights and expenses.", "Answer from the documents.", model=MODEL, tools=tools)
    return [anna, bert]


def decides(name: str, **options: Any) -> Agent:
    return Agent(name, "Decides.", "You decide.", model=MODEL, **options)


def alone(name: str) -> Agent:
    return Agent(name, "Answers.", "You answer.", model=MODEL)


def said(result: dict[str, Any], name: str) -> list[str]:
    return [outcome["output"] for outcome in result["outcomes"] if outcome["id"].partition("#")[0] == name]


def shape(kind: Any, request: str) -> Any:
    return MODEL.with_structured_output(kind).invoke([HumanMessage(request)])


def test_text_in_the_task_itself_is_quoted_by_an_agent_without_tools() -> None:
    reply = MODEL.invoke(f"What is a list? {LIST} {TUPLE}").text
    assert LIST in reply
    assert TUPLE not in reply
    assert NOTICE not in reply


@pytest.mark.parametrize(
    "task",
    [
        "What is a list?",
        "My laptop is broken. How do I fix it?",
        "Write a text on tuples. The text should speak of tuples.",
    ],
)
def test_what_does_not_answer_the_question_is_not_quoted_as_its_answer(task: str) -> None:
    assert MODEL.invoke(task).text.startswith(NOTICE)


def test_a_plan_has_a_subtask_for_each_request_and_gives_each_the_material() -> None:
    plan = shape(Plan, f"{TASK}\n\n{TEAM}")
    assert [subtask.task.partition(".")[0] for subtask in plan.subtasks] == [
        "Explain what a list is",
        "Explain what a tuple is",
    ]
    assert all(LIST in subtask.task and TUPLE in subtask.task for subtask in plan.subtasks)


@pytest.mark.parametrize(
    "task", ["When does leave expire?", f"What is a list? {LIST}", "Summarise:\n\nIt rains. It snows."]
)
def test_a_single_request_is_a_single_subtask_with_all_that_came_with_it(task: str) -> None:
    assert [subtask.task for subtask in shape(Plan, f"{task}\n\n{TEAM}").subtasks] == [task]


def test_each_part_goes_to_the_agent_that_its_line_in_the_roster_speaks_for() -> None:
    plan = shape(Plan, f"How are travel costs refunded, and when does leave expire?\n\n{TEAM}")
    assert [subtask.agent for subtask in plan.subtasks] == ["bert", "anna"]


@pytest.mark.parametrize("pattern", [plan_execute, hierarchical, adaptive, supervisor, magentic, router])
def test_every_pattern_answers_from_material_in_the_task(pattern: Any) -> None:
    answer = run(pattern.build([alone("anna"), alone("bert")]), TASK)["answer"]
    assert LIST in answer
    assert TUPLE in answer
    assert NOTICE not in answer
    assert "was told" not in answer


@pytest.mark.parametrize("pattern", [plan_execute, hierarchical, adaptive, supervisor, magentic, router])
def test_every_pattern_answers_from_documents_with_citations(pattern: Any, team: list[Agent]) -> None:
    result = run(pattern.build(team), QUESTION)
    assert result["status"] == "completed"
    assert "28 days" in result["answer"]
    assert "longer than six hours" in result["answer"]
    assert cited_ids(result["answer"])
    assert "do not say" not in result["answer"]


def test_a_router_names_everybody_whom_a_part_is_about(team: list[Agent]) -> None:
    assert run(router.build(team), QUESTION)["structured"]["route"]["agents"] == ["anna", "bert"]
    assert run(router.build(team), "When does leave expire?")["structured"]["route"]["agents"] == ["anna"]


def test_a_supervisor_gives_all_parts_at_once_and_then_finishes(team: list[Agent]) -> None:
    result = run(supervisor.build(team), QUESTION)
    given = result["structured"]["delegations"]
    assert [one["agent"] for one in given] == ["anna", "bert"]
    assert ["leave" in given[0]["reason"], "flights" in given[1]["reason"]] == [True, True]
    assert len(said(result, "supervisor")) == 2


def test_a_supervisor_without_material_says_so_after_one_round() -> None:
    result = run(supervisor.build([alone("anna"), alone("bert")]), "Explain recursion.")
    assert result["answer"].startswith(NOTICE)
    assert len(result["outcomes"]) == 3


def test_a_shape_that_is_no_task_for_somebody_is_given_once() -> None:
    chosen = MODEL.bind_tools([Delegation, Finish], tool_choice="any").invoke(
        f"{QUESTION}\n\nResults so far:\nanna was told: x\n28 days."
    )
    assert [call["name"] for call in chosen.tool_calls] == ["Finish"]


def test_a_moderator_lets_each_speak_once(team: list[Agent]) -> None:
    result = run(group_chat.build(team, moderator=decides("chair")), QUESTION)
    assert (len(said(result, "anna")), len(said(result, "bert")), len(said(result, "chair"))) == (1, 1, 3)
    assert result["structured"]["ended_by"].startswith("chair")


def test_a_speaker_with_nothing_new_says_so_briefly_and_keeps_the_citations(team: list[Agent]) -> None:
    result = run(group_chat.build(team), QUESTION)
    first, later = said(result, "anna")[0], [*said(result, "anna")[1:], *said(result, "bert")]
    assert all(reply.startswith("Nothing new to quote") and len(reply) < len(first) + 40 for reply in later)
    assert cited_ids(result["answer"])


def test_a_notice_is_not_repeated_in_full_in_a_conversation() -> None:
    result = run(group_chat.build([alone("anna"), alone("bert")]), "Explain recursion.")
    assert said(result, "anna")[0].startswith(NOTICE)
    assert {reply[:14] for reply in [*said(result, "anna")[1:], *said(result, "bert")]} == {"Nothing to add"}


def test_marks_of_what_was_left_out_are_no_material() -> None:
    before = "Previous contributions:\n[...]\n- anna: Well. [...]"
    request = f"What is a list?\n\n{before}\n\nLatest contributions:\nbert: {LIST} [...]"
    reply = MODEL.invoke(request).text
    assert LIST in reply
    assert "[...]" not in reply
    assert "anna" not in reply


def test_a_transcript_that_is_to_be_summarised_is_material() -> None:
    reply = MODEL.invoke(f"Summarise this.\n\nTranscript:\nWe ship on Friday. {LIST}").text
    assert "Friday" in reply
    assert "Nothing new" not in reply


def test_the_winner_is_one_of_those_who_took_a_position() -> None:
    positions = "Position of anna:\nIt depends.\n\nPosition of bert:\nA list is mutable, a tuple is not."
    options = "Options:\n- lists: mutable\n- tuples: immutable"
    for request in (f"List or tuple?\n\n{positions}", f"List or tuple?\n\n{options}\n\n{positions}"):
        judged = shape(Judgement, request)
        assert judged.winner == "bert"
        assert set(judged.scores) == {"anna", "bert"}


def test_a_debate_of_engines_ends_with_a_position_and_its_citations(team: list[Agent]) -> None:
    result = run(debate.build(team), QUESTION)
    assert result["structured"]["judgement"]["winner"] in ("anna", "bert")
    assert cited_ids(result["answer"])


def test_a_manager_is_satisfied_once_a_worker_gave_quotes(team: list[Agent]) -> None:
    result = run(magentic.build(team), QUESTION)
    plan, progress, worker, *rest = [outcome["id"] for outcome in result["outcomes"]]
    assert (plan, progress, rest) == ("plan", "progress", ["progress#2", "answer"])
    assert worker in ("anna", "bert")


def test_a_manager_asks_everybody_once_before_it_gives_up() -> None:
    result = run(magentic.build([alone("anna"), alone("bert")]), "Explain recursion.")
    assert (len(said(result, "anna")), len(said(result, "bert"))) == (1, 1)
    assert result["answer"].startswith(NOTICE)


def test_facts_alone_satisfy_no_request_and_the_instruction_is_the_whole_task() -> None:
    ledger = shape(ProgressLedger, f"{TASK}\n\n{TEAM}\n\nFacts:\n- {LIST}\n- {TUPLE}\n\nResults so far:\nNone.")
    assert not ledger.is_request_satisfied.answer
    assert ledger.instruction_or_question.answer == TASK
    assert ledger.next_speaker.answer in ("anna", "bert")


def test_who_has_spoken_stands_back() -> None:
    request = f"When does leave expire?\n\n{TEAM}\n\nContributions so far:\n- anna: Leave expires on 31 March."
    assert (shape(Speaker, request).speaker, shape(Speaker, request).done) == ("bert", False)
    assert shape(Speaker, f"{request}\n- bert: I agree.").done


def test_what_a_result_answers_may_be_long_and_hold_colons() -> None:
    asked = f"What is a list: a sequence? {LIST} {TUPLE}"
    request = f"What is a list: a sequence?\n\nResult of t1 ({asked}):\n{LIST} [p:0000000001]\n\nMissing:\nt2: failed"
    assert MODEL.invoke(request).text == f"{LIST} [p:0000000001]"
