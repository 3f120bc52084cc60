"""Approval: a person agrees to a tool call before it is made, by a mark of the tool or by the agent's policy.

It is asked where the tool executes, so no way of naming a tool goes round it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from pydantic import BaseModel, ValidationError

from nodes.asking import ask_within
from nodes.auditing import audit
from nodes.human import Decision, approval_terms
from nodes.layers.arguments import as_read
from nodes.layers.authority import could_harm, refuse
from nodes.layers.layer import ToolCall, ToolResult
from nodes.step import Step, current_step
from state.labels import one_line
from state.redaction import logger
from tools.marks import marks_of

_log = logger("orchestra.approval")
_CHECKPOINTER = "__pregel_checkpointer"


async def approval(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call once a person has agreed, where one has to; tell the model what they decided otherwise."""
    from nodes.layers.effects import done_before  # it asks people too, with what is here

    step, name, args = current_step(), request.tool_call["name"], request.tool_call["args"]
    if not _has_to_be_asked(step, request) or await done_before(request):
        return await call(request)
    if not can_pause(request):
        why = f"{name} needs a person's approval, and this run keeps nothing to pause with."
        _log.warning("%s was denied: %s Compile the graph with a checkpointer.", step.agent, why)
        await refuse(step, request.tool_call, why)
        return _answer(request, f"Denied: {why}")
    decision = await ask_within(
        name,
        dict(args),
        f"{step.agent} wants to use {name}.{told_of(step)}",
        ("approve", "edit", "reject", "respond"),
        check=lambda decision: check_edit(request.tool, name, decision),
        **approval_terms(step.context),
    )
    key = f"{step.id} {request.tool_call['id']}"
    changed = as_read(request.tool, decision.edited_action.args) if decision.edited_action is not None else None
    carried = args if changed is None else changed  # the record holds what was agreed to, not what was asked for
    await audit(step, "approval", name, decision.type, key=key, arguments=carried, taint=step.taint)
    if decision.type == "reject":
        why = f" Their reason: {decision.message}" if decision.message else ""
        return _answer(request, f"A person rejected this call, and it was not made.{why} Do not make it again.")
    if decision.type == "respond":
        return _answer(request, decision.message or "", status="success")
    if changed is None:
        return await call(request)
    result = await call(request.override(tool_call={**request.tool_call, "args": dict(changed)}))
    if isinstance(result, ToolMessage) and isinstance(result.content, str):
        note = f"(A person changed the arguments to {changed!r} before the call was made.)"
        return result.model_copy(update={"content": f"{note}\n{result.content}"})
    return result


def told_of(step: Step) -> str:
    """Return what a person has to know of where a call may come from; nothing when only the user led to it."""
    if not step.taint:
        return ""
    return f" What led to this includes content from outside: {', '.join(map(one_line, step.taint))}."


def can_pause(request: ToolCallRequest) -> bool:
    """Whether a tool call can wait for a person: there is a checkpointer that keeps the run meanwhile."""
    configurable = request.runtime.config.get("configurable") or {}
    return isinstance(configurable.get(_CHECKPOINTER), BaseCheckpointSaver)


def check_edit(tool: BaseTool | None, name: str, decision: Decision) -> None:
    """Refuse an edit that names another tool, or arguments that the tool does not take.

    Raises:
        ValueError: Says what is wrong.
    """
    if decision.edited_action is None:
        return
    if decision.edited_action.name != name:
        raise ValueError(f"edit: expected the tool {name!r}, got {decision.edited_action.name!r}")
    args, schema = decision.edited_action.args, tool.tool_call_schema if tool is not None else {}
    known, needed = _names(schema)
    if known and (unknown := sorted(args.keys() - known)):
        raise ValueError(f"edit: {name} has no argument {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    if missing := sorted(needed - args.keys()):
        raise ValueError(f"edit: {name} needs {', '.join(missing)}")
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            schema.model_validate(args)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)
            raise ValueError("; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong)) from None


def _names(schema: Any) -> tuple[set[str], set[str]]:
    """Return the arguments of a tool, and those of them that it needs."""
    plain = schema if isinstance(schema, Mapping) else schema.model_json_schema()
    return set(plain.get("properties", ())), set(plain.get("required", ()))


def _has_to_be_asked(step: Step, request: ToolCallRequest) -> bool:
    if request.tool_call["name"] in step.authority.approve:
        return True
    if step.taint and step.authority.tainted == "approve" and could_harm(request):
        return True
    when = marks_of(request.tool).approval
    try:
        return when is not None and bool(when(request.tool_call["args"]))
    except Exception:  # noqa: BLE001  # what cannot be judged is asked about
        return True


def _answer(request: ToolCallRequest, text: str, *, status: Any = "error") -> ToolMessage:
    call = request.tool_call
    return ToolMessage(text, tool_call_id=call["id"], name=call["name"], status=status)
