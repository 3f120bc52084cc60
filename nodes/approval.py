"""Approval: a person decides about an action before it is carried out.

Two nodes, because chat clients show a request only when the message with its tool call was emitted by an earlier node than
the one that pauses: `propose` says what is about to be done, the next node asks, and a tool message answers the call.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.runtime import get_runtime

from nodes.human import Check, Decision, DecisionType, approval_terms, ask
from state.context import Context, context_of
from state.task import TaskState


def propose(state: TaskState, name: str, args: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the update that announces an action as a tool call in the conversation."""
    call_id = str(uuid5(NAMESPACE_OID, f"{name}:{len(state.get('messages', []))}:{state['goal']}"))
    return {"messages": [AIMessage(text, tool_calls=[{"name": name, "args": args, "id": call_id}])]}


def ask_about_proposal(
    state: TaskState,
    description: str,
    allowed: tuple[DecisionType, ...] = ("approve", "edit", "reject", "respond"),
    *,
    check: Check | None = None,
) -> tuple[Decision, dict[str, Any]]:
    """Pause until a person has decided about the announced action, or as long as `Context.approval_expires` says.

    Returns:
        The decision, and the update that answers the tool call with it.
    """
    proposal = next(m for m in reversed(state["messages"]) if isinstance(m, AIMessage) and m.tool_calls)
    call = proposal.tool_calls[0]
    terms = approval_terms(context_of(get_runtime(Context)))
    decision = ask(call["name"], call["args"], description, allowed, check=check, **terms)
    said = {"approve": "Approved.", "edit": "Approved with changes.", "reject": "Rejected."}.get(
        decision.type, "Answered."
    )
    text = f"{said} {decision.message or ''}".strip()
    status = "error" if decision.type == "reject" else "success"
    return decision, {"messages": [ToolMessage(text, tool_call_id=call["id"], name=call["name"], status=status)]}
