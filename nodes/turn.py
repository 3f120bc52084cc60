"""The two ends of every pattern: `begin` finds the task and clears what the last turn left, `conclude` says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from nodes.deciding import tell_conclusion
from nodes.layers.outside import TAINT, taint_of
from nodes.models import ENGINE_LABEL, ENGINE_NOTICE
from state.context import context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.outcome import Outcome, describe_failure
from state.task import RunStatus, TaskState


def begin_node(**resets: Any) -> Callable[[Any], Any]:
    """Return the first node of a pattern.

    Args:
        resets: The pattern's own channels and the values a turn starts with.
    """

    async def begin(state: Any) -> dict[str, Any]:
        messages, task = state.get("messages", []), state.get("task") or ""
        if not isinstance(task, str):
            raise ConfigurationError(f"task: expected text, got {type(task).__name__}")
        asked = last_human_text(messages)
        goal = task.strip() or asked
        if not goal:
            raise ConfigurationError("task: expected text in `task` or a human message in `messages`, got neither")
        cleared = {"answer": "", "structured": None, "status": "running", "reason": "", **resets}
        update = {name: value for name, value in cleared.items() if name not in state or state[name] != value}
        update |= {"goal": goal, "outcomes": Overwrite([])}
        if goal != asked or not isinstance(messages[-1], HumanMessage):
            update["messages"] = [HumanMessage(goal)]
        return update

    return begin


def conclude(
    state: TaskState,
    answer: str,
    *,
    status: RunStatus,
    reason: str = "",
    structured: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the update that ends a turn. Without an answer nothing is said in the conversation: errors are no answers."""
    update: dict[str, Any] = {"answer": answer, "structured": structured, "status": status, "reason": reason}
    if answer:
        by_engine = any(map(_by_engine, state.get("outcomes", ())))
        said = AIMessage(f"{answer}\n\n_{ENGINE_NOTICE}_" if by_engine else answer)
        if sources := taint_of(state.get("outcomes", ())):
            said.response_metadata[TAINT] = sources
        update["messages"] = [said]
    tell_conclusion(status, reason, structured)
    return update


def _by_engine(outcome: Outcome) -> bool:
    """Whether the embedded engine answered for the agent, or for a member of the team that stood for it."""
    return outcome.get("model") == ENGINE_LABEL or any(map(_by_engine, outcome.get("children", ())))


def settle(outcomes: Sequence[Outcome]) -> tuple[RunStatus, str]:
    """Return the status and the reason that a set of outcomes, all of them wanted, amounts to."""
    bad = [outcome for outcome in outcomes if outcome["status"] != "ok"]
    noted = [outcome for outcome in outcomes if outcome["status"] != "ok" or outcome["error"]]
    reason = "; ".join(describe_failure(outcome) for outcome in noted)
    if len(bad) < len(outcomes):
        return ("partial" if noted else "completed"), reason
    causes = {outcome["status"] for outcome in bad} - {"cancelled"}
    return ("stopped" if causes == {"stopped"} else "failed"), reason or "nothing was done"


def recent_conversation(state: TaskState, runtime: Runtime[Any]) -> list[AnyMessage]:
    """Return what an agent remembers of the conversation: the last messages before the task, as many as the window holds."""
    window = context_of(runtime).history_window
    before = list(state.get("messages", []))[:-1]
    return before[-window:] if window else []


def brief_task(recipient: str) -> Callable[[Any, Runtime[Any]], Envelope]:
    """Return the brief that sends an agent the user's task and nothing else."""

    def brief(state: TaskState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        return Envelope(sender="user", recipient=recipient, task=state["goal"])

    return brief


def last_human_text(messages: Sequence[AnyMessage]) -> str:
    """Return the text of the last human message, or nothing."""
    return next((m.text.strip() for m in reversed(messages) if isinstance(m, HumanMessage)), "")
