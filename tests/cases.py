"""What the tests that hold for every pattern need of each: a scripted happy path, one with a stuck agent, one with a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodes import Agent, ScriptedChatModel, until
from nodes.scripted import call

ACCEPT = {"verdict": "accept", "issues": [], "score": 1.0}
REVISE = {"verdict": "revise", "issues": ["It is too short."], "score": 0.2}


def progress(
    speaker: str = "", *, satisfied: bool = False, loop: bool = False, moving: bool = True, told: str = "Go on."
) -> dict[str, Any]:
    """Return a progress ledger as a manager writes it."""
    flags = {"is_request_satisfied": satisfied, "is_in_loop": loop, "is_progress_being_made": moving}
    answers = {**flags, "next_speaker": speaker, "instruction_or_question": told}
    return {key: {"reason": f"why {key}", "answer": answer} for key, answer in answers.items()}


PLAN_LEDGER = {"facts": ["One is known."], "guesses": ["Two is likely."], "plan": ["assistant begins", "writer ends"]}


def part(name: str, agent: str, *depends_on: str) -> dict[str, Any]:
    """Return a subtask as a planner writes it."""
    return {"id": name, "task": f"Do {name}.", "agent": agent, "depends_on": list(depends_on)}


def plan_of(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as a planner writes it."""
    return {"subtasks": list(parts)}


def give(agent: str, task: str = "") -> dict[str, Any]:
    """Return a delegation as a supervisor writes it."""
    return {"agent": agent, "task": task or f"Do the part of {agent}.", "reason": "It suits."}


ROUTE = {"agents": ["assistant"], "confidence": 0.9, "reason": "It answers."}
APPROVE = {"verdict": "accept"}
TWO_PARTS = plan_of(part("a", "assistant"), part("b", "writer", "a"))

HAPPY: dict[str, dict[str, list[Any]]] = {
    "single": {"assistant": ["done"]},
    "sequential": {"assistant": ["first"], "writer": ["done"]},
    "parallel": {"assistant": ["one"], "skeptic": ["two"]},
    "map_reduce": {"splitter": [{"items": ["x", "y"]}], "assistant": ["of x", "of y"]},
    "review": {"writer": ["draft", "done"], "critic": [REVISE, ACCEPT]},
    "group_chat": {"assistant": ["one", "three", "five"], "skeptic": ["two", "four", "done"]},
    "debate": {
        "proponent": ["for it", "done"],
        "opponent": ["against it", "still against it"],
        "judge": [{"winner": "proponent", "reason": "It held.", "scores": {"proponent": 0.9, "opponent": 0.4}}],
    },
    "router": {"router": [ROUTE], "assistant": ["done"]},
    "supervisor": {
        "supervisor": [give("assistant"), give("writer"), {"answer": "done"}],
        "assistant": ["first"],
        "writer": ["second"],
    },
    "handoff": {"assistant": [call("transfer_to_writer", reason="It has to be written.")], "writer": ["done"]},
    "hierarchical": {
        "manager": [TWO_PARTS, APPROVE, APPROVE, "done"],
        "assistant": ["of a"],
        "writer": ["of b"],
    },
    "plan_execute": {"planner": [TWO_PARTS], "assistant": ["of a"], "writer": ["of b"], "synthesizer": ["done"]},
    "magentic": {
        "manager": [PLAN_LEDGER, progress("assistant"), progress("writer"), progress(satisfied=True), "done"],
        "assistant": ["first"],
        "writer": ["second"],
    },
    "adaptive": {"planner": [TWO_PARTS], "assistant": ["of a"], "writer": ["of b"], "synthesizer": ["done"]},
}
"""Steps of each default agent, by pattern."""

ANSWERS = {
    "single": "done",
    "sequential": "done",
    "parallel": "## assistant\n\none\n\n## skeptic\n\ntwo",
    "map_reduce": "## x\n\nof x\n\n## y\n\nof y",
    "review": "done",
    "group_chat": "done",
    "debate": "done",
    "router": "done",
    "supervisor": "done",
    "handoff": "done",
    "hierarchical": "done",
    "plan_execute": "done",
    "magentic": "done",
    "adaptive": "done",
}

