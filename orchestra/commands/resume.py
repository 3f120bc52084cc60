"""`orchestra resume`, `approve`, `edit`, `reject`, `respond`: go on with a thread, in a process that knows only its name."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from orchestra.commands.options import db_option, json_option, limit_options, plain_option, quiet_option, with_limits
from state.errors import ConfigurationError, InvalidAnswer

if TYPE_CHECKING:
    from orchestra.recorded_run import OnEvent
    from orchestra.request import Action, Request
    from orchestra.result import RunResult
    from state.context import Context
    from state.graph import Pattern
    from state.persistence import Persistence

Work = Callable[["Pattern", "Persistence", "Context", "OnEvent"], Awaitable["RunResult"]]

id_option = click.option("--id", "request", metavar="ID", help="Which request, when several are open.")
action_option = click.option(
    "--action",
    "actions",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Only this action of several (may be repeated). The others are approved; with `approve`, rejected.",
)


def thread_options(function: Any) -> Any:
    """Add what every command takes that goes on with a thread."""
    function = plain_option(quiet_option(json_option(function)))
    return click.argument("thread")(limit_options(db_option(function)))


@click.command()
@thread_options
def resume(thread: str, **options: Any) -> None:
    """Go on with an interrupted thread; show again how one has ended."""
    from orchestra.runs import aresume

    def work(graph: Pattern, persistence: Persistence, context: Context, on_event: OnEvent) -> Awaitable[RunResult]:
        return aresume(graph, persistence, thread, context=context, on_event=on_event)

    _go_on(thread, work, active=("running", "unfinished"), **options)


@click.command()
@id_option
@action_option
@thread_options
def approve(thread: str, request: str | None, actions: tuple[int, ...], **options: Any) -> None:
    """Agree to what a thread asks for, as it is."""
    _answer(thread, "approve", request, actions, **options)


@click.command()
@click.option("--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="Change one argument; may be repeated.")
@click.option("--file", "file", type=click.File(encoding="utf-8"), help="Take the first argument's text from a file.")
@id_option
@action_option
@thread_options
def edit(
    thread: str, request: str | None, actions: tuple[int, ...], arguments: tuple[str, ...], file: Any, **options: Any
) -> None:
    """Agree to what a thread asks for, with changes.

    Without --arg and --file it opens your editor.
    """
    asked = _open_request(thread, request, options["db"])
    args = _editable(asked, actions).args
    if file is not None:
        changes = {next(iter(args)): file.read()}
    else:
        changes = dict(_pair(argument, args) for argument in arguments) or _edit_by_hand(args)
    _answer(thread, "edit", asked.id, actions, args=changes, **options)


@click.command()
@click.option("--message", "-m", metavar="TEXT", help="Why.")
@id_option
@action_option
@thread_options
def reject(thread: str, request: str | None, actions: tuple[int, ...], message: str | None, **options: Any) -> None:
    """Refuse what a thread asks for."""
    _answer(thread, "reject", request, actions, message=message, **options)


@click.command()
@click.option("--message", "-m", metavar="TEXT", required=True, help="What should be different, or the answer.")
@id_option
@action_option
@thread_options
def respond(thread: str, request: str | None, actions: tuple[int, ...], message: str, **options: Any) -> None:
    """Answer in words: a question, or what should be different."""
    _answer(thread, "respond", request, actions, message=message, **options)


def _answer(
    thread: str,
    decision: str,
    request: str | None,
    actions: tuple[int, ...] = (),
    *,
    message: str | None = None,
    args: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    from orchestra.runs import aanswer

    given: dict[str, Any] = {"decision": decision, "request": request, "message": message, "args": args}
    if actions:
        asked = _open_request(thread, request, options["db"])
        given = {"decisions": _some_of(asked, actions, decision, message, args), "request": asked.id}

    def work(graph: Pattern, persistence: Persistence, context: Context, on_event: OnEvent) -> Awaitable[RunResult]:
        return aanswer(graph, persistence, thread, **given, context=context, on_event=on_event)

    _go_on(thread, work, active=("waiting",), **options)


def _some_of(
    asked: Request, actions: tuple[int, ...], decision: str, message: str | None, args: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Return a decision for each action of a request: the given one for those that are named, by their number from 1."""
    from orchestra.request import edited_action

    if wrong := [number for number in actions if number > len(asked.actions)]:
        raise ConfigurationError(f"--action: expected 1 to {len(asked.actions)}, got {wrong[0]}")
    given: dict[str, Any] = {"type": decision, **({"message": message} if message else {})}
    if decision == "edit":
        given["edited_action"] = edited_action(asked.actions[actions[0] - 1], args or {})
    other = {"type": "reject" if decision == "approve" else "approve"}
    return [given if number in actions else other for number in range(1, len(asked.actions) + 1)]


