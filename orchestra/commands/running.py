"""`run`, `resume`, and the four answers: what they have in common is a run that is watched and ends in one of five ways."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from orchestra.commands.driving import Stopped, drive
from orchestra.commands.place import db_words
from state.errors import ConfigurationError, ThreadError

if TYPE_CHECKING:
    from orchestra.recipe import Recipe
    from orchestra.result import RunResult
    from orchestra.view.agents import AgentTree
    from orchestra.view.screen import Screen
    from orchestra.view.watching import Watch
    from state.context import Context

EXIT_CODES = {"completed": 0, "partial": 0, "failed": 1, "unfinished": 1, "waiting": 3, "stopped": 4}
"""Exit code for each status of a result. Usage errors are 2, a signal is 128 and its number."""

_LIMIT = re.compile(r"budget of [^;]+ reached: (\w+)")
"""Which limit of a budget ended a run, in the words of `BudgetExceeded`."""


def watched_run(
    screen: Screen,
    thread: str,
    work: Callable[[Watch], Awaitable[RunResult]],
    *,
    tree: AgentTree,
    options: Sequence[str],
    graph: Any = None,
    context: Context | None = None,
) -> RunResult:
    """Run under the eyes of the user; a signal ends the command with the way to go on.

    Args:
        screen: Where it is shown.
        thread: What is run.
        work: Starts the run, given what watches it.
        tree: What has happened before.
        options: What a command needs to find the thread again.
        graph: What runs, whose shape is shown.
        context: Of the run, whose budget is shown.
    """
    from orchestra.view.ending import command
    from orchestra.view.shape import read_shape
    from orchestra.view.watching import watch_on

    shape = read_shape(graph) if screen.is_live and graph is not None else None
    budget = context.budget if context is not None else None

    async def under_watch() -> RunResult:
        with watch_on(screen, tree, shape=shape, budget=budget) as watch:
            result = await work(watch)
            if result.status != "waiting":  # halted: who did not end waits for nobody
                watch.tree.settle("unfinished")
            return result

    try:
        result = drive(under_watch(), screen.say)
    except Stopped as stopped:
        screen.insist(f"Stopped. Continue with: {command('resume', thread, options)}")
        raise click.exceptions.Exit(128 + stopped.number) from None
    except (ConfigurationError, ThreadError):
        raise  # nothing was run
    except Exception:
        screen.insist(f"The run broke off. Continue with: {command('resume', thread, options)}")
        raise
    if result.status == "unfinished":  # halted from elsewhere
        screen.insist(f"Stopped ({result.reason}). Continue with: {command('resume', thread, options)}")
    return result


def end(screen: Screen, result: RunResult, recipe: Recipe, db: str) -> NoReturn:
    """Give the answer, write its file, say what is open, and end the command with the exit code of the status."""
    from orchestra.view.ending import command, show_answer, show_requests, show_status

    code, written = EXIT_CODES[result.status], ""
    if recipe.out and result.answer:
        try:
            written = write_answer(result, Path(recipe.out))
        except OSError as error:
            code = 1
            screen.insist(
                f"Not written to {recipe.out} ({error.strerror}). The answer is kept: "
                + command("show", result.thread, db_words(db))
            )
    if screen.json:
        show_json(screen, result, written)
    else:
        show_answer(screen, result, kept=bool(written))
    show_status(screen, result)
    if result.status == "stopped" and (limit := _LIMIT.search(result.reason)):
        _show_larger(screen, result, recipe, limit[1], db)
    if written:
        screen.say(f"Written to {written}")
    show_requests(screen, result, db_words(db))
    raise click.exceptions.Exit(code)


def _show_larger(screen: Screen, result: RunResult, recipe: Recipe, limit: str, db: str) -> None:
    """Say how to go on with a thread whose budget is used up, and what of its turn was carried out."""
    from orchestra.view.ending import command
    from orchestra.view.figures import one_line

    persistence = result.origin.persistence
    facts = (persistence.thread(result.thread) if persistence is not None else None) or {}
    corpus = str((facts.get("context") or {}).get("corpus") or "")
    options = ["--thread", result.thread, *(["--corpus", corpus] if corpus else []), *db_words(db)]
    larger = {"usd": ["--budget-usd", "USD"], "tokens": ["--budget-tokens", "N"]}.get(limit, [])
    where = "" if larger else f" in {recipe.file}" if recipe.file else " in its policy"
    again = command("run", recipe.file or recipe.name, ["...", *options, *larger])
    screen.insist(f"Go on in a new turn, with a larger budget{where}: {again}")
    if persistence is None:
        return
    begun = [e["at"] for e in persistence.events(result.thread) if e["data"].get("note") == "started"]
    effects = persistence.trail.records(thread=result.thread, kind="effect")
    done = {each.subject for each in effects if each.outcome == "carried out" and each.at >= max(begun, default=0.0)}
    if done:
        screen.insist(f"Carried out in this turn, and not undone: {one_line(', '.join(sorted(done)))}")


def show_json(screen: Screen, result: RunResult, written: str) -> None:
    """Give the result as one JSON value."""
    from nodes.models import ENGINE_NOTICE

    shown: dict[str, Any] = {**result.model_dump(mode="json"), "file": written or None}
    shown["notice"] = ENGINE_NOTICE if result.by_engine else None
    screen.out.file.write(json.dumps(shown, ensure_ascii=False, indent=2) + "\n")


def write_answer(result: RunResult, path: Path) -> str:
    """Write the answer to a file and return the file's name as people would type it.

    Raises:
        OSError: It cannot be written.
    """
    from nodes.models import ENGINE_NOTICE

    path.parent.mkdir(parents=True, exist_ok=True)
    notice = f"\n---\n\n_{ENGINE_NOTICE}_\n" if result.by_engine else ""
    path.write_text(result.answer.rstrip("\n") + "\n" + notice, encoding="utf-8")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def noted_recipe(known: Mapping[str, Any], named: Recipe) -> Recipe:
    """Return how a thread was built, so that its next turn is built like that.

    A team file is taken as it is now, but by a thread in the middle of its work, which goes on with the same only.

    Args:
        known: What is noted with the thread.
        named: What it is to be a thread of.

    Raises:
        ConfigurationError: It is a thread of something else.
        GraphChanged: A program runs it.
    """
    from orchestra.recipe import recipe_of

    noted = recipe_of(known)
    if (noted.name, noted.file) != (named.name, named.file):
        whose = noted.file or noted.name
        raise ConfigurationError(f"--thread: {known['thread']!r} belongs to {whose!r}; choose another name")
    return noted if noted.unfinished else noted.model_copy(update={"digest": named.digest})


def prepare(screen: Screen, context: Context, recipe: Recipe) -> None:
    """Bring the index of the documents up to date, if there will be a search.

    Raises:
        DocumentError: The folder of documents cannot be used.
    """
    if recipe.searches or context.corpus:
        from orchestra.view.indexing import index_corpus

        index_corpus(screen, context.corpus)
