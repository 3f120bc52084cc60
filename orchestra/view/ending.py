"""What is said when a run has ended or paused: the answer, what is missing, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown
from rich.table import Table
from rich.text import Text

from nodes.models import ENGINE_NOTICE
from orchestra.request import Request
from orchestra.result import RunResult
from orchestra.view.figures import one_line, visible
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
        screen.insist()
        screen.insist(Text.assemble(("Waiting for you", f"bold {STYLES['waiting']}"), f" (request {request.id[:8]})"))
        screen.quote(Text(_clipped(request.description)))
        for action in request.actions:
            for name, value in action.args.items():
                if str(value) not in request.description:
                    screen.quote(Text.assemble((f"{name}: ", "dim"), _clipped(str(value))))
        screen.insist("Decide with:")
        for command in answering(request, result.thread, options, several=several):
            screen.insist(f"  {command}")


def answering(request: Request, thread: str, options: Sequence[str] = (), *, several: bool = False) -> list[str]:
    """Return the commands that answer a request, ready to be typed."""
    named = ["--id", request.id[:8]] if several else []
    needed: dict[str, list[str]] = {"reject": ["--message", "..."], "respond": ["--message", "..."]}
    # The text to be filled in comes last, where the cursor is.
    typed = {kind: command(kind, thread, [*options, *named, *needed.get(kind, [])]) for kind in request.allowed}
    if "edit" in typed:
        typed["edit"] += "  # in your editor; or with --arg KEY=VALUE, --file FILE"
    return list(typed.values())


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
