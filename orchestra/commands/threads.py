"""`orchestra threads` and `show`: what is kept."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestra.commands.options import db_option, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from orchestra.inbox import OpenRequest
    from orchestra.result import RunResult
    from orchestra.thread import ThreadInfo
    from orchestra.view.screen import Screen
    from state.persistence import Persistence


@click.command()
@db_option
@json_option
def threads(db: str, as_json: bool) -> None:
    """List the threads, the last one used first."""
    from orchestra.commands.place import find_place, no_database
    from orchestra.thread import threads as all_threads
    from orchestra.view.screen import open_screen

    place, found = find_place(db), list["ThreadInfo"]()
    if place is not None:
        with place:
            found = all_threads(place)
    screen = open_screen()
    if as_json:
        click.echo(json.dumps([info.model_dump(mode="json") for info in found], ensure_ascii=False, indent=2))
    elif found:
        screen.table(_table_of(found))
    else:
        what = f"No threads in {db}" if place else f"No threads: {no_database(db)}"
        screen.say(f'{what}. Start one: orchestra run research "What is a closure?"')


@click.command()
@click.argument("thread")
@db_option
@json_option
def show(thread: str, db: str, as_json: bool) -> None:
    """Show a thread: task, agents, where it stands, what it asks."""
    from orchestra.commands.place import known_thread
    from orchestra.inbox import requests
    from orchestra.thread import read_facts
    from orchestra.view.agents import AgentTree
    from orchestra.view.screen import open_screen

    with known_thread(thread, db) as (persistence, facts):
        info, result = read_facts(facts), _stand(persistence, facts)
        asked = requests(persistence, thread=thread) if result is None else []
        if as_json:
            shown = {**info.model_dump(mode="json"), **(result.model_dump(mode="json") if result else {})}
            if result is None:
                shown["interrupts"] = [request.model_dump(mode="json") for request in asked]
            click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
            return
        tree = AgentTree(persistence.events(thread))
    status = result.status if result and info.status != "running" else info.status
    if status != "running":
        tree.settle("waiting" if status == "waiting" else "unfinished")
    screen = open_screen()
    _show_facts(screen, info, facts, status)
    _show_agents(screen, tree)
    if result is None:
        _show_of_program(screen, info, asked)
        return
    file = str((facts.get("recipe") or {}).get("out", ""))
    _show_end(screen, result, db, status, kept=bool(file) and Path(file).exists())


def _stand(persistence: Persistence, facts: dict[str, Any]) -> RunResult | None:
    """Return where a thread stands, or None when only the program that started it can tell."""
    from orchestra.recipe import recipe_of
    from orchestra.runs import astand
    from state.loop import run_sync

    if "recipe" not in facts:
        return None
    return run_sync(astand(recipe_of(facts).graph(persistence), persistence, facts["thread"]))


def _table_of(found: list[ThreadInfo]) -> Table:
    from rich.text import Text

    from orchestra.view.columns import column_table
    from orchestra.view.figures import moment, one_line
    from orchestra.view.glyphs import STYLES

    table = column_table("thread", "status", "used", "task", cut="task")
    for info in found:
        status = Text(info.status or "-", STYLES.get(info.status, ""))
        table.add_row(Text(info.thread), status, moment(info.updated, time.time()), Text(one_line(info.task)))
    return table


def _show_facts(screen: Screen, info: ThreadInfo, facts: dict[str, Any], status: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from nodes.models import describe_model
    from orchestra.view.figures import moment, visible
    from orchestra.view.glyphs import STYLES

    context = facts.get("context") or {}
    recipe = facts.get("recipe") or {}
    told = {
        "thread": info.thread,
        "graph": info.graph,
        "task": visible(info.task).strip(),
        "model": describe_model(context["model"]) if "model" in context else context.get("model_object", ""),
        "documents": context.get("corpus", ""),
        "file": recipe.get("out", ""),
        "used": moment(info.updated, time.time()),
        "status": status + (f": {visible(info.reason)}" if info.reason else ""),
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in told.items():
        if value:
            table.add_row(Text(name, "dim"), Text(value, STYLES.get(status, "") if name == "status" else ""))
    screen.table(table)


def _show_agents(screen: Screen, tree: Any) -> None:
    from orchestra.view.glyphs import glyphs_for
    from orchestra.view.table import agent_table

    if tree.top:
        screen.out.print()
        screen.table(agent_table(tree, glyphs_for(screen.out.file), now=time.time()))


def _show_of_program(screen: Screen, info: ThreadInfo, asked: Sequence[OpenRequest]) -> None:
    """Say what a thread asks that only the program that started it can go on with."""
    from orchestra.recipe import how_in_python
    from orchestra.view.ending import show_request
    from orchestra.view.figures import one_line

    for request in asked:
        show_request(screen, request)
        names = ", ".join(one_line(action.name) for action in request.actions) or "an answer"
        screen.insist(f"Asked for: {names}. It takes: {' or '.join(request.allowed) or 'a decision for each action'}")
        decision = request.allowed[0] if request.allowed else "approve"
        told = how_in_python(info.thread, decision, request.id[:8] if len(asked) > 1 else "")
        screen.insist(f"{told[:1].upper()}{told[1:]}")
    if not asked:
        screen.say("A program runs this thread: its answer can be read there.", style="dim")


def _show_end(screen: Screen, result: RunResult, db: str, status: str, *, kept: bool) -> None:
    from orchestra.commands.place import db_words
    from orchestra.view.ending import command, show_answer, show_notice, show_requests

    if result.answer and not screen.out.is_terminal:
        screen.out.print()
    show_answer(screen, result, kept=kept)
    show_notice(screen, result)
    show_requests(screen, result, db_words(db))
    if status == "unfinished":
        screen.say(f"Continue with: {command('resume', result.thread, db_words(db))}")
