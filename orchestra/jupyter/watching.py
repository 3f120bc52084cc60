"""Watch a run where one sits: a live table in a notebook, the live view in a terminal, lines in a pipe.

run = watch("research", "How does Python resolve a name in a nested scope?")
run.agents, run.report()
run = watch(graph, thread=run.thread, decision="approve")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.graph import StateGraph

from graphs.registry import find
from orchestra.jupyter.live import LiveTable, in_notebook
from orchestra.jupyter.session import session_persistence
from orchestra.recorded_run import OnEvent
from orchestra.request import AnyDecision
from orchestra.result import RunResult
from orchestra.runs import aanswer, aresume, astart, new_thread
from orchestra.view.agents import AgentTree
from orchestra.view.screen import open_screen
from orchestra.view.shape import read_shape
from orchestra.view.watching import watch_on
from state.context import Context
from state.errors import ConfigurationError
from state.loop import run_sync
from state.persistence import Persistence


async def awatch(
    graph: Any,
    task: str | Mapping[str, Any] | None = None,
    *,
    thread: str | None = None,
    decision: AnyDecision | None = None,
    request: str | None = None,
    message: str | None = None,
    args: Mapping[str, Any] | None = None,
    persistence: Persistence | None = None,
    context: Context | Mapping[str, Any] | None = None,
) -> RunResult:
    """Run a graph and show its agents at work; return what came of it.

    With a task it starts, in a new thread or as the next turn of one that has ended. With a thread alone it resumes, and
    with a thread and a decision it answers what the thread waits for.

    Args:
        graph: A compiled graph, a builder, the name of a pattern or team, a team file or the team that was loaded from it.
        task: Text, or the whole input of the graph.
        thread: Id.
        decision: `approve`, `edit`, `reject` or `respond`, or a whole decision; see `orchestra.answer`.
        request: Which request is decided, when several are open.
        message: The reason of a `reject`, the text of a `respond`.
        args: What an `edit` changes.
        persistence: Keeps the thread; by default one in memory, which lasts as long as this process.
        context: The knobs of the run.

    Raises:
        ConfigurationError: There is neither a task nor a thread, or a task and a decision.
    """
    _check(task, thread, decision)
    (graph, of_file), kept = graph_of(graph), persistence or session_persistence()
    name, context = graph.get_name(), context or (of_file if task is not None else None)
    if thread is None:
        thread = await new_thread(name, kept)
    told: dict[str, Any] = {"request": request, "message": message, "args": args}

    async def work(on_event: OnEvent) -> RunResult:
        if task is not None:
            return await astart(graph, kept, task, thread=thread, context=context, on_event=on_event)
        if decision is None:
            return await aresume(graph, kept, thread, context=context, on_event=on_event)
        return await aanswer(graph, kept, thread, decision, **told, context=context, on_event=on_event)

    tree = AgentTree(await kept.aevents(thread))
    if not in_notebook():
        budget = context.budget if isinstance(context, Context) else None
        with watch_on(open_screen(), tree, shape=read_shape(graph), budget=budget) as seen:
            return await work(seen)
    async with LiveTable(name, thread, tree) as table:
        table.result = await work(table)
    return table.result


def watch(graph: Any, task: str | Mapping[str, Any] | None = None, **options: Any) -> RunResult:
    """Run a graph and show its agents at work; return what came of it. See `awatch`."""
    return run_sync(awatch(graph, task, **options))


def graph_of(given: Any) -> tuple[Any, Context | None]:
    """Return the compiled graph that is meant, and the context that its team file asks for.

    Raises:
        ConfigurationError: It is neither a graph, nor a builder, nor a pattern or team by its name or file.
    """
    from orchestra.teamfile.names import is_team_file
    from orchestra.teamfile.team import Team, load_team

    if isinstance(given, str) and is_team_file(given):
        given = load_team(given)
    if isinstance(given, Team):
        return given.graph, given.context()
    if isinstance(given, str):
        return find(given).load().graph, None
    if isinstance(given, StateGraph):
        return given.compile(name="graph"), None
    if not hasattr(given, "astream") or not hasattr(given, "get_name"):
        raise ConfigurationError(
            "watch: expected a graph, a builder, the name of a pattern or team, or a team file, got "
            f"{type(given).__name__}"
        )
    return given, None


def _check(task: Any, thread: str | None, decision: Any) -> None:
    if task is None and thread is None:
        raise ConfigurationError("watch: expected a task to start, or a thread to go on with; got neither")
    if task is not None and decision is not None:
        raise ConfigurationError(
            "watch: expected a task or a decision, got both; answer first, then give the next task"
        )
    if decision is not None and thread is None:
        raise ConfigurationError("watch: expected the thread that the decision is for, got none")
