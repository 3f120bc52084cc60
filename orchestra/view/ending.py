"""What is said when a run has ended or paused: the answer, what is missing, what to do next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown
from rich.table import Table
from rich.text import Text

from nodes.models import ENGINE_NOTICE
from orchestra.request import DECISIONS, Action, Request
from orchestra.result import RunResult
from orchestra.view.figures import duration, one_line, visible
from orchestra.view.glyphs import STYLES
from orchestra.view.screen import Screen

_SERVER_TROUBLE = frozenset(
    {"ModelAuthenticationError", "ModelPermissionDeniedError", "ModelNotFoundError", "ModelConnectionError"}
)
"""Errors that another setting mends."""
_REFERENCES = "\n## References\n"
_MOST_LINES = 12
"""Lines of a question that are shown."""
_MOST_CHARACTERS = 1200

_SUBTASK = frozenset({"id", "agent", "task", "depends_on", "coupling"})
"""What the description of a plan tells of a subtask, or nobody has to agree to."""


class _Heading(Heading):
    """A heading at the left margin, as in the source; the stock one is centred and boxed."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Answer(Markdown):
    """Markdown laid out for a terminal."""

    elements = Markdown.elements | {"heading_open": _Heading}


def show_heading(screen: Screen, name: str, thread: str, model: str) -> None:
    """Say what runs, in which thread, and what answers."""
    if screen.plain:
        screen.say(f"{name} runs in thread {thread}. Model: {model}.")
        return
    dot = f" {screen.glyphs.dot} "
    screen.say(Text.assemble((name, "bold"), dot, (thread, "bold"), dot, model))


def show_answer(screen: Screen, result: RunResult, *, kept: bool = False) -> None:
    """Give the answer: laid out on a terminal, as it is in a pipe.

    Args:
        screen: Where it is shown.
        result: Of the run.
        kept: Whether all of it is in a file, so that the passages it quotes need not be shown.
    """
    if not result.answer:
        return
    if screen.quiet or not screen.out.is_terminal:
        screen.give(result.answer)
        return
    references = (result.structured or {}).get("references") if kept else None
    text = result.answer.partition(_REFERENCES)[0] if references else result.answer
    screen.out.print()
    screen.out.print(_Answer(visible(text), hyperlinks=False))
    screen.out.print()
    if references:
        table = Table.grid(padding=(0, 1, 0, 0))
        for reference in references:
            place = ", ".join(part for part in (reference["source"], reference["heading"], reference["place"]) if part)
            table.add_row(Text(f"[{reference['number']}]", "dim"), Text(one_line(place), "dim"))
        screen.out.print(table)
        screen.out.print()


def show_status(screen: Screen, result: RunResult) -> None:
    """Say how the run ended, if not simply well, and what answered, if that was no language model."""
    if result.status not in ("completed", "waiting"):
        screen.insist(Text.assemble((result.status, STYLES[result.status]), f": {one_line(result.reason)}"))
    if result.failures & _SERVER_TROUBLE:
        screen.insist("Check address, key and name of the model: orchestra doctor")
    show_notice(screen, result)


def show_notice(screen: Screen, result: RunResult) -> None:
    """Say that the embedded engine answered, if it did: also when quiet."""
    if result.by_engine and result.answer:
        screen.insist(ENGINE_NOTICE, style="dim")


def show_requests(screen: Screen, result: RunResult, options: Sequence[str]) -> None:
    """Say what a person is asked, and the exact commands that answer.

    Args:
        screen: Where it is shown.
        result: Of a run that waits.
        options: What each command needs besides thread and request, such as `--db`.
    """
    several = len(result.interrupts) > 1
    for request in result.interrupts:
        show_request(screen, request)
        screen.insist("Decide with:")
        for command in answering(request, result.thread, options, several=several):
            screen.insist(f"  {command}")


def show_request(screen: Screen, request: Request) -> None:
    """Say what a person is asked."""
    screen.insist()
    screen.insist(Text.assemble(("Waiting for you", f"bold {STYLES['waiting']}"), f" (request {request.id[:8]})"))
    screen.quote(Text(_clipped(request.description)))
    for number, action in enumerate(request.actions, 1):
        if len(request.actions) > 1:
            screen.quote(Text.assemble((f"action {number}: ", "dim"), visible(action.name)))
        for name, value in untold(action, request.description).items():
            screen.quote(Text.assemble((f"{name}: ", "dim"), _clipped(value)))
    if request.expires_in is not None:
        screen.insist(
            f"If nobody does within {duration(request.expires_in)}, it is decided: {visible(request.default)}"
        )


def untold(action: Action, description: str) -> dict[str, str]:
    """Return the arguments of an action that its description does not tell, as people read them: texts, else JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for name, value in action.args.items()
        if str(value) not in description and not _is_plan_in(value, description)
    }


def _is_plan_in(value: Any, description: str) -> bool:
    """Whether a value is the subtasks of a plan of which a text tells all that there is to know."""
    if not isinstance(value, list) or not value:
        return False
    said = [{key: part for key, part in one.items() if _says(part)} for one in value if isinstance(one, dict)]
    return len(said) == len(value) and all(
        one.keys() <= _SUBTASK and all(str(one.get(key)) in description for key in ("id", "agent", "task"))
        for one in said
    )


def _says(value: Any) -> bool:
    return any(_says(part) for part in value.values()) if isinstance(value, dict) else value not in (None, "", [], ())


def answering(request: Request, thread: str, options: Sequence[str] = (), *, several: bool = False) -> list[str]:
    """Return the commands that answer a request, ready to be typed."""
    named = ["--id", request.id[:8]] if several else []
    needed: dict[str, list[str]] = {"reject": ["--message", "..."], "respond": ["--message", "..."]}
    # The text to be filled in comes last, where the cursor is.
    one_of_several = len(request.actions) > 1
    allowed = [kind for kind in DECISIONS if any(kind in action.allowed for action in request.actions)]
    typed = {
        kind: command(kind, thread, [*options, *named, *needed.get(kind, [])])
        for kind in (allowed if one_of_several else request.allowed)
    }
    notes = {"edit": ["in your editor, or --arg KEY=VALUE"]}
    for kind in typed if one_of_several else ():
        must = kind not in request.allowed or kind in ("edit", "respond")
        notes.setdefault(kind, []).append(
            "with --action N for one of them" if must else "all; with --action N one of them"
        )
    return [text + (f"  # {'; '.join(notes[kind])}" if kind in notes else "") for kind, text in typed.items()]


def command(verb: str, thread: str, options: Sequence[str] = ()) -> str:
    """Return an `orchestra` command as a shell takes it."""
    words = ["orchestra", verb, thread, *options]
    return " ".join('"..."' if word == "..." else shlex.quote(word) for word in words)


def _clipped(text: str) -> str:
    """Return the beginning of a text, on a few lines."""
    text = visible(text).strip()
    lines = text[:_MOST_CHARACTERS].splitlines()
    shown = "\n".join(lines[:_MOST_LINES])
    return shown if len(shown) == len(text) else f"{shown.rstrip()} ... ({len(text) - len(shown):,} more characters)"
