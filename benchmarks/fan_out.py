"""A hundred agents at once, each with a model call of 100 ms, against the same calls as plain asyncio tasks.

Wall time, the median over the rounds, in each of which every form ran once. Nothing is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from benchmarks.model import InstantModel
from benchmarks.results import Row, table
from graphs import map_reduce, parallel
from nodes.spec import Agent
from state.context import Context

TITLE = "A hundred agents at once"
PROMISE = "At most 1.3 x plain asyncio, for 100 agents with calls of 100 ms."


class SlowModel(InstantModel):
    """Answers after a delay, in seconds."""

    delay: float = 0.1

    async def _agenerate(self, messages: list[BaseMessage], *given: Any, **options: Any) -> Any:
        await asyncio.sleep(self.delay)
        return await super()._agenerate(messages, *given, **options)


def measure(*, agents: int = 100, delay: float = 0.1, rounds: int = 7) -> list[Row]:
    """Return a row for each form: milliseconds, and how many times plain asyncio that is.

    Args:
        agents: How many work at once.
        delay: Seconds of each call.
        rounds: How often each form runs, after one round that does not count.
    """
    taken = asyncio.run(_rounds(_forms(agents, SlowModel(delay=delay)), rounds))
    plain = next(iter(taken.values()))
    return [
        {
            "form": name,
            "ms": round(median(seconds) * 1000),
            "x asyncio": round(median(own / other for own, other in zip(seconds, plain, strict=True)), 2),
        }
        for name, seconds in taken.items()
    ]


def _forms(agents: int, model: SlowModel) -> dict[str, Callable[[], Awaitable[Any]]]:
    context = Context(model=model, max_concurrency=agents, max_items=agents)
    side_by_side = parallel.build([Agent(f"agent-{number}") for number in range(agents)]).compile(name="parallel")

    async def lines(_: str) -> AIMessage:
        return AIMessage("\n".join(f"item {number}" for number in range(agents)))

    mapped = map_reduce.build(Agent("worker"), splitter=lines).compile(name="map_reduce")
    stock = create_agent(model)

    async def plain() -> None:
        await asyncio.gather(*(model.ainvoke([HumanMessage("A question.")]) for _ in range(agents)))

    async def bare() -> None:
        await asyncio.gather(*(stock.ainvoke({"messages": [HumanMessage("A question.")]}) for _ in range(agents)))

    return {
        "plain asyncio": plain,
        "`create_agent` graphs in `asyncio.gather`": bare,
        "ours, `parallel`": lambda: side_by_side.ainvoke({"task": "A question."}, context=context),
        "ours, `map_reduce`": lambda: mapped.ainvoke({"task": "A question."}, context=context),
    }


async def _rounds(forms: dict[str, Callable[[], Awaitable[Any]]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for index in range(rounds + 1):
        for name, form in forms.items():
            started = time.perf_counter()
            await form()
            if index:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
