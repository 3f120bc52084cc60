"""Authority: whether a tool may execute is decided where it executes, whoever asked for it."""

from __future__ import annotations

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage

from nodes.layers.layer import ToolCall, ToolResult
from nodes.policy import Policy
from nodes.step import current_step


async def authority(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Execute the tool if the policy allows it: deny before allow. A refused call is a readable tool result."""
    step, name = current_step(), request.tool_call["name"]
    if not may_use(step.policy, name):
        step.emit("decided", decision="deny", tool=name)
        text = f"Denied: {step.agent} may not use {name}."
        return ToolMessage(text, tool_call_id=request.tool_call["id"], name=name, status="error")
    return await call(request)


def may_use(policy: Policy, tool: str) -> bool:
    """Whether a policy lets a tool execute: deny before allow."""
    return tool not in policy.deny and (policy.allow is None or tool in policy.allow)
