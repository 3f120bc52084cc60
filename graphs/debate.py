"""Debate: debaters take positions of their own, answer each other's for some rounds, and a judge decides.

START -> begin -> {debater, ...} -> exchange -> ({debater, ...} | judge | finish) -> judge -> finish -> END

Use it when: a question has sides, and a position is only worth as much as it stands up to the others.
Costs: n * r + 1 model calls for n debaters and r rounds, fewer when no position changes any more.
Ends: at most `rounds` rounds, then one judgement.
Source: Du et al., 2305.14325, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.decisions import Judgement, in_role, read_decision, with_shape
from nodes.matching import find_name
from nodes.node import Brief, agent_node
from nodes.resolve import answer_of, vote
from nodes.roles import judge as default_judge
from nodes.roles import opponent, proponent
from nodes.spec import AnyAgent, check_agent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from nodes.wording import says_the_same
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome, describe_failure, node_of
from state.task import TaskState

MAX_ROUNDS = 10

FIRST = "Take a position on the task, and give your reasons."
REBUTTAL = "Answer what the others say, then state your position as it is now, complete in itself."
CHOOSE = "Take one of the options. Begin with it, on a line of its own."


class DebateState(TaskState, total=False):
    """Adds the rounds. Positions are in the outcomes and are stored nowhere else."""

    round: int
    """Rounds that are over."""
    settled: bool
    """Whether the last one changed no position."""


class Sides:
    """Who debates, and over what.

    Args:
        names: Of the debaters.
        options: What there is to choose from; with as many as debaters each defends its own.
    """

    def __init__(self, names: Sequence[str], options: Sequence[str]) -> None:
        self.names, self.options = tuple(names), tuple(options)
        assigned = len(options) == len(names)
        self.assigned: Mapping[str, str] = dict(zip(names, options, strict=True)) if assigned else {}

    def statements(self, state: DebateState, name: str) -> list[Outcome]:
        """Return what a debater said, in order; where it failed is left out."""
        return [outcome for outcome in state["outcomes"] if node_of(outcome) == name and outcome["status"] == "ok"]

    def positions(self, state: DebateState) -> dict[str, Outcome]:
        """Return the latest position of each debater that has one, by name."""
        return {name: said[-1] for name in self.names if (said := self.statements(state, name))}

    def standing(self, state: DebateState) -> list[str]:
        """Return the debaters that have not failed."""
        failed = {node_of(outcome) for outcome in state["outcomes"] if outcome["status"] != "ok"}
        return [name for name in self.names if name not in failed]

    def option_of(self, position: Outcome) -> str:
        """Return the option that a position is for: assigned, named first, or the only one named; empty where none is."""
        if node_of(position) in self.assigned:
            return self.assigned[node_of(position)]
        text = answer_of(position)
        named = [option for option in self.options if option.casefold() in text.casefold()]
        first_line = text.strip().partition("\n")[0]
        return find_name(first_line, self.options) or (named[0] if len(named) == 1 else "")

    def stated(self, position: Outcome) -> str:
        """Return a position as others read it: under its option, where it does not begin with it."""
        option, text = self.option_of(position), answer_of(position)
        return f"{option}\n\n{text}" if option and not text.casefold().startswith(option.casefold()) else text

    def same(self, one: Outcome, other: Outcome) -> bool:
        """Whether two positions are the same: for the same option, or in other words."""
        options = self.option_of(one), self.option_of(other)
        return options[0] == options[1] if all(options) else says_the_same(answer_of(one), answer_of(other))


def brief_debater(name: str, sides: Sides) -> Brief:
    """Return a debater's brief: the task and the options; from the second round its position and the others' latest."""
    choice = (
        [f"You defend this option: {sides.assigned[name]}"] if sides.assigned else [CHOOSE] if sides.options else []
    )

    def brief(state: DebateState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        positions, context = sides.positions(state) if state["round"] else {}, describe_options(sides)
        for other in sorted(positions, key=lambda other: other != name):
            heading = "Your position" if other == name else f"Position of {other}"
            context[heading] = sides.stated(positions[other])
        sender, asked = ("exchange", REBUTTAL) if positions else ("user", FIRST)
        return Envelope(
            sender=sender, recipient=name, task=state["goal"], context=context, constraints=(asked, *choice)
        )

    return brief


def brief_judge(name: str, sides: Sides) -> Brief:
    """Return the judge's brief: the task, the options and each final position, not how it came about."""

    def brief(state: DebateState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        positions = sides.positions(state)
        context = {f"Position of {each}": sides.stated(position) for each, position in positions.items()}
        constraints = (
            f"Decide who is right, by the arguments alone: {', '.join(positions)}.",
            'Answer as JSON: {"winner": the name, "reason": why, "scores": {name: points from 0 to 1}}.',
        )
        context = {**describe_options(sides), **context}
        return Envelope(sender="exchange", recipient=name, task=state["goal"], context=context, constraints=constraints)

    return brief


def describe_options(sides: Sides) -> dict[str, str]:
    """Return the options under their heading; nothing without any."""
    return {"Options": "\n".join(f"- {option}" for option in sides.options)} if sides.options else {}


def opening_memory(state: DebateState, runtime: Runtime[Any]) -> list[AnyMessage]:
    """Return the recent conversation for first positions; later ones rest on these."""
    return [] if state["round"] else recent_conversation(state, runtime)


def exchange_node(sides: Sides) -> Any:
    """Return the node behind the debaters."""

    async def exchange(state: DebateState) -> dict[str, Any]:
        """Count the round, and see whether it changed anything."""
        latest = [sides.statements(state, name)[-2:] for name in sides.standing(state)]
        settled = all(len(pair) == 2 and says_the_same(*(answer_of(one) for one in pair)) for pair in latest)
        return {"round": state["round"] + 1, "settled": settled}

    return exchange


def route_exchange(sides: Sides, judge: str, rounds: int) -> Callable[[DebateState], list[str] | str]:
    """Return the router behind a round: another one for those who have not failed, then the judge if there is a choice."""

    def route(state: DebateState) -> list[str] | str:
        over, standing = state["round"] >= rounds or state["settled"], sides.standing(state)
        if any(outcome["status"] == "stopped" for outcome in state["outcomes"]):
            return "finish"
        if not over and len(standing) > 1:
            return standing
        return judge if len(sides.positions(state)) > 1 else "finish"

    return route


def find_winner(judgement: Judgement, positions: Mapping[str, Outcome], sides: Sides) -> str | None:
    """Return the debater that a judge means: by its name, or by its option; of several for one the one with most points."""
    if name := find_name(judgement.winner, list(positions)):
        return name
    option = find_name(judgement.winner, sides.options)
    holders = [name for name, position in positions.items() if option and sides.option_of(position) == option]
    return max(holders, key=lambda name: judgement.scores.get(name, 0.0), default=None)


def majority(positions: Mapping[str, Outcome], sides: Sides) -> str:
    """Return the first debater whose position most debaters hold."""
    ballots = [Outcome({**one, "output": sides.option_of(one) or answer_of(one)}) for one in positions.values()]
    ballots = [Outcome({**ballot, "structured": None}) for ballot in ballots]
    answer, _ = vote(ballots)
    return next(node_of(ballot) for ballot in ballots if ballot["output"] == answer)


def judge_positions(
    judge: str, last: Outcome, positions: Mapping[str, Outcome], sides: Sides
) -> tuple[Judgement, str, str]:
    """Return the judgement with the winner's name, who decided, and why it was not the judge, if it was not."""
    if len(positions) == 1:
        return Judgement(winner=next(iter(positions)), reason="no other position"), "only position", ""
    why = "not judged"
    if node_of(last) == judge:
        judgement = read_decision(last, Judgement) or Judgement(winner=last["output"])
        if last["status"] == "ok" and (winner := find_winner(judgement, positions, sides)):
            return judgement.model_copy(update={"winner": winner}), "judge", ""
        why = describe_failure(last)
        if last["status"] == "ok":
            why = f"{judge}: expected one of {', '.join(positions)}, got {judgement.winner[:100]!r}"
    return Judgement(winner=majority(positions, sides), reason=f"most hold it; {why}"), "vote", why


def finish_node(judge: str, sides: Sides) -> Any:
    """Return the last node."""

    async def finish(state: DebateState) -> dict[str, Any]:
        """Give the winner's position, with what the others hold."""
        outcomes, positions = state["outcomes"], sides.positions(state)
        status, reason = settle(outcomes)
        if not positions:
            unfinished = next((outcome["output"] for outcome in outcomes if outcome["output"]), "")
            return conclude(state, unfinished, status=status, reason=reason)
        judgement, decided_by, why = judge_positions(judge, outcomes[-1], positions, sides)
        won = positions[judgement.winner]
        dissent = [(name, one) for name, one in positions.items() if not sides.same(one, won)]
        if why and why not in reason:
            status, reason = "partial", "; ".join(part for part in (reason, f"decided by vote: {why}") if part)
        if any(outcome["status"] == "stopped" for outcome in outcomes):
            status = "stopped"
        record = {
            "judgement": judgement.model_dump(),
            "decided_by": decided_by,
            "rounds": state["round"],
            "positions": {name: one["id"] for name, one in positions.items()},
            "dissent": [{"agent": name, "outcome": one["id"]} for name, one in dissent],
        }
        return conclude(state, sides.stated(won), status=status, reason=reason, structured=record)

    return finish


def check_structure(rounds: Any, options: Any) -> None:
    """Refuse rounds and options that cannot be debated.

    Raises:
        ConfigurationError: Names the argument and what it may be.
    """
    if not isinstance(rounds, int) or isinstance(rounds, bool) or not 1 <= rounds <= MAX_ROUNDS:
        raise ConfigurationError(f"rounds: expected 1 to {MAX_ROUNDS}, got {rounds!r}")
    listed = isinstance(options, Sequence) and not isinstance(options, str)
    if not listed or not all(isinstance(option, str) and option.strip() for option in options):
        raise ConfigurationError(f"options: expected a list of texts, got {options!r}")
    if len(options) == 1 or len({option.strip().casefold() for option in options}) < len(options):
        raise ConfigurationError(f"options: expected none, or at least two that differ, got {list(options)!r}")


@remembered
def build(
    debaters: Sequence[AnyAgent] | None = None,
    *,
    judge: AnyAgent | None = None,
    rounds: int = 2,
    options: Sequence[str] = (),
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        debaters: At least two; which side each is on says its prompt, or its option. Names must differ.
        judge: Answers with `Judgement {winner, reason, scores}`, or the winner's name.
        rounds: The first is for positions, the others for rebuttals; 1 to 10.
        options: What there is to choose from. With as many as debaters each defends its own, in order.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    debaters = check_agents((proponent(), opponent()) if debaters is None else debaters, role="debaters", least=2)
    check_structure(rounds, options)
    judging = in_role(default_judge(), Judgement) if judge is None else check_agent(judge, role="judge")
    check_agents([judging, *debaters], role="judge and debaters")
    deciding, names = name_of(judging), [name_of(debater) for debater in debaters]
    sides = Sides(names, options)
    builder = PatternBuilder(DebateState)
    builder.add_node("begin", begin_node(round=0, settled=False))
    for debater, name in zip(debaters, names, strict=True):
        builder.add_node(name, agent_node(debater, brief_debater(name, sides), memory=opening_memory))
    builder.add_node("exchange", exchange_node(sides))
    builder.add_node(deciding, agent_node(with_shape(judging, Judgement), brief_judge(deciding, sides)))
    builder.add_node("finish", finish_node(deciding, sides))
    builder.add_edge(START, "begin")
    for name in names:
        builder.add_edge("begin", name)
        builder.add_edge(name, "exchange")
    builder.add_conditional_edges("exchange", route_exchange(sides, deciding, rounds), [*names, deciding, "finish"])
    builder.add_edge(deciding, "finish")
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="debate")
