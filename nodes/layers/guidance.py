"""Guidance: what an operator tells a running agent reaches its next model call, and every later one of the turn.

It is read at each call and kept in no conversation, so a step that is taken up after a crash is told the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import SystemMessage

from nodes.layers.layer import ModelCall
from nodes.step import Step, current_step
from state.storage.signals import signals_of

_HEADING = "Guidance from the operator of this run, given while you work. It comes before what you were told earlier:"


async def guidance(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call with what the operator told this agent, a team that it works in, or all, since the turn began."""
    step = current_step()
    signals = signals_of(step.run.saver)
    if signals is None or not step.run.thread:
        return await call(request)
    kept = await signals.guidance(step.run.thread, step.run.turn)
    told = [each for each in kept if not each.agent or each.agent in _names(step)]
    if not told:
        return await call(request)
    if new := [each for each in told if not each.turn]:
        await signals.see([each.id for each in new], step.run.turn)
        step.emit("guided", texts=[each.text for each in new])
    before = f"{request.system_message.text}\n\n" if request.system_message is not None else ""
    lines = "\n".join(f"- {each.text}" for each in told)
    return await call(request.override(system_message=SystemMessage(f"{before}{_HEADING}\n{lines}")))


def _names(step: Step | None) -> Iterator[str]:
    """Yield the name of the agent, and of those it works for: teams, and colleagues that asked it."""
    while step is not None:
        yield step.agent
        step = step.caller
