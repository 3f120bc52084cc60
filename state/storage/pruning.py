"""Decide which checkpoints of a thread may be deleted.

The channels of a conversation store only what was written; their value at a checkpoint is rebuilt from its ancestors,
back to the nearest one that stores the whole value (every 125 updates). Deleting an ancestor in between would
silently empty them. So whatever a kept checkpoint is rebuilt from stays too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Lineage:
    """Where a checkpoint stands among the others of its thread.

    Args:
        namespace: Graph it belongs to: empty for the root graph, `node:task` for a subgraph call.
        id: Checkpoint id.
        parent: Id of the checkpoint it follows, in the same namespace.
        metadata: As LangGraph stored it.
    """

    namespace: str
    id: str
    parent: str | None
    metadata: Mapping[str, Any]

    @property
    def root(self) -> str | None:
        """Id of the root graph's checkpoint that this subgraph call started from."""
        parents = self.metadata.get("parents")
        return parents.get("") if isinstance(parents, Mapping) else None


@dataclass(frozen=True)
class Removal:
    """What to delete from one namespace.

    Args:
        ids: Checkpoints to delete, with what was written at them.
        orphans: Checkpoints that stay and whose parent goes.
    """

    ids: list[str]
    orphans: list[str]


@dataclass
class _Ancestry:
    by_id: Mapping[str, Lineage]
    unstored: Callable[[Lineage], Collection[str]]
    known: dict[str, frozenset[str]] = field(default_factory=dict)

    def missing(self, checkpoint: Lineage) -> frozenset[str]:
        """Return the channels that this checkpoint does not store, read once."""
        if checkpoint.id not in self.known:
            self.known[checkpoint.id] = frozenset(self.unstored(checkpoint))
        return self.known[checkpoint.id]

    def support(self, checkpoint: Lineage) -> set[str]:
        """Return the ancestors that the checkpoint's channels are rebuilt from."""
        needed, ids = self.missing(checkpoint), set[str]()
        ancestor = self.by_id.get(checkpoint.parent or "")
        while needed and ancestor is not None and ancestor.id not in ids:
            ids.add(ancestor.id)
            needed &= self.missing(ancestor)
            ancestor = self.by_id.get(ancestor.parent or "")
        return ids


def delta_channels(lineages: Iterable[Lineage]) -> set[str]:
    """Return the channels that were ever stored as writes, by the counters that LangGraph keeps for them."""
    return {name for each in lineages for name in each.metadata.get("counters_since_delta_snapshot") or ()}


def removable(
    lineages: Sequence[Lineage],
    keep: Callable[[int, Lineage], bool],
    unstored: Callable[[Lineage], Collection[str]],
) -> dict[str, Removal]:
    """Return what may be deleted, by namespace.

    Args:
        lineages: All checkpoints of a thread.
        keep: Whether to keep a checkpoint, given its age as a rank in its namespace (0 is the latest).
        unstored: The channels whose value a checkpoint leaves to its ancestors.
    """
    namespaces: dict[str, list[Lineage]] = {}
    for lineage in sorted(lineages, key=lambda each: each.id, reverse=True):
        namespaces.setdefault(lineage.namespace, []).append(lineage)
    kept = {
        namespace: [member for rank, member in enumerate(members) if keep(rank, member)]
        for namespace, members in namespaces.items()
    }
    left_behind = {each.id for each in namespaces.get("", ())} - {each.id for each in kept.get("", ())}
    removals: dict[str, Removal] = {}
    for namespace, members in namespaces.items():
        # A subgraph call goes with the checkpoint it started from. A subgraph with a memory of its own has no ":".
        over = ":" in namespace and members[0].root in left_behind
        removal = _removal(members, [] if over else kept[namespace], unstored)
        if removal.ids:
            removals[namespace] = removal
    return removals


def _removal(
    members: Sequence[Lineage], kept: Sequence[Lineage], unstored: Callable[[Lineage], Collection[str]]
) -> Removal:
    ancestry = _Ancestry({member.id: member for member in members}, unstored)
    stays = {member.id for member in kept}.union(*(ancestry.support(member) for member in kept))
    gone = [member.id for member in members if member.id not in stays]
    orphans = [each.id for each in members if each.id in stays and each.parent and each.parent not in stays]
    return Removal(gone, orphans)
