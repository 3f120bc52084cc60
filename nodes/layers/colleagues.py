"""Colleagues: carries out the tools that reach another agent, around all that holds for ordinary tools.

A colleague has limits of its own, so the attempt's timeout does not hold for it; the asker's budget does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.messages.tool import ToolCall as Call

from nodes.auditing import audit
from nodes.granting import pass_on
from nodes.layers.artifact import fact_of, noted, without_facts
from nodes.layers.authority import refuse
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.layers.record import NO_CALL, since_task
from nodes.matching import find_name
from nodes.step import Step, current_step
from state.audit import Kind
from state.envelope import Envelope
from state.errors import GrantRefused
from state.outcome import Transfer, describe_failure
from state.run import with_run
from tools.colleagues import TRANSFER, ColleagueTool, HandoffTool

_KINDS: dict[str, Kind] = {"consulted": "consultation", "delegated": "delegation"}


async def colleagues(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Reach the colleague that the tool names, or hand over to it; make any other call."""
    if isinstance(request.tool, ColleagueTool):
        return await _reach(request, request.tool, current_step())
    if isinstance(request.tool, HandoffTool):
        return await _hand_over(request, request.tool, current_step())
    return without_facts(await call(request))


async def after_transfer(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call unless the agent has handed over: then its part is done."""
    if isinstance(request.messages[-1], ToolMessage) and find_transfer(request.messages) is not None:
        return ModelResponse(result=[AIMessage("", response_metadata={NO_CALL: True})])
    return await call(request)


def find_transfer(messages: Sequence[AnyMessage]) -> Transfer | None:
    """Return the handoff that was taken since the last human message, if there was one."""
    transfers = (fact_of(message, "transfer") for message in since_task(messages))
    return next((transfer for transfer in transfers if transfer is not None), None)


def last_said(messages: Sequence[AnyMessage]) -> str:
    """Return what the agent said when it handed over."""
    said = [m.text for m in since_task(messages) if isinstance(m, AIMessage) and m.text.strip()]
    return said[-1] if said else ""


async def _hand_over(request: ToolCallRequest, tool: HandoffTool, step: Step) -> ToolMessage:
    """Take the first handoff of a message; tell the others that they were not taken."""
    asked = _calls_beside(request)
    transfers = [
        one for one in asked if one["name"].startswith(TRANSFER) and not step.authority.why_not(one["name"], ())
    ]
    if transfers and transfers[0]["id"] != request.tool_call["id"]:
        taken = transfers[0]["name"].removeprefix(TRANSFER)
        return _answer(request, f"Not taken: control goes to {taken}, one handoff at a time.")
    args = request.tool_call["args"]
    transfer = Transfer(to=tool.agent, reason=str(args.get("reason", "")), notes=str(args.get("notes", "")))
    step.emit("handed_off", to=tool.agent, reason=transfer["reason"])
    key = f"{step.id} {request.tool_call['id']}"
    await audit(step, "handoff", tool.agent, "handed over", key=key, taint=step.taint, detail=transfer["reason"])
    return _answer(request, f"Control goes to {tool.agent}.", artifact=noted(transfer=transfer))


async def _reach(request: ToolCallRequest, tool: ColleagueTool, step: Step) -> ToolMessage:
    """Give the question or task to the colleague and return its answer, or why there is none."""
    from nodes.agent import run_agent  # it calls models and tools through the layers, this one among them

    args = request.tool_call["args"]
    said = str(args.get("peer") or args.get("agent") or "")
    text = str(args.get("question") or args.get("task") or "").strip()
    name, number = find_name(said, list(tool.colleagues)), _number_of(request)
    refusal = _refusal(step, tool, said, name, text, number)
    if refusal or name is None:
        step.emit("decided", decision="refuse", tool=tool.name, reason=refusal)
        return _answer(request, refusal, status="error")
    try:
        grant = await pass_on(step, name)
    except GrantRefused as refused:
        await refuse(step, request.tool_call, str(refused))
        return _answer(request, f"Denied: {refused}", status="error")
    step_id = f"{step.id}/{name}" if number == 1 else f"{step.id}/{name}#{number}"
    config = with_run(request.runtime.config, step.run.within(step.id, step.account))
    envelope = Envelope(sender=step.agent, recipient=name, task=text, taint=tuple(step.taint))
    outcome = await run_agent(tool.colleagues[name], envelope, step.runtime, config, step_id=step_id, grant=grant)
    step.taint.update(dict.fromkeys(outcome.get("taint", ())))
    step.emit(tool.kind, colleague=name, status=outcome["status"], usage=outcome["usage"])
    kind, key = _KINDS[tool.kind], f"{step.id} {request.tool_call['id']}"
    await audit(
        step, kind, name, outcome["status"], key=key, arguments=args, taint=step.taint, detail=f"grant {grant.id}"
    )
    if outcome["status"] != "ok":
        return _answer(request, f"No answer: {describe_failure(outcome)}", status="error", artifact=_spent(outcome))
    return _answer(request, outcome["output"], artifact=_spent(outcome))


def _refusal(step: Step, tool: ColleagueTool, said: str, name: str | None, text: str, number: int) -> str:
    """Return why a colleague is not reached, for the asker to read; nothing when it is."""
    known, links = ", ".join(tool.colleagues), list(_links(step))
    if name is None:
        return f"There is no {said!r}; there are {known}."
    if not text:
        return f"Expected what {name} is to be told, got nothing."
    if number > step.context.max_consultations:
        return (
            f"Not carried out: max_consultations of {step.context.max_consultations} reached. Go on with what you have."
        )
    if name in {step.agent, *(one.agent for link in links for one in link)}:
        return f"Not carried out: {name} waits for your answer itself. Go on without it."
    if len(links) + 1 > step.context.max_depth:
        return f"Not carried out: max_depth of {step.context.max_depth} reached. Answer from what you know."
    return ""


def _links(step: Step) -> Iterator[tuple[Step, Step]]:
    """Yield who was reached by whom, from a step upward; teams in between have links of their own."""
    while step.caller is not None:
        if step.id.startswith(f"{step.caller.id}/"):
            yield step, step.caller
        step = step.caller


def _number_of(request: ToolCallRequest) -> int:
    """Return which of the step's calls of this tool it is, from 1: as the messages tell, so also after a pause."""
    calls = [one for m in since_task(messages_of(request)) if isinstance(m, AIMessage) for one in m.tool_calls]
    same = [one["id"] for one in calls if one["name"] == request.tool_call["name"]]
    return 1 + same.index(request.tool_call["id"]) if request.tool_call["id"] in same else len(same) + 1


def _calls_beside(request: ToolCallRequest) -> list[Call]:
    """Return all calls of the message that asked for this one."""
    for message in reversed(messages_of(request)):
        if isinstance(message, AIMessage) and any(one["id"] == request.tool_call["id"] for one in message.tool_calls):
            return message.tool_calls
    return [request.tool_call]


def messages_of(request: ToolCallRequest) -> Sequence[AnyMessage]:
    """Return the conversation of the loop that a tool call is made in."""
    messages: Sequence[AnyMessage] = request.state["messages"] if isinstance(request.state, dict) else request.state
    return messages


def _spent(outcome: Any) -> dict[str, Any]:
    """Return what the asker's step counts when it is taken up again in another process."""
    return noted(usage=outcome["usage"], taint=outcome.get("taint", []))


def _answer(request: ToolCallRequest, text: str, *, status: Any = "success", artifact: Any = None) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(text, tool_call_id=call["id"], name=call["name"], status=status, artifact=artifact)
