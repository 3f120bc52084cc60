"""Decide what of a thread is the past of one of its checkpoints, for a fork that begins there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from state.storage.place import Execute
from state.storage.pruning import Lineage
from state.storage.records import note
from state.storage.signals import copy_guidance
from state.turns import TURN


@dataclass(frozen=True)
class Past:
    """What a fork takes over.

    Args:
        checkpoints: Namespace and id of each.
        bare: Namespace and id of the checkpoint to take over without what was written after it; None to take over that too.
    """

    checkpoints: list[tuple[str, str]]
    bare: tuple[str, str] | None


def past_of(lineages: Sequence[Lineage], at: str) -> Past:
    """Return the past of a checkpoint of the root graph: it, what it follows, and what the graphs nested in those did.

    After the latest checkpoint stands what its unfinished step has done so far: answers, results of siblings, progress of nested
    graphs. A fork goes on with it. What was written after an earlier one the thread went on to use; a fork does that step again.

    Args:
        lineages: All checkpoints of the thread.
        at: Id of one of the root graph's.
    """
    root = {each.id: each for each in lineages if not each.namespace}
    ancestors, current = dict[str, None](), root.get(at)
    while current is not None and current.id not in ancestors:
        ancestors[current.id] = None
        current = root.get(current.parent or "")
    is_latest = at == max(root, default="")
    begun_at = ancestors.keys() if is_latest else ancestors.keys() - {at}
    nested = [(each.namespace, each.id) for each in lineages if each.namespace and each.root in begun_at]
    return Past([("", each) for each in reversed(ancestors)] + nested, None if is_latest else ("", at))


def fork_begun(
    lineages: Sequence[Lineage], at: str, thread: str, to: str, facts: Mapping[str, Any]
) -> Callable[[Execute], None]:
    """Return what else makes a fork a thread of its own, in the transaction that copies its past: facts and guidance.

    Args:
        lineages: The checkpoints of the root graph.
        at: Id of the one that the fork begins at.
        thread: The thread that is forked.
        to: Id of the fork.
        facts: About the fork.
    """
    turn = next((str(each.metadata.get(TURN, "")) for each in lineages if each.id == at), "")

    def begin(execute: Execute) -> None:
        note(execute, to, dict(facts))
        copy_guidance(execute, thread, to, turn)

    return begin
