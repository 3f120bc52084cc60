"""Router: who is chosen, when the default stands in, and what a human sees of the choice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import Opinion, fails, run, says, statuses, told
from graphs import parallel, router, single, supervisor
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import Step
from state import Budget, ConfigurationError

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def chooses(*agents: str, confidence: Any = 0.9, reason: str = "It fits.") -> Agent:
    """Return a router that chooses these."""
    return says("router", {"agents": list(agents), "confidence": confidence, "reason": reason})


def expert(name: str, *answers: Any, knows: str = "") -> Agent:
    return Agent(name, knows or f"Knows {name}.", model=ScriptedChatModel(list(answers or [f"{name} says"])))


def route_of(result: dict[str, Any]) -> dict[str, Any]:
    route: dict[str, Any] = result["structured"]["route"]
    return route


# --- the choice


def test_the_one_that_is_chosen_answers_and_its_answer_is_given_as_it_is() -> None:
    other = expert("tax")
    result = run(router.build([expert("law"), other], router=chooses("law")))
    assert (result["answer"], result["status"], result["reason"]) == ("law says", "completed", "")
    assert list(statuses(result)) == ["router", "law"]
    route = route_of(result)
    assert (route["agents"], route["confidence"], route["reason"], route["taken"]) == (
        ["law"],
        0.9,
        "It fits.",
        "route",
    )
    assert isinstance(other.model, ScriptedChatModel)
    assert other.model.requests == []


def test_several_that_are_chosen_all_answer_and_stand_under_their_names() -> None:
    result = run(router.build([expert("law"), expert("tax"), expert("art")], router=chooses("law", "art", "LAW")))
    assert result["answer"] == "## law\n\nlaw says\n\n## art\n\nart says"
    assert statuses(result) == {"router": "ok", "law": "ok", "art": "ok"}
    assert (result["status"], route_of(result)["agents"]) == ("completed", ["law", "art"])


@pytest.mark.parametrize("said", ["law", "**Law**", '"LAW".', 'I say {"agents": ["law"]}', {"agents": ["`Law`"]}])
def test_a_name_is_known_in_whatever_dress(said: Any) -> None:
    async def own(task: str) -> Any:
        return said

    result = run(router.build([expert("tax"), expert("law")], router=own))
    assert (result["answer"], route_of(result)["taken"]) == ("law says", "route")


def test_an_unknown_name_beside_a_known_one_is_dropped_and_noted() -> None:
    result = run(router.build([expert("law"), expert("tax")], router=chooses("nobody", "law")))
    assert (result["answer"], result["status"]) == ("law says", "completed")
    assert (route_of(result)["agents"], route_of(result)["unknown"]) == (["law"], ["nobody"])


def test_the_router_is_told_the_task_and_who_there_is_and_a_specialist_the_task_alone() -> None:
    chooser, law, tax = chooses("law", "tax"), expert("law", knows="Knows contracts."), expert("tax")
    run(router.build([law, tax], router=chooser), task="Read my contract.")
    assert told(chooser).startswith("Read my contract.\n\nAgents:\n- law: Knows contracts.\n- tax: Knows tax.")
    assert told(law) == told(tax) == "Read my contract."


def test_of_many_specialists_those_are_offered_that_match_the_task_best() -> None:
    team = [expert(f"w{at}", knows=f"Knows subject{at}.") for at in range(30)]
    chooser = chooses("w20")
    result = run(router.build(team, router=chooser), task="About subject7 and subject9", max_candidates=2)
    assert "Agents:\n- w7: Knows subject7.\n- w9: Knows subject9.\n" in told(chooser) + "\n"
    assert result["answer"] == "w20 says", "one that was not offered can be named all the same"
    matches = route_of(result)["matches"]
    assert {match["agent"] for match in matches} == {"w7", "w9"}
    assert matches[0]["score"] > 0
    assert matches[0]["words"]


def test_what_a_human_sees_of_the_choice_is_plain_json() -> None:
    team = [expert("law", knows="Knows contracts."), expert("tax")]
    structured = run(router.build(team, router=chooses("law")), task="My contract")["structured"]
    assert json.loads(json.dumps(structured)) == structured
    assert set(structured["route"]) == {
        *("agents", "confidence", "reason", "unknown"),
        *("failed", "taken", "why", "matches"),
    }


def test_the_structure_of_a_single_answer_is_kept_beside_the_route() -> None:
    law = says("law", Opinion(answer="yes", confidence=0.7), response_format=Opinion)
    structured = run(router.build([law, expert("tax")], router=chooses("law")))["structured"]
    assert (structured["answer"], structured["confidence"], structured["route"]["agents"]) == ("yes", 0.7, ["law"])


def test_the_router_and_who_works_remember_the_conversation() -> None:
    chooser, law, desk = chooses("law"), fails("law"), expert("desk")
    graph = router.build([law], router=chooser, default=desk).compile(name="r")
    graph.invoke({"messages": [HumanMessage("My name is Ada."), AIMessage("Hello."), HumanMessage("the task")]})
    for agent in (chooser, law, desk):
        assert isinstance(agent.model, ScriptedChatModel)
        assert "My name is Ada." in [message.text for message in agent.model.requests[0].messages]


def test_a_router_that_answers_in_prose_is_asked_again_for_its_choice() -> None:
    chooser = says("router", "Somebody who knows taxes.", {"agents": ["tax"], "confidence": 0.9})
    result = run(router.build([expert("law"), expert("tax")], router=chooser))
    assert (result["answer"], route_of(result)["taken"]) == ("tax says", "route")


def test_answers_stand_in_the_order_in_which_their_authors_were_chosen() -> None:
    result = run(router.build([expert("law"), expert("tax"), expert("art")], router=chooses("art", "law")))
    assert result["answer"] == "## art\n\nart says\n\n## law\n\nlaw says"


@pytest.mark.parametrize("said", ['I say:\n```json\n{"agents": ["tax"], "confidence": 0.8}\n```', "**Tax**"])
def test_a_graph_may_choose_in_json_or_in_a_word(said: str) -> None:
    desk = single.build(says("inner", said)).compile(name="desk")
    result = run(router.build([expert("law"), expert("tax")], router=desk))
    assert (result["answer"], route_of(result)["agents"], route_of(result)["taken"]) == ("tax says", ["tax"], "route")


def test_a_person_may_be_the_router() -> None:
    builder = router.build([expert("law"), expert("tax")], router=HumanAgent("boss"))
    graph = builder.compile(checkpointer=InMemorySaver(), name="r")
    graph.invoke({"task": "the task"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    assert "- law: Knows law." in request.value["action_requests"][0]["description"]
    decision = {"decisions": [{"type": "respond", "message": "tax"}]}
    assert graph.invoke(Command(resume={request.id: decision}), THREAD)["answer"] == "tax says"


# --- the default


@pytest.mark.parametrize("confidence", ["0.49", "0", "-3", "NaN"])
def test_a_router_that_is_unsure_takes_the_default_route(confidence: str) -> None:
    async def own(task: str) -> str:
        return f'{{"agents": ["law"], "confidence": {confidence}, "reason": "A guess."}}'

    result = run(router.build([expert("law"), expert("tax")], router=own, default=expert("desk")))
    assert (result["answer"], result["status"]) == ("desk says", "completed")
    assert list(statuses(result)) == ["own", "desk"]
    assert route_of(result)["taken"] == "default"
    why = [value for key, value in route_of(result).items() if key != "confidence"]
    assert "confidence" in json.dumps(why)
    json.dumps(route_of(result), allow_nan=False)


def test_an_unsure_choice_of_the_very_default_is_the_default_route() -> None:
    result = run(router.build([expert("law"), expert("tax")], router=chooses("law", confidence=0.2), default="law"))
    assert (result["answer"], result["status"]) == ("law says", "completed")
    assert (route_of(result)["taken"], route_of(result)["agents"]) == ("default", ["law"])
    assert result["reason"] == route_of(result)["why"] == "the router's confidence was 0.2, below 0.5"


def test_how_sure_a_router_must_be_is_a_knob_of_the_run() -> None:
    for least, answer in ((0.2, "law says"), (0.21, "desk says")):
        graph = router.build([expert("law")], router=chooses("law", confidence=0.2), default=expert("desk"))
        assert run(graph, min_confidence=least)["answer"] == answer


def broken_routers() -> dict[str, Any]:
    stuck = says("router", *[Step("late", delay=60)] * 3, policy=Policy(timeout=0.05))

    async def gone(task: str) -> str:
        raise ValueError("gone")

    async def empty(task: str) -> str:
        return ""

    async def prose(task: str) -> str:
        return "I would not know."

    return {
        "names nobody": chooses(),
        "names a stranger": chooses("nobody"),
        "fails": fails("router"),
        "a function that fails": gone,
        "hangs": stuck,
        "says nothing": says("router", *[""] * 4),
        "a function that says nothing": empty,
        "prose": says("router", *["I would not know."] * 4),
        "a function in prose": prose,
        "wrong shape": says("router", *[{"winner": "law"}] * 4),
        "refuses": says("router", *[Step("", refusal="I will not.")] * 4),
        "is skipped": says("router", *[ValueError("gone")] * 4, policy=Policy(on_failure="skip")),
    }


@pytest.mark.parametrize("case", broken_routers())
@pytest.mark.parametrize("default", ["desk", "tax", None])
def test_a_router_that_is_no_use_is_no_single_point_of_failure(case: str, default: str | None) -> None:
    team = [expert("law", knows="Knows contracts."), expert("tax", knows="Knows the budget.")]
    stands_in = expert("desk") if default == "desk" else default
    graph = router.build(team, router=broken_routers()[case], default=stands_in)
    result = run(graph, task="Who knows contracts?")
    name = default or "law"
    assert (result["answer"], result["status"]) == (f"{name} says", "completed")
    assert list(statuses(result))[1:] == [name]
    assert route_of(result)["taken"] == "default"


def test_without_a_default_the_specialist_stands_in_that_matches_best() -> None:
    for task, name in (("My contract", "law"), ("My invoice", "tax"), ("My cat", "law")):
        team = [expert("law", knows="Contracts."), expert("tax", knows="Invoices.")]
        assert run(router.build(team, router=fails("router")), task=task)["answer"] == f"{name} says"


@pytest.mark.parametrize("policy", [Policy(), Policy(on_failure="skip")])
def test_the_default_stands_in_for_a_specialist_that_fails(policy: Policy) -> None:
    broken = says("law", *[ValueError("broken")] * 5, policy=policy)
    result = run(router.build([broken, expert("tax")], router=chooses("law"), default=expert("desk")))
    assert (result["answer"], result["status"]) == ("desk says", "completed")
    assert "law " in result["reason"]
    assert "(ValueError: broken)" in result["reason"]
    assert (route_of(result)["taken"], route_of(result)["why"]) == ("default", result["reason"])


def test_nobody_stands_in_for_who_stood_in_already() -> None:
    for chooser in (fails("router"), chooses("law", confidence=0.1)):
        team = [says("law", *[ValueError("broken")] * 5), expert("tax")]
        result = run(router.build(team, router=chooser))
        assert (result["answer"], result["status"], list(statuses(result))) == ("", "failed", ["router", "law"])


def test_a_default_that_did_the_task_in_part_makes_the_run_partial() -> None:
    desk = parallel.build([says("x", "half"), fails("y")]).compile(name="desk")
    result = run(router.build([fails("law")], router=chooses("law"), default=desk))
    assert (result["answer"], result["status"], route_of(result)["taken"]) == ("half", "partial", "default")


def test_the_default_stands_in_for_a_specialist_that_hangs() -> None:
    stuck = says("law", Step("late", delay=60), policy=Policy(timeout=0.05))
    result = run(router.build([stuck, expert("tax")], router=chooses("law"), default="tax"))
    assert (result["answer"], statuses(result)["law"]) == ("tax says", "timed_out")


def test_the_default_stands_in_once_for_several_that_all_fail() -> None:
    team = [fails("law"), fails("art"), expert("tax")]
    result = run(router.build(team, router=chooses("law", "art"), default="tax"))
    assert (result["answer"], result["status"]) == ("tax says", "completed")
    assert sorted(statuses(result)) == ["art", "law", "router", "tax"]


def test_where_some_of_several_fail_the_others_answer_and_the_run_is_partial() -> None:
    result = run(router.build([fails("law"), expert("tax")], router=chooses("law", "tax"), default=expert("desk")))
    assert (result["answer"], result["status"]) == ("tax says", "partial")
    assert result["reason"] == "law failed (ValueError: broken)"
    assert "desk" not in statuses(result)


@pytest.mark.parametrize(
    "graph",
    [
        lambda: router.build([fails("law")], router=chooses("law"), default="law"),
        lambda: router.build([fails("law")], router=chooses("law")),
        lambda: router.build([fails("law")], router=chooses("law"), default=fails("desk")),
        lambda: router.build([fails("law"), expert("tax")], router=fails("router"), default="law"),
        lambda: router.build([fails("law"), expert("tax")], router=chooses("law", confidence=0), default="law"),
    ],
)
def test_where_the_default_fails_too_the_run_fails_with_the_reason(graph: Any) -> None:
    result = run(graph())
    assert (result["answer"], result["status"]) == ("", "failed")
    assert "(ValueError: broken)" in result["reason"]
    assert len(statuses(result)) == len(result["outcomes"]) <= 3


@pytest.mark.parametrize("calls", [0, 1])
def test_a_budget_that_has_ended_leads_to_no_default(calls: int) -> None:
    desk = expert("desk")
    graph = router.build([expert("law")], router=chooses("law"), default=desk)
    result = run(graph, budget=Budget(model_calls=calls))
    assert (result["answer"], result["status"]) == ("", "stopped")
    assert result["reason"].count("BudgetExceeded") == 1
    assert isinstance(desk.model, ScriptedChatModel)
    assert desk.model.requests == []


def cut_short(name: str) -> Agent:
    """Return a specialist whose own limit stops it after its first words."""

    def look(subject: str) -> str:
        """Look a subject up."""
        return f"All about {subject}."

    lookup = {"name": "look", "args": {"subject": name}, "id": "c1"}
    model = ScriptedChatModel([AIMessage(f"{name} got half way.", tool_calls=[lookup])])
    return Agent(name, f"Knows {name}.", tools=[look], model=model, policy=Policy(budget=Budget(model_calls=1)))


@pytest.mark.parametrize("stopped", ["law", "art"])
def test_the_work_of_a_specialist_that_a_limit_stopped_is_kept(stopped: str) -> None:
    team = [cut_short(name) if name == stopped else fails(name) for name in ("law", "art")]
    result = run(router.build(team, router=chooses("law", "art"), default=expert("desk")))
    assert (result["answer"], result["status"]) == (f"{stopped} got half way.", "stopped")
    assert "BudgetExceeded" in result["reason"]
    assert "(ValueError: broken)" in result["reason"]
    assert "desk" not in statuses(result)


def test_an_answer_is_worth_more_than_the_work_of_one_who_was_stopped() -> None:
    result = run(router.build([cut_short("law"), expert("art")], router=chooses("law", "art")))
    assert (result["answer"], result["status"]) == ("art says", "partial")


def test_a_limit_that_stopped_one_of_those_who_were_chosen_leads_to_no_default() -> None:
    stopped = says("law", "never asked", policy=Policy(budget=Budget(model_calls=0)))
    result = run(router.build([stopped, fails("art"), expert("tax")], router=chooses("law", "art"), default="tax"))
    assert (result["answer"], result["status"]) == ("", "failed")
    assert sorted(statuses(result)) == ["art", "law", "router"]


# --- people, nesting, arguments


def test_two_people_who_are_chosen_are_asked_at_once_and_answered_by_id() -> None:
    people = [HumanAgent("anna"), HumanAgent("ben")]
    graph = router.build(people, router=chooses("anna", "ben")).compile(checkpointer=InMemorySaver(), name="r")
    graph.invoke({"task": "the task"}, THREAD)
    requests = graph.get_state(THREAD).interrupts
    assert [request.value["action_requests"][0]["name"] for request in requests] == ["anna", "ben"]
    for request in reversed(requests):
        name = request.value["action_requests"][0]["name"]
        decision = {"decisions": [{"type": "respond", "message": f"{name} says"}]}
        result = graph.invoke(Command(resume={request.id: decision}), THREAD)
    assert (result["answer"], result["status"]) == ("## anna\n\nanna says\n\n## ben\n\nben says", "completed")


def test_a_specialist_may_be_a_router_itself() -> None:
    inner = router.build([expert("law"), expert("tax")], router=chooses("tax")).compile(name="office")
    result = run(router.build([inner, expert("art")], router=chooses("office")))
    assert (result["answer"], result["status"]) == ("tax says", "completed")
    graph = router.build([expert("law"), expert("tax")], router=single.build(says("a", "tax")).compile(name="desk"))
    assert run(graph)["answer"] == "tax says"


def test_a_specialist_may_be_a_supervisor_and_the_default_stands_in_where_that_fails() -> None:
    give = {"agent": "clerk", "task": "Look.", "reason": "It can."}
    for steps, answer in (([give, {"answer": "from below"}], "from below"), ([ValueError("gone")] * 5, "tax says")):
        office = supervisor.build([expert("clerk")], supervisor=says("boss", *steps)).compile(name="office")
        result = run(router.build([office, expert("tax")], router=chooses("office"), default="tax"))
        assert (result["answer"], result["status"]) == (answer, "completed")


def test_a_team_that_did_its_task_in_part_makes_the_run_partial() -> None:
    inner = router.build([fails("law"), expert("tax")], router=chooses("law", "tax")).compile(name="office")
    result = run(router.build([inner, expert("art")], router=chooses("office")))
    assert (result["answer"], result["status"]) == ("tax says", "partial")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"specialists": []}, "at least 1"),
        ({"specialists": "law"}, "list of agents"),
        ({"specialists": [expert("law"), expert("law")]}, "different names"),
        ({"router": 7}, "router"),
        ({"router": expert("law")}, "different names"),
        ({"default": "nobody"}, r"default: expected an agent or one of \['law', 'tax'\], got 'nobody'"),
        ({"default": 7}, "default"),
        ({"default": expert("router"), "router": chooses("law")}, "different names"),
        ({"specialists": [expert("gather")]}, "gather"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_before_anything_runs(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        router.build(**{"specialists": [expert("law"), expert("tax")], **wrong})
