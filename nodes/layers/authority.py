"""Authority: whether a tool may execute is decided where it executes, whoever asked for it."""

from __future__ import annotations

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.messages.tool import ToolCall as Call

from nodes.auditing import audit
from nodes.granting import why_ended
from nodes.layers.large_results import READ
from nodes.layers.layer import ToolCall, ToolResult
from nodes.step import Step, current_step
from tools.colleagues import ColleagueTool, HandoffTool
from tools.marks import Right
from tools.rights import rights_of


async def authority(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Execute the tool if the agent, and all it works for, may. A refused call is a readable tool result."""
    step, asked = current_step(), request.tool_call
    if why := why_not(step, request) or await why_ended(step):
        await refuse(step, asked, why)
        return ToolMessage(f"Denied: {why}", tool_call_id=asked["id"], name=asked["name"], status="error")
    return await call(request)


async def refuse(step: Step, asked: Call, why: str) -> None:
    """Write down that a call was refused, once however often the step is entered again."""
    step.emit("decided", decision="deny", tool=asked["name"], reason=why)
    key = f"{step.id} {asked['id']}"
    await audit(step, "denial", asked["name"], "denied", key=key, arguments=asked["args"], taint=step.taint, detail=why)


def why_not(step: Step, request: ToolCallRequest) -> str:
    """Return why a call may not be made; nothing when it may. What a tool gave an agent it may always read."""
    name, tool = request.tool_call["name"], request.tool
    if tool is None:
        return "" if name == READ else f"{step.agent} has no tool {name}."
    if why := step.authority.why_not(name, needs_of(request)):
        return why
    if step.taint and step.authority.tainted == "deny" and could_harm(request):
        return f"{name} may not be used after what came from {', '.join(step.taint)}."
    return ""


def needs_of(request: ToolCallRequest) -> frozenset[Right]:
    """Return the rights that a call needs; those that reach colleagues need none, as what these do is checked there."""
    return frozenset() if isinstance(request.tool, ColleagueTool | HandoffTool) else rights_of(request.tool)


def could_harm(request: ToolCallRequest) -> bool:
    """Whether a call does more than to read."""
    return bool(needs_of(request) - {"read"})