HANGING: dict[str, Callable[[Any, Any, Any], Any]] = {
    "single": lambda module, stuck, other: module.build(stuck),
    "sequential": lambda module, stuck, other: module.build([stuck, other]),
    "parallel": lambda module, stuck, other: module.build([stuck, other]),
    "map_reduce": lambda module, stuck, other: module.build(stuck, splitter=says("lines", "one\ntwo")),
    "review": lambda module, stuck, other: module.build(stuck, [other]),
    "group_chat": lambda module, stuck, other: module.build([stuck, other], until=until.rounds(1)),
    "debate": lambda module, stuck, other: module.build([stuck, other]),
    "router": lambda module, stuck, other: module.build([stuck], router=says("router", {"agents": ["stuck"]})),
    "supervisor": lambda module, stuck, other: module.build(
        [stuck, other], supervisor=says("supervisor", give("stuck"), give("other"), {"answer": "as far as it goes"})
    ),
    "handoff": lambda module, stuck, other: module.build([stuck, other], entry="stuck"),
    "hierarchical": lambda module, stuck, other: module.build(
        [stuck, other],
        manager=says("manager", plan_of(part("a", "stuck"), part("b", "other")), {"verdict": "escalate"}, APPROVE),
    ),
    "plan_execute": lambda module, stuck, other: module.build(
        [stuck, other], planner=says("planner", *[plan_of(part("a", "stuck"), part("b", "other"))] * 3)
    ),
    "adaptive": lambda module, stuck, other: module.build(
        [stuck, other], planner=says("planner", plan_of(part("a", "stuck"), part("b", "other")))
    ),
    "magentic": lambda module, stuck, other: module.build(
        [stuck, other],
        manager=says("manager", PLAN_LEDGER, progress("stuck"), progress("other"), ValueError("manager is gone")),
    ),
}
"""Builders of each pattern, given its module, a worker that hangs and one that answers "fine" up to three times."""

PARTIAL = {"plan_execute", "supervisor", "parallel", "hierarchical", "magentic", "adaptive", "group_chat", "debate"}
"""Patterns that give what the others made when one worker of several hangs; the others fail."""

ASKING: dict[str, Callable[[Any, Any], Any]] = {
    "single": lambda module, person: module.build(person),
    "sequential": lambda module, person: module.build([says("other", "fine"), person]),
    "parallel": lambda module, person: module.build([says("other", "fine"), person]),
    "map_reduce": lambda module, person: module.build(person, splitter=says("lines", "one")),
    "review": lambda module, person: module.build(person, [says("critic", "ACCEPT")]),
    "group_chat": lambda module, person: module.build([says("other", "fine"), person], until=until.rounds(1)),
    "debate": lambda module, person: module.build(
        [says("other", "fine"), person], judge=says("judge", {"winner": "person"}), rounds=1
    ),
    "router": lambda module, person: module.build([person], router=says("router", {"agents": ["person"]})),
    "supervisor": lambda module, person: module.build(
        [person], supervisor=says("supervisor", give("person"), {"answer": "They said: said by a person"})
    ),
    "handoff": lambda module, person: module.build(
        [says("front", call("transfer_to_person", reason="A person has to say.")), person], entry="front"
    ),
    "hierarchical": lambda module, person: module.build(
        [person], manager=says("manager", plan_of(part("a", "person")), APPROVE)
    ),
    "plan_execute": lambda module, person: module.build(
        [person], planner=says("planner", plan_of(part("a", "person")))
    ),
    "adaptive": lambda module, person: module.build([person], planner=says("planner", plan_of(part("a", "person")))),
    "magentic": lambda module, person: module.build(
        [person],
        manager=says(
            "manager", PLAN_LEDGER, progress("person"), progress(satisfied=True), "They said: said by a person"
        ),
    ),
}
"""Builders of each pattern, given its module and a person; what the person says has to be in the answer."""


def says(name: str, *steps: Any, **options: Any) -> Agent:
    """Return an agent that answers with the steps, in order."""
    return Agent(name, model=ScriptedChatModel(list(steps)), **options)


def script(name: str, *, turns: int = 1) -> ScriptedChatModel:
    """Return a model that plays a pattern's happy path for one or two turns."""
    steps = {agent: list(said) for agent, said in HAPPY[name].items()}
    for agent, said in (second_turn(name) if turns == 2 else {}).items():
        steps[agent] += said
    return ScriptedChatModel(by_agent=steps)


def second_turn(name: str) -> dict[str, list[Any]]:
    """Return the steps of each agent in a second turn: the same, unless the first one changed who is in control."""
    return {"writer": ["done"]} if name == "handoff" else HAPPY[name]
