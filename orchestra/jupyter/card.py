"""A result as a card: how it ended, the answer, what is asked of people, and the agents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nodes.models import ENGINE_NOTICE
from orchestra.jupyter.markup import frame, safe, state_mark
from orchestra.jupyter.session import is_of_session
from orchestra.view.figures import counted, money, one_line, visible

if TYPE_CHECKING:
    from orchestra.request import Request
    from orchestra.result import RunResult

_MOST_ANSWER = 4000
"""Characters of an answer that are shown."""
_MOST_QUESTION = 600
"""Characters of a question, and of an argument, that are shown."""
_NAMES = {"approve": "", "reject": ', message="..."', "respond": ', message="..."', "edit": ", args={...}"}


def card_markup(result: RunResult) -> str:
    """Return the card as a piece of a page."""
    return frame(*_parts(result))


def card_text(result: RunResult) -> str:
    """Return the card as text."""
    lines = [f"{result.status} · thread {one_line(result.thread)} · {_figures(result)}"]
    if result.reason:
        lines.append(one_line(result.reason))
    if result.answer:
        lines += ["", visible(_cut(result.answer))]
    for request in result.interrupts:
        lines += ["", f"asks: {visible(_question(request))}", *(f"  {each}" for each in _ways(request, result))]
    if result.by_engine and result.answer:
        lines += ["", ENGINE_NOTICE]
    return "\n".join(lines)


def asked_markup(result: RunResult) -> Iterator[str]:
    """Yield what people are asked, and the calls that answer."""
    for request in result.interrupts:
        ways = "<br>".join(f"<code>{safe(way)}</code>" for way in _ways(request, result))
        who = f"{safe(one_line(request.agent, 60))} asks" if request.agent else "asks"
        yield f'<div class="text"><span class="asks">? {who}:</span> {safe(_question(request))}</div>'
        yield f'<div class="foot">Answer with one of<br>{ways}</div>'


def _parts(result: RunResult) -> Iterator[str]:
    yield f'<div class="head"><b>{state_mark(result.status)}</b> <span class="dim">· {safe(_figures(result))}</span></div>'
    if result.reason:
        yield f'<div class="dim">{safe(one_line(result.reason, 300))}</div>'
    if result.answer:
        yield f'<div class="text">{safe(_cut(result.answer))}</div>'
    yield from asked_markup(result)
    if result.outcomes:
        count = counted(len(result.agents), "agent")
        yield f"<details><summary>{count}, thread {safe(one_line(result.thread, 80))}</summary>{result.agents.markup}</details>"
    if result.by_engine and result.answer:
        yield f'<div class="foot">{safe(ENGINE_NOTICE)}</div>'


def _figures(result: RunResult) -> str:
    used = result.usage
    parts = [
        counted(used["model_calls"], "model call"),
        counted(used["tool_calls"], "tool call"),
        counted(used["input_tokens"] + used["output_tokens"], "token"),
        "cost unknown" if used["usd"] is None else money(used["usd"]),
    ]
    return " · ".join(parts)


def _cut(answer: str) -> str:
    if len(answer) <= _MOST_ANSWER:
        return answer
    left = f"{len(answer) - _MOST_ANSWER:,} characters more in result.answer"
    return f"{answer[:_MOST_ANSWER].rstrip()}…\n({left})"


def _question(request: Request) -> str:
    """Return what is asked, with the arguments of the actions that it does not name itself."""
    said = request.description or ", ".join(action.name for action in request.actions)
    args = [f"{name}: {value}" for action in request.actions for name, value in action.args.items()]
    lines = [_clipped(said), *(_clipped(arg) for arg in args if arg.partition(": ")[2] not in said)]
    return "\n".join(lines)


def _clipped(text: str) -> str:
    return text if len(text) <= _MOST_QUESTION else text[: _MOST_QUESTION - 1].rstrip() + "…"


def _ways(request: Request, result: RunResult) -> list[str]:
    named = f", request={request.id[:8]!r}" if len(result.interrupts) > 1 else ""
    kept = "" if is_of_session(result.origin.persistence) else "persistence=persistence, "
    begin = f"watch(graph, {kept}thread={result.thread!r}"
    return [f"{begin}, decision={kind!r}{_NAMES[kind]}{named})" for kind in request.allowed]
