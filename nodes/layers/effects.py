"""Effects: a tool that changes the world does so once in a turn, whatever is killed, retried or resumed in between.

Intent, call, recorded result. What was done is not done again: its recorded result is given. What was begun and has no result is
in doubt, and is settled by the tool's own transaction, by its own function, or by a person; it is never repeated silently.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Mapping
from typing import Any

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from langgraph.errors import GraphBubbleUp

from nodes.asking import ask_within
from nodes.auditing import audit
from nodes.layers.approval import can_pause
from nodes.layers.arguments import without_defaults
from nodes.layers.layer import ToolCall, ToolResult
from nodes.layers.retry import is_final
from nodes.step import Step, current_step
from nodes.threads import in_thread
from state.effects import Entry, Intent
from state.errors import LoopBlocked
from state.storage.ledgers import AsyncLedger, ledger_of
from tools.effects import carrying_out
from tools.marks import Effect, marks_of


async def effects(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Carry out an effect that was not carried out before, and write down what it gave; make any other call."""
    mark = marks_of(request.tool).effect
    if mark is None:
        return await call(request)
    step = current_step()
    intent, ledger = intent_of(request, mark, step), await ledger_in(step)
    lock = step.run.making.setdefault(intent.effect, asyncio.Lock())
    async with lock:  # of two branches that want the same, the second gets what the first did
        known = await ledger.begin(intent)
        if known is None:
            return await _carry_out(request, call, intent.key, intent, ledger)
        if known.status == "done":
            step.emit("decided", decision="effect_done_before", tool=intent.tool)
            await _audit(intent, "carried out")  # it may have been killed between the two
            return _message(request, known.result)
        return await _settle_doubt(request, call, mark, known, intent, ledger)


async def done_before(request: ToolCallRequest) -> bool:
    """Whether a call is of an effect that was carried out in this turn already."""
    mark, step = marks_of(request.tool).effect, current_step()
    if mark is None:
        return False
    known = await (await ledger_in(step)).find(intent_of(request, mark, step))
    return known is not None and known.status == "done"


def intent_of(request: ToolCallRequest, mark: Effect, step: Step) -> Intent:
    """Return what a call is about to change."""
    name, args = request.tool_call["name"], request.tool_call["args"]
    told = args if callable(mark.key) else without_defaults(request.tool, args)
    return Intent(step.run.thread, step.run.turn, mark.key_of(name, told), name, args)


async def ledger_in(step: Step) -> AsyncLedger:
    """Return the ledger of a step's run."""
    run = step.run
    return await ledger_of(run.saver) if run.saver is not None else AsyncLedger(run.effects)


async def _carry_out(
    request: ToolCallRequest, call: ToolCall, key: str, intent: Intent, ledger: AsyncLedger
) -> ToolResult:
    """Call the tool and write down its result. After an error it stays in doubt, unless the tool says that it did nothing."""
    try:
        with carrying_out(key):
            result = await call(request)
    except (ToolException, GraphBubbleUp):  # the second: it pauses, and will begin anew
        await ledger.drop(intent)
        raise
    except (asyncio.CancelledError, LoopBlocked):
        current_step().run.adrift.add(intent.effect)
        raise
    if isinstance(result, ToolMessage) and result.status == "error":  # wrong arguments, or said by the tool itself
        await ledger.drop(intent)
    else:
        await ledger.settle(intent, _plain(result))
        await _audit(intent, "carried out")
    return result


async def _settle_doubt(
    request: ToolCallRequest, call: ToolCall, mark: Effect, known: Entry, intent: Intent, ledger: AsyncLedger
) -> ToolResult:
    step = current_step()
    step.emit("decided", decision="effect_in_doubt", tool=intent.tool)
    if mark.transactional:
        return await _carry_out(request, call, known.key, intent, ledger)
    if mark.reconcile is not None:
        try:
            found = await _reconciled(mark.reconcile, known.key, intent)
        except Exception as error:  # a person is asked then
            if is_final(error):
                raise
        else:
            gone = intent.effect not in step.run.adrift  # a call that was given up may still go on and do it
            if (found is None or found is False) and gone:
                return await _carry_out(request, call, known.key, intent, ledger)
            if found is not None and found is not False:
                result = {"content": "Carried out." if found is True else found}
                await ledger.settle(intent, result)
                await _audit(intent, "carried out")
                return _message(request, result)
    return await _ask(request, call, known, intent, ledger)


async def _reconciled(reconcile: Any, key: str, intent: Intent) -> Any:
    """Ask the tool's own function, with those of `args`, `key` and the tool's arguments that it names."""
    told = {**intent.arguments, "args": dict(intent.arguments), "key": key}
    parameters = inspect.signature(reconcile).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        told = dict(intent.arguments)
    else:
        told = {parameter.name: told[parameter.name] for parameter in parameters if parameter.name in told}
    with carrying_out(key):
        if inspect.iscoroutinefunction(reconcile):
            return await reconcile(**told)
        found = await in_thread(reconcile, **told)
    return await found if inspect.isawaitable(found) else found


async def _ask(
    request: ToolCallRequest, call: ToolCall, known: Entry, intent: Intent, ledger: AsyncLedger
) -> ToolResult:
    """Put an effect in doubt to a person: carry it out, leave it, or say what it gave.

    Each time it is carried out on a person's word needs a word of its own: one that was given before an earlier attempt is
    replayed when the node is entered again, and counts for that attempt only.
    """
    step = current_step()
    if not can_pause(request):
        text = f"It is not known whether {intent.tool} was carried out. It was not repeated."
        return ToolMessage(text, tool_call_id=request.tool_call["id"], name=intent.tool, status="error")
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(known.at))
    description = (
        f"{step.agent} began {intent.tool} on {when}, and it is not known whether it was carried out. "
        "Approve: carry it out. Reject: do not. Respond: it was carried out, and this is what it gave."
    )
    for _ in range(known.allowed + 1):
        decision = await ask_within(intent.tool, dict(intent.arguments), description, ("approve", "reject", "respond"))
    key = f"{intent.effect} {known.allowed}"
    await audit(step, "approval", intent.tool, decision.type, key=key, arguments=intent.arguments, taint=step.taint)
    if decision.type == "approve":
        await ledger.allow(intent, known.allowed + 1)
        return await _carry_out(request, call, known.key, intent, ledger)
    if decision.type == "respond":
        result = {"content": decision.message}
    else:
        why = f" Their reason: {decision.message}" if decision.message else ""
        result = {"content": f"A person decided that it is not carried out.{why}", "status": "error"}
    await ledger.settle(intent, result)
    await _audit(intent, "said by a person to be done" if decision.type == "respond" else "left")
    return _message(request, result)


async def _audit(intent: Intent, outcome: str) -> None:
    """Write down what became of an effect: once, whoever finds it done again."""
    step = current_step()
    await audit(step, "effect", intent.tool, outcome, key=intent.effect, arguments=intent.arguments, taint=step.taint)


def _plain(result: ToolResult) -> dict[str, Any]:
    """Return a tool's result as plain JSON."""
    if isinstance(result, ToolMessage):
        return {"content": result.content, "artifact": result.artifact}
    return {"content": "Carried out."}


def _message(request: ToolCallRequest, result: Mapping[str, Any]) -> ToolMessage:
    """Return a recorded result as the answer to a call."""
    content = result["content"] if isinstance(result["content"], str | list) else str(result["content"])
    return ToolMessage(
        content,
        tool_call_id=request.tool_call["id"],
        name=request.tool_call["name"],
        artifact=result.get("artifact"),
        status=result.get("status", "success"),
    )
