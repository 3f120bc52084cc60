"""`orchestra run`: start a pattern or team on a task."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestra.commands.options import (
    age,
    db_option,
    json_option,
    limit_options,
    plain_option,
    quiet_option,
    with_limits,
)
from state.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from orchestra.recipe import Recipe
    from state.context import Context
    from state.persistence import Persistence


@click.command()
@click.argument("name", metavar="PATTERN_OR_TEAM")
@click.argument("task")
@limit_options
@db_option
@click.option("--thread", metavar="ID", help="Name of the thread; one that has ended goes on with a new turn.")
@click.option("--corpus", metavar="DIR", help="Folder of documents; default: Python's language reference.")
@click.option("--out", metavar="FILE", help="Write the answer there; `research` always does, to reports/THREAD.md.")
@click.option("--approve", is_flag=True, help="Ask a person before the result is final.")
@click.option("--approve-within", callback=age, metavar="AGE", help="Reject what nobody approved in time, such as 2h.")
@click.option("--max-rounds", type=click.IntRange(1, 100), metavar="N", help="Passes of a loop, 3 by default.")
@click.option("--max-concurrency", type=click.IntRange(1, 1000), metavar="N", help="Agents at a time, 8 by default.")
@json_option
@quiet_option
@plain_option
def run(name: str, task: str, **options: Any) -> None:
    """Run a pattern, a team or a team file on a task; `-` reads it from the input.

    \b
    orchestra run research "What is a closure?"
    orchestra run examples/teams/duo.yaml "What is a closure?"
    orchestra run review "Write a haiku about tides" --model openai:gpt-5-mini
    """
    from orchestra.commands.place import open_place
    from orchestra.recipe import recipe_named

    recipe, knobs = recipe_named(name, corpus=options["corpus"] is not None)
    task = sys.stdin.read() if task == "-" else task
    if not task.strip():
        raise ConfigurationError("the task is empty: give it in quotes, or `-` and the text on standard input")
    with open_place(options["db"]) as persistence:
        _run(persistence, recipe, knobs, task, **options)


def _run(
    persistence: Persistence,
    recipe: Recipe,
    knobs: dict[str, Any],
    task: str,
    *,
    db: str,
    thread: str | None,
    **options: Any,
) -> None:
    from nodes.models import describe_model, load_model
    from orchestra.commands.place import db_words
    from orchestra.commands.running import end, prepare, watched_run
    from orchestra.runs import astart, new_thread
    from orchestra.view.agents import AgentTree
    from orchestra.view.ending import show_heading
    from orchestra.view.screen import open_screen
    from state.loop import run_sync

    screen = open_screen(quiet=options.pop("quiet"), json=options.pop("as_json"), plain=options.pop("plain"))
    thread = thread if thread is not None else run_sync(new_thread(recipe.name, persistence))
    recipe, context = _begun(persistence, thread, recipe, knobs)
    recipe, context = _recipe(recipe, thread, **options), _context(context, **options)
    load_model(context.model)
    show_heading(screen, recipe.name, thread, describe_model(context.model))
    prepare(screen, context, recipe)
    graph = recipe.graph(persistence)
    result = watched_run(
        screen,
        thread,
        lambda watch: astart(
            graph, persistence, task, thread=thread, context=context, on_event=watch, facts=recipe.facts()
        ),
        tree=AgentTree(),
        options=db_words(db),
        graph=graph,
        context=context,
    )
    end(screen, result, recipe, db)


def _begun(persistence: Persistence, thread: str, recipe: Recipe, told: Mapping[str, Any]) -> tuple[Recipe, Context]:
    """Return what the options change: how a known thread was built and its knobs, or those of a new one.

    What a file told of the knobs is noted with the thread; it is told again where the file says something else now.
    """
    from dataclasses import replace

    from orchestra.commands.running import noted_recipe
    from orchestra.knobs import context_from
    from orchestra.recipe import recipe_of
    from state.context import Context

    known = persistence.thread(thread)
    if not known:
        return recipe, Context(**told)
    noted, told = noted_recipe(known, recipe), told if recipe_of(known).digest != recipe.digest else {}
    return noted, replace(context_from(known), **told)


def _recipe(recipe: Recipe, thread: str, *, out: str | None, approve: bool, model: str | None, **_: Any) -> Recipe:
    """Return a recipe with what the options ask for."""
    from graphs.registry import find
    from orchestra.recipe import approval_arguments

    if approve and recipe.file:
        raise ConfigurationError(
            "--approve: expected a pattern or team by its name; a file says itself what a person approves"
        )
    if approve:
        recipe = recipe.model_copy(update={"build": {**recipe.build, **approval_arguments(find(recipe.name))}})
    if out is None:
        out = recipe.out or (f"reports/{Path(thread).name}.md" if recipe.searches else "")
    recipe = recipe.model_copy(update={"out": str(_writable(Path(out)))}) if out else recipe
    return recipe.with_model(model)


def _context(
    context: Context,
    *,
    corpus: str | None,
    approve_within: timedelta | None,
    max_rounds: int | None,
    max_concurrency: int | None,
    model: str | None,
    budget_usd: float | None,
    budget_tokens: int | None,
    **_: Any,
) -> Context:
    """Return a context in which options take the place of its own. The default model is named now: it stays the same."""
    from dataclasses import replace

    from nodes.models import default_model

    knobs: dict[str, Any] = {"max_rounds": max_rounds, "max_concurrency": max_concurrency}
    if approve_within is not None:
        knobs["approval_expires"] = approve_within.total_seconds()
    if corpus is not None:
        knobs["corpus"] = str(Path(corpus).expanduser().resolve())
    if context.model is None:
        knobs["model"] = default_model()
    context = replace(context, **{name: value for name, value in knobs.items() if value is not None})
    return with_limits(context, model=model, budget_usd=budget_usd, budget_tokens=budget_tokens)


def _writable(path: Path) -> Path:
    """Return an absolute path that a file can be written to, found out before anything is spent. Makes nothing."""
    path = path.expanduser().absolute()
    if path.is_dir():
        raise ConfigurationError(f"--out: {str(path)!r} is a folder; name a file in it")
    there = path if path.exists() else next(parent for parent in path.parents if parent.exists())
    if not os.access(there, os.W_OK) or (there != path and not there.is_dir()):
        raise ConfigurationError(f"--out: {str(path)!r} cannot be written, because {str(there)!r} cannot be changed")
    return path
