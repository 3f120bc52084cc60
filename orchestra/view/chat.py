"""What a conversation looks like: who speaks, who hands over, and what a person has to decide before it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from nodes.models import ENGINE_NOTICE
from orchestra.request import Request
from orchestra.result import RunResult
from orchestra.view.ending import answering, show_answer, untold
from orchestra.view.figures import one_line
from orchestra.view.glyphs import STYLES
from orchestra.view.screen import Screen
from orchestra.view.sentences import told
from state.events import Event

_HELP = {
    "approve": "approve",
    "edit": "edit NAME=VALUE ...",
    "reject": "reject [WHY]",
    "respond": "respond TEXT",
}


def show_turn(screen: Screen, result: RunResult) -> None:
    """Show what was answered and by whom, and how the turn ended if not simply well."""
    if result.answer:
        name = speaker(result)
        if screen.quiet:
            screen.give(result.answer)
        elif screen.out.is_terminal:
            screen.out.print(Text(f"{name}:", "bold"))
            show_answer(screen, result)
        else:
            screen.give(f"{name}: {result.answer}")
    if result.status not in ("completed", "waiting"):
        screen.insist(Text.assemble((result.status, STYLES[result.status]), f": {one_line(result.reason)}"))


def speaker(result: RunResult) -> str:
    """Return who answered: the agent whose outcome was the last; the pattern itself speaks where none had one."""
    return next((one["agent"] for one in reversed(result.outcomes) if one["status"] == "ok"), "reception")


def show_event(screen: Screen, event: Event) -> None:
    """Say who hands over to whom while a turn is worked on, and what a person decided."""
    if event["kind"] == "decided" and (said := told(event)):
        screen.say(said, style="dim")
    if event["kind"] == "handed_off":
        reason = one_line(str(event["data"].get("reason", "")), 100)
        screen.say(
            f"{event['agent']} hands over to {event['data']['to']}" + (f": {reason}" if reason else ""), style="dim"
        )


def show_engine(screen: Screen) -> None:
    """Say that no language model answers."""
    screen.insist(ENGINE_NOTICE, style="dim")


def show_decisions(screen: Screen, result: RunResult, options: Sequence[str]) -> None:
    """Show what waits for a person, and how to decide here and elsewhere."""
    several = len(result.interrupts) > 1
    for request in result.interrupts:
        screen.insist(
            Text.assemble(("Waiting for a person", f"bold {STYLES['waiting']}"), f" (request {request.id[:8]})")
        )
        screen.quote(Text(one_line(request.description, 400)))
        for action in request.actions:
            for name, value in untold(action, request.description).items():
                screen.quote(Text.assemble((f"{name}: ", "dim"), one_line(value, 400)))
        screen.insist(f"Decide here: {decisions(request, several=several)}")
        screen.insist("or from another terminal:")
        for line in answering(request, result.thread, options, several=several):
            screen.insist(f"  {line}")


def decisions(request: Request, *, several: bool = False) -> str:
    """Return what can be typed to decide about a request."""
    named = f" {request.id[:8]}" if several else ""
    words = [_HELP[kind] for kind in request.allowed]
    return " | ".join(word.replace(word.split()[0], f"/{word.split()[0]}{named}", 1) for word in words)
