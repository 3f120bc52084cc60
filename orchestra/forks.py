"""Forks: a new thread that begins in the past of another, which stays as it is.

again = fork(graph, persistence, "t1", at=4, values={"task": "The same, shorter"})
result = resume(graph, persistence, again)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from langgraph.errors import InvalidUpdateError
from langgraph.graph import START

from orchestra.result import read_result
from orchestra.thread import bind, config_of, unknown_thread
from state.context import Context
from state.errors import ConfigurationError, UnknownCheckpoint
from state.events import Event
from state.graph import Pattern, with_context
from state.loop import run_sync
from state.persistence import Persistence
from state.storage.locks import thread_held
from state.storage.pruning import Lineage
from state.turns import TURN

_OWN = ("thread", "created", "updated", "process", "after", "status", "reason", "forked", "untaken")
"""Facts that are of one thread only."""
_AS_NODE = "orchestra_as_node"
"""Key in the metadata of a changed checkpoint: the node that the change counts as."""
_SHOWN = 3
"""Checkpoints that an error names."""
_PART = 6
"""Characters of a checkpoint's id that stand for it at least, so that the number of a step is never taken for a part."""


async def afork(
    graph: Any,
    persistence: Persistence,
    thread: str,
    *,
    at: str | int,
    to: str | None = None,
    values: Mapping[str, Any] | None = None,
    as_node: str | None = None,
) -> str:
    """Copy a thread as it was at a checkpoint to a new one, and return its id. The thread itself is left as it is.

    At the latest checkpoint the fork stands where the thread stands: what it waits for, the fork asks too. At an earlier one
    the fork does again what followed, but for the effects that its tools had on the world: of these it knows.

    Args:
        graph: The graph that the thread was started with. It keeps its threads in `persistence`.
        persistence: Where the thread is kept.
        thread: Id.
        at: Checkpoint: its id, the first or last six or more characters of it, or the number of its step; see `history`.
        to: Id of the new thread; by default the old one with `-fork` behind it.
        values: Channels of the state to change in the fork, through their reducers as a node would; before a turn has
            begun, what it is given: `task`, which `goal` stands for there, and `messages`.
        as_node: Node that the values are taken to come from; the one that ran last by default.

    Raises:
        UnknownThread: There is no such thread.
        UnknownCheckpoint: It has no such checkpoint, or several.
        ThreadExists: There is a thread `to`.
        ThreadBusy: The thread is being run.
        ConfigurationError: The graph keeps its threads elsewhere, or does not take the values. There is no fork then.
    """
    bound = bind(graph, persistence)
    if bound.checkpointer is not persistence.checkpointer:
        raise ConfigurationError(
            f"fork: {bound.get_name()!r} keeps its threads with a checkpointer of its own; compile it without one, or with "
            "persistence.checkpointer"
        )
    if unknown := sorted(set(values or ()) - set(bound.stream_channels_list)):
        raise ConfigurationError(
            f"fork: the state has no {', '.join(map(repr, unknown))}; it has {', '.join(bound.stream_channels_list)}"
        )
    async with thread_held(persistence.checkpointer, thread):
        facts = await persistence.athread(thread)
        past = await persistence.alineage(thread) if facts is not None else []
        if facts is None or not past:
            raise unknown_thread(thread, persistence)
        start = find_checkpoint(thread, past, at)
        to = to if to is not None else await _free_name(thread, persistence)
        kept = {key: value for key, value in facts.items() if key not in _OWN}
        origin = {"thread": thread, "checkpoint": start.id}
        await persistence.afork_thread(thread, to, at=start.id, **kept, forked=origin)
    if values:
        try:
            await _change(
                bound, to, dict(values), as_node, turn=start.metadata.get(TURN), context=_noted_context(facts)
            )
        except BaseException:
            await persistence.adelete_thread(to)
            raise
    await _note(bound, persistence, to, origin)
    return to


def fork(graph: Any, persistence: Persistence, thread: str, *, at: str | int, **options: Any) -> str:
    """Copy a thread as it was at a checkpoint to a new one, and return its id; see `afork`."""
    return run_sync(afork(graph, persistence, thread, at=at, **options))


