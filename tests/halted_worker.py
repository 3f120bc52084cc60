"""The program that is halted: it runs a pattern whose agents work until the test lets them go on."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage, ToolMessage

import orchestra
from cases import part, plan_of, says
from graphs import parallel, plan_execute, sequential, single
from nodes.script import call
from orchestra.commands.driving import Stopped, drive
from state import open_persistence

Work = Callable[[str], Any]


def _nested(work: Callable[[str], Work]) -> Any:
    team = sequential.build([work("a"), work("b")]).compile(name="team")
    other = sequential.build([work("c"), work("d")]).compile(name="other")
    return parallel.build([team, single.build(other).compile(name="around")])


def _plan(work: Callable[[str], Work]) -> Any:
    plan = plan_of(part("p", "a"), part("q", "b"), part("r", "c", "p", "q"))
    workers = [work("a"), work("b"), work("c")]
    return plan_execute.build(workers, planner=says("planner", plan), synthesizer=says("synthesizer", "all"))


def _team_in_plan(work: Callable[[str], Work]) -> Any:
    team = sequential.build([work("a"), work("b")]).compile(name="team")
    plan = plan_of(part("p", "team"), part("q", "c", "p"))
    return plan_execute.build([team, work("c")], planner=says("planner", plan), synthesizer=says("synthesizer", "all"))


def _tools(work: Callable[[str], Work]) -> Any:
    async def look(name: str) -> str:
        """Look."""
        return str(await work(name)(name))

    def goes_on(messages: Sequence[BaseMessage]) -> Any:  # in another process, too
        seen = sum(isinstance(message, ToolMessage) for message in messages)
        return [call("look", name="a"), call("look", name="b"), "done"][seen]

    return single.build(says("looker", goes_on, goes_on, goes_on, tools=[look]))


PATTERNS = {"nested": _nested, "plan": _plan, "team_in_plan": _team_in_plan, "tools": _tools}
IN_FLIGHT = {"nested": 2, "plan": 2, "team_in_plan": 1, "tools": 1}
"""How many work at the same time, at the beginning."""
ALL = {"nested": "abcd", "plan": "abc", "team_in_plan": "abc", "tools": "ab"}
"""Who works in all."""


def graph_of(pattern: str, folder: Path) -> Any:
    """Return a pattern whose agents note their work and then wait for a file."""

    def work(name: str) -> Work:
        async def agent(task: str) -> str:
            with (folder / "journal").open("a") as journal:
                journal.write(f"{name}\n")
            print(f"began {name}", flush=True)  # noqa: T201
            while not (folder / "go on").exists():
                await asyncio.sleep(0.01)
            return f"{name} done"

        agent.__name__ = name
        return agent

    return PATTERNS[pattern](work).compile(name="g")


def journal(folder: Path) -> Counter[str]:
    """Return how often each agent has begun."""
    return Counter((folder / "journal").read_text().split())


def main(pattern: str) -> None:
    """Run it as the command does."""
    with open_persistence(Path("runs.db")) as place:
        work = orchestra.astart(graph_of(pattern, Path()), place, "the task", thread="t")
        try:
            result = drive(work, lambda text: print(text, flush=True))  # noqa: T201
            print(result.status, result.reason)  # noqa: T201
        except Stopped:
            facts = place.thread("t") or {}
            print(facts["status"], facts["reason"])  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