def _go_on(
    thread: str, work: Work, *, active: tuple[str, ...], db: str, as_json: bool, quiet: bool, plain: bool, **limits: Any
) -> None:
    """Rebuild graph and context of a thread, do the work under the user's eyes, and end the command.

    Args:
        thread: Id.
        work: What to do with it.
        active: Statuses in which something will run, so that model and documents are needed.
        db: Where it is kept.
        as_json: Print the result as JSON.
        quiet: Print the answer only.
        plain: Tell it in sentences.
        limits: What the limit options say.
    """
    from nodes.models import describe_model, load_model
    from orchestra.commands.place import db_words, known_thread
    from orchestra.commands.running import end, prepare, watched_run
    from orchestra.inbox import requests
    from orchestra.knobs import context_from
    from orchestra.recipe import recipe_of
    from orchestra.view.agents import AgentTree
    from orchestra.view.ending import show_heading
    from orchestra.view.screen import open_screen

    with known_thread(thread, db) as (persistence, facts):
        recipe = recipe_of(facts).with_model(limits["model"])
        context = with_limits(context_from(facts), **limits)
        screen = open_screen(quiet=quiet, json=as_json, plain=plain)
        runs = facts.get("status") in active or any(each.is_over for each in requests(persistence, thread=thread))
        if runs:
            load_model(context.model)
        show_heading(screen, recipe.name, thread, describe_model(context.model))
        tree = AgentTree(persistence.events(thread))
        tree.settle("unfinished")
        graph = recipe.graph(persistence)
        if runs:
            prepare(screen, context, recipe)
        result = watched_run(
            screen,
            thread,
            lambda watch: work(graph, persistence, context, watch),
            tree=tree,
            options=db_words(db),
            graph=graph,
            context=context,
        )
        end(screen, result, recipe, db)


def _open_request(thread: str, request: str | None, db: str) -> Request:
    """Return the request that an answer is about."""
    from orchestra.commands.place import known_thread
    from orchestra.recipe import recipe_of
    from orchestra.runs import astand, find_request
    from state.loop import run_sync

    with known_thread(thread, db) as (persistence, facts):
        graph = recipe_of(facts).graph(persistence)
        return find_request(run_sync(astand(graph, persistence, thread)), request)


def _editable(asked: Request, actions: tuple[int, ...]) -> Action:
    """Return the action that an edit is about.

    Raises:
        InvalidAnswer: There is nothing in it to edit.
        ConfigurationError: It is not clear which.
    """
    among = asked.actions
    if len(actions) > 1 or (len(among) > 1 and not actions) or (actions and actions[0] > len(among)):
        raise ConfigurationError(f"edit: expected one --action from 1 to {len(among)}, got {list(actions) or 'none'}")
    action = among[actions[0] - 1 if actions else 0] if among else None
    if action is None or "edit" not in action.allowed or not action.args:
        takes = action.allowed if action is not None else asked.allowed
        raise InvalidAnswer(f"request {asked.id[:8]} has nothing to edit; it takes {' or '.join(takes)}")
    return action


def _edit_by_hand(args: dict[str, Any]) -> dict[str, Any]:
    """Open the user's editor: on the text of a single argument, else on all of them as JSON."""
    name, first = next(iter(args.items()))
    plain = len(args) == 1 and isinstance(first, str)
    before = first if plain else json.dumps(args, ensure_ascii=False, indent=2)
    after = click.edit(before, extension=".md" if plain else ".json")
    if after is None or after.strip() == before.strip():
        raise ConfigurationError(
            "edit: nothing was changed, and the request is still open; to take it as it is, approve"
        )
    if plain:
        return {name: after}
    try:
        return dict(json.loads(after))
    except ValueError as error:
        raise ConfigurationError(f"edit: expected a JSON object ({error}); the request is still open") from None


def _pair(argument: str, args: dict[str, Any]) -> tuple[str, Any]:
    """Return name and value of `name=value`; as JSON where the argument is not a text now, as in `limit=3`."""
    name, equals, text = argument.partition("=")
    if not (name and equals):
        raise ConfigurationError(f"--arg: expected KEY=VALUE, got {argument!r}")
    if isinstance(args.get(name, ""), str):
        return name, text
    try:
        return name, json.loads(text)
    except ValueError:
        raise ConfigurationError(f"--arg {name}: expected JSON like {json.dumps(args[name])}, got {text!r}") from None
