"""Bring the index of a folder up to date before the first search, with a bar while documents are read."""

from __future__ import annotations

from collections.abc import Callable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from orchestra.view.figures import counted, one_line
from orchestra.view.screen import Screen
from tools.corpus import open_corpus
from tools.retrieval.updating import Report


def index_corpus(screen: Screen, folder: str) -> Report:
    """Open a corpus, say what is in it, and return the report.

    Args:
        screen: Where it is shown.
        folder: Empty for the language reference that ships in Python.

    Raises:
        DocumentError: The folder cannot be used, or nothing in it can be read.
    """
    name = folder or "Python language reference"
    if screen.is_live:
        columns = TextColumn("Indexing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
        with Progress(*columns, console=screen.err, transient=True) as progress:
            task = progress.add_task("", total=None)

            def on_progress(done: int, total: int, source: str) -> None:
                progress.update(task, completed=done, total=total, description=one_line(source, 30))

            report = _open(folder, on_progress)
    else:
        report = _open(folder, None)
    screen.say(f"{name}: {describe_report(report)}", style="dim")
    for note in report.notes:
        screen.say(note, style="yellow")
    return report


def describe_report(report: Report) -> str:
    """Return what a corpus holds and what was left out, in one line."""
    parts = [counted(report.documents, "document"), counted(report.passages, "passage")]
    if report.indexed:
        parts.append(f"{report.indexed:,} read anew")
    if report.skipped:
        parts.append(f"{len(report.skipped):,} skipped (see `orchestra doctor --corpus DIR`)")
    return ", ".join(parts)


def _open(folder: str, on_progress: Callable[[int, int, str], None] | None) -> Report:
    with open_corpus(folder or None, on_progress=on_progress) as corpus:
        return corpus.report