def find_checkpoint(thread: str, past: Sequence[Lineage], at: str | int) -> Lineage:
    """Return the checkpoint that is meant by the number of a step, by an id, or by six or more characters of one.

    Raises:
        UnknownCheckpoint: None is, or several are.
    """
    text = str(at).strip()
    found = [each for each in past if str(each.metadata.get("step")) == text]
    if not found and len(text) >= _PART:
        found = [each for each in past if each.id.startswith(text) or each.id.endswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(each.id for each in found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise UnknownCheckpoint(
            f"thread {thread!r} has {len(found)} checkpoints {text!r}; name one of {some}", thread=thread
        )
    steps = [each.metadata.get("step") for each in past]
    raise UnknownCheckpoint(
        f"thread {thread!r} has no checkpoint {text!r}; it has steps {steps[0]} to {steps[-1]}, which "
        "`orchestra history` lists",
        thread=thread,
    )


def short_names(ids: Sequence[str]) -> list[str]:
    """Return an ending of each id that no other has, and that `find_checkpoint` takes."""
    length, longest = _PART, max(map(len, ids))
    while length < longest and len({each[-length:] for each in ids}) < len(ids):
        length += 1
    return [each[-length:] for each in ids]


async def _free_name(thread: str, persistence: Persistence) -> str:
    name, number = f"{thread}-fork", 1
    while await persistence.athread(name) is not None:
        number += 1
        name = f"{thread}-fork-{number}"
    return name


def _noted_context(facts: Mapping[str, Any]) -> Context | None:
    """Return the knobs that a thread ran with, but for its model, which may be an object: no router asks for it."""
    if (noted := facts.get("context")) is None:
        return None
    known = {field.name for field in fields(Context)}
    return Context(**{name: value for name, value in noted.items() if name in known})


async def _change(
    graph: Any, thread: str, values: dict[str, Any], as_node: str | None, *, turn: str | None, context: Context | None
) -> None:
    """Change the state as a node would, in the same turn: its effects stay known."""
    given = await _given(graph, thread) if as_node in (None, START) else None
    if given is not None:
        values, as_node = _with_values(graph, given, values), START
    elif as_node is None:
        as_node = await _ran_last(graph, thread)
    config = config_of(thread)
    if context is not None:
        config = with_context(config, context)
    noted = {TURN: turn, _AS_NODE: as_node}
    config["metadata"] = {key: value for key, value in noted.items() if value is not None}
    try:
        await graph.aupdate_state(config, values, as_node=as_node)
    except (InvalidUpdateError, TypeError, ValueError, LookupError, AttributeError) as error:  # reducers are anybody's
        names = ", ".join(map(repr, values))
        raise ConfigurationError(
            f"fork: the graph does not take {names} here ({type(error).__name__}: {error}); "
            "check the values, and name as_node if it is not clear who they come from"
        ) from error


async def _ran_last(graph: Any, thread: str) -> str | None:
    """Return the node that ran last, or that the last change counts as; None where only LangGraph can tell.

    LangGraph itself overlooks what was started by a `Send`, and would have the node before start it all over again.
    """
    snapshot = await graph.aget_state(config_of(thread))
    metadata = snapshot.metadata or {}
    if metadata.get("source") != "loop" or snapshot.parent_config is None:
        return metadata.get(_AS_NODE)
    ran = sorted({task.name for task in (await graph.aget_state(snapshot.parent_config)).tasks})
    if len(ran) > 1:
        raise ConfigurationError(
            f"fork: {', '.join(ran)} ran last, at the same time; name the one that the values come from with as_node"
        )
    return ran[0] if ran else None


async def _given(graph: Any, thread: str) -> dict[str, Any] | None:
    """Return what a turn is given that has not begun yet; None where it has.

    A change would take the place of it: the input and the `task` are kept for one step only.
    """
    upcoming = (await graph.aget_state(config_of(thread))).next
    if upcoming != (START,) and not (upcoming == ("begin",) and isinstance(graph, Pattern)):
        return None
    kept = (await graph.checkpointer.aget_tuple(config_of(thread))).checkpoint["channel_values"]
    given = kept.get(START) if upcoming == (START,) else {name: kept[name] for name in ("task",) if name in kept}
    if not isinstance(given, dict):
        raise ConfigurationError(f"fork: the input is no mapping but {type(given).__name__}; fork at a later step")
    return given


def _with_values(graph: Any, given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of a turn with other values in it."""
    taken = graph.builder.schemas[graph.builder.input_schema]
    if "goal" in values and "goal" not in taken and "task" in taken:
        values = {"task": values["goal"], **{name: value for name, value in values.items() if name != "goal"}}
    if unknown := sorted(values.keys() - taken.keys()):
        raise ConfigurationError(
            f"fork: the turn has not begun here, and is given only {', '.join(sorted(taken))}; "
            f"fork at a later step to change {', '.join(map(repr, unknown))}"
        )
    task = values.get("task", "")
    if isinstance(graph, Pattern) and "task" in values and not (isinstance(task, str) and task.strip()):
        raise ConfigurationError(f"fork: expected the task as text, got {task!r}")
    return {**given, **values}


async def _note(graph: Any, persistence: Persistence, thread: str, origin: dict[str, str]) -> None:
    """Note where the fork stands, so that it can be taken up by its name, and where it comes from."""
    snapshot = await graph.aget_state(config_of(thread))
    result = read_result(thread, snapshot)
    values = snapshot.values if isinstance(snapshot.values, dict) else {}
    task = values.get("task") or values.get("goal")
    about = {"task": task} if task else {}
    await persistence.anote_thread(thread, status=result.status, reason=result.reason or None, **about)
    noted = {"note": "forked", **origin}
    event = Event(kind="noted", run="", thread=thread, agent="", step="", parent="", seq=0, at=time.time(), data=noted)
    await persistence.arecord([event])
