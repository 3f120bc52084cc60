"""`orchestra chat`: a conversation with a pattern or team in the terminal, over as many turns and days as it takes."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestra.commands.lines import Lines, is_decision, read_decided, typed
from orchestra.commands.options import db_option, limit_options, plain_option, quiet_option, with_limits
from state.errors import ConfigurationError, InvalidAnswer, ThreadBusy, UnknownRequest

if TYPE_CHECKING:
    from orchestra.recipe import Recipe
    from orchestra.recorded_run import OnEvent
    from orchestra.result import RunResult
    from orchestra.view.screen import Screen
    from state.context import Context
    from state.graph import Pattern
    from state.persistence import Persistence


@click.command()
@click.argument("name", metavar="PATTERN_OR_TEAM")
@limit_options
@db_option
@click.option("--thread", metavar="ID", help="Name of the conversation; a known one goes on where it was.")
@click.option("--corpus", metavar="DIR", help="Folder of documents, for patterns and teams that search.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="An argument of the team, such as customer=..."
)
@quiet_option
@plain_option
def chat(name: str, **options: Any) -> None:
    """Hold a conversation with a pattern, a team or a team file.

    Type a message; /quit or Ctrl-D leaves, and --thread takes the conversation up again. From a pipe, each line is a message.

    \b
    orchestra chat support
    orchestra chat support --set customer=ada@example.com --thread ada-1
    """
    from orchestra.commands.place import open_place
    from orchestra.recipe import recipe_named

    recipe_named(name, corpus=options["corpus"] is not None)
    with open_place(options["db"]) as persistence:
        _chat(persistence, name, **options)


def _chat(
    persistence: Persistence, name: str, *, thread: str | None, quiet: bool, plain: bool, db: str, **options: Any
) -> None:
    from nodes.models import describe_model, load_model
    from orchestra.commands.place import db_words
    from orchestra.commands.running import prepare
    from orchestra.recipe import recipe_named
    from orchestra.runs import new_thread
    from orchestra.view.ending import show_heading
    from orchestra.view.screen import open_screen
    from state.loop import run_sync

    screen = open_screen(quiet=quiet, plain=plain)
    if thread is None:
        thread = run_sync(new_thread(recipe_named(name)[0].name, persistence))
    recipe, context = _subject(persistence, name, thread, **options)
    load_model(context.model)
    show_heading(screen, recipe.name, thread, describe_model(context.model))
    prepare(screen, context, recipe)
    talk = Conversation(screen, persistence, recipe, context, thread, db_words(db))
    try:
        talk.hold()
    except KeyboardInterrupt:
        screen.say()
    talk.leave()


def _subject(
    persistence: Persistence, name: str, thread: str, *, corpus: str | None, settings: tuple[str, ...], **limits: Any
) -> tuple[Recipe, Context]:
    """Return what is talked to and with which knobs: as noted with a conversation that goes on, as told with a new one."""
    from nodes.models import default_model
    from orchestra.commands.running import noted_recipe
    from orchestra.knobs import context_from
    from orchestra.recipe import read_settings, recipe_named
    from state.context import Context

    new, knobs = recipe_named(name)
    known = persistence.thread(thread)
    if known and known.get("task"):
        recipe = noted_recipe(known, new)
        if settings or corpus:
            raise ConfigurationError(f"--set, --corpus: {thread!r} has them already; they are for a new conversation")
        return recipe.with_model(limits["model"]), with_limits(context_from(known), **limits)
    if settings and new.file:
        raise ConfigurationError("--set: expected a pattern or team by its name; a file says itself how it is built")
    if corpus:
        knobs["corpus"] = str(Path(corpus).expanduser().resolve())
    recipe = new if new.file else new.model_copy(update={"build": read_settings(name, settings)})
    return recipe.with_model(limits["model"]), with_limits(Context(**{"model": default_model(), **knobs}), **limits)


class Conversation:
    """A conversation on one thread, from its first message or wherever it was left."""

    def __init__(
        self, screen: Screen, persistence: Persistence, recipe: Recipe, context: Context, thread: str, words: list[str]
    ) -> None:
        self._screen, self._persistence, self._recipe = screen, persistence, recipe
        self._context, self._thread, self._words = context, thread, words
        self._graph: Pattern = recipe.graph(persistence)
        self._stood: RunResult | None = None
        self._told_engine = False
        self._reader = Lines(screen)

    def hold(self) -> None:
        """Talk until the user leaves, or their input ends."""
        self._take_up()
        while (line := self._next_line()) is not None:
            if line.strip() in ("/quit", "/exit"):
                return
            if self._waits and self._moved_on():
                self._stand()
                if not line.strip() or is_decision(line):
                    continue  # it was about what is decided now
            if line.strip() in ("/help", "/?"):
                self._screen.say(
                    "Type a message. /quit or Ctrl-D leaves. A pause is answered with the words that it shows."
                )
            elif self._waits:
                self._decide(line)
            elif line.strip():
                self._say(line.strip())

    def leave(self) -> None:
        """Say how to come back; the exit code says whether something waits for a person."""
        known = self._persistence.thread(self._thread)
        if known is not None:
            command = shlex.join(
                ["orchestra", "chat", self._recipe.file or self._recipe.name, "--thread", self._thread, *self._words]
            )
            self._screen.say(f"Continue with: {command}", style="dim")
        if self._waits:
            raise click.exceptions.Exit(3)

    @property
    def _waits(self) -> bool:
        return self._stood is not None and self._stood.status == "waiting"

    def _take_up(self) -> None:
        """Show where a conversation was left, and finish a turn that was interrupted."""
        facts = self._persistence.thread(self._thread)
        if not facts or not facts.get("task"):
            return
        if self._stand(shown=False).status == "unfinished":
            self._finish_turn()
        elif self._waits:
            self._show()
        else:
            self._screen.say(f"{self._recipe.name} goes on with {self._thread}.", style="dim")

    def _next_line(self) -> str | None:
        return self._reader.next_line(until=self._moved_on if self._waits else None)

    def _finish_turn(self) -> None:
        """Go on with a turn that was interrupted."""
        from orchestra.runs import aresume

        self._screen.say("The last turn was interrupted; it goes on.", style="dim")
        self._run(
            lambda watch: aresume(self._graph, self._persistence, self._thread, context=self._context, on_event=watch)
        )

    def _say(self, text: str) -> None:
        from orchestra.runs import astart

        if self._stood is not None and self._stood.status == "unfinished":
            self._finish_turn()
            if self._stood.status in ("unfinished", "waiting"):
                self._screen.insist("Your message was not sent; send it again when the turn has ended.")
                return
        facts = self._recipe.facts()
        self._run(
            lambda watch: astart(
                self._graph,
                self._persistence,
                text,
                thread=self._thread,
                context=self._context,
                on_event=watch,
                facts=facts,
            )
        )

    def _decide(self, line: str) -> None:
        """Answer the request that waits; whoever else answered it first has won, and the conversation goes on from there."""
        from orchestra.runs import aanswer, find_request

        assert self._stood is not None
        try:
            decided = read_decided(line, [request.id for request in self._stood.interrupts])
            request = find_request(self._stood, decided.request)
            changes = typed(decided.changes, request.actions[0].args if request.actions else {})
        except (InvalidAnswer, UnknownRequest) as error:
            self._screen.insist(str(error))
            return
        self._run(
            lambda watch: aanswer(
                self._graph,
                self._persistence,
                self._thread,
                decided.kind,
                request=request.id,
                message=decided.message,
                args=changes or None,
                context=self._context,
                on_event=watch,
            )
        )

    def _run(self, work: Callable[[OnEvent], Awaitable[RunResult]]) -> None:
        """Do one run and show what came of it; Ctrl-C ends the conversation, and the turn is kept."""
        from orchestra.commands.driving import Stopped, drive
        from orchestra.view.chat import show_event

        async def watched() -> RunResult:
            return await work(lambda event: show_event(self._screen, event))

        try:
            self._stood = drive(watched(), self._screen.say)
        except (InvalidAnswer, UnknownRequest, ThreadBusy) as error:
            self._screen.insist(str(error))
            self._stand(shown=isinstance(error, UnknownRequest))  # somebody else was first: this is what came of it
            return
        except Stopped as stopped:
            self._screen.insist("Stopped. The turn is kept, and goes on when the conversation does.")
            self._stood = None
            self.leave()
            raise click.exceptions.Exit(128 + stopped.number) from None
        except Exception:
            self._screen.insist("The turn broke off. It goes on when the conversation does.")
            self._stood = None
            self.leave()
            raise
        self._show()

    def _stand(self, *, shown: bool = True) -> RunResult:
        """Look where the conversation stands."""
        from orchestra.commands.driving import drive
        from orchestra.runs import astand

        self._stood = drive(astand(self._graph, self._persistence, self._thread))
        if shown:
            self._show()
        return self._stood

    def _moved_on(self) -> bool:
        """Whether somebody decided elsewhere, and the turn has come to its end or to another question."""
        facts = self._persistence.thread(self._thread) or {}
        asked = {request.id for request in self._stood.interrupts} if self._stood else set()
        if facts.get("status") in ("waiting", "running"):
            return facts.get("status") == "waiting" and self._stand_ids() != asked
        return True

    def _stand_ids(self) -> set[str]:
        from orchestra.commands.driving import drive
        from orchestra.runs import astand

        return {request.id for request in drive(astand(self._graph, self._persistence, self._thread)).interrupts}

    def _show(self) -> None:
        from orchestra.view.chat import show_decisions, show_engine, show_turn

        assert self._stood is not None
        show_turn(self._screen, self._stood)
        if self._stood.by_engine and not self._told_engine:
            self._told_engine = True
            show_engine(self._screen)
        if self._waits:
            show_decisions(self._screen, self._stood, self._words)
