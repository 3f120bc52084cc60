"""What a saved state has to look like for a graph to go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, Required, get_args, get_origin

from langgraph.channels import BinaryOperatorAggregate, DeltaChannel, LastValue

_PLAIN = (str, int, float, bool, list, dict)
"""Types that can be told from a stored value."""
_COUNTERS = "counters_since_delta_snapshot"
"""Key in a checkpoint's metadata, with the channels of which only what was written is stored."""


def gone_from(channels: Mapping[str, Any], values: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    """Return the channels that a saved state has and a graph has not; LangGraph would leave out what is in them.

    Args:
        channels: Of the graph.
        values: Of a checkpoint.
        metadata: Of the checkpoint.
    """
    saved = {*values, *(metadata.get(_COUNTERS) or ())}
    return sorted(name for name in saved if not name.startswith(("branch:to:", "__")) and name not in channels)


def changed_in(channels: Mapping[str, Any], values: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    """Return the channels whose type in a graph is another than that of their saved value.

    Args:
        channels: Of the graph.
        values: Of a checkpoint.
        metadata: Of the checkpoint.
    """
    written = set(metadata.get(_COUNTERS) or ())
    unread = {name for name in written if not isinstance(channels.get(name), DeltaChannel) and name in channels}
    return sorted(unread | {name for name, value in values.items() if not _fits(value, channels.get(name))})


def _fits(value: Any, channel: Any) -> bool:
    if not isinstance(channel, LastValue | BinaryOperatorAggregate):
        return True
    kind: Any = channel.typ
    while get_origin(kind) in (Annotated, Required, NotRequired):
        kind = get_args(kind)[0]
    kind = get_origin(kind) or kind
    if value is None or kind not in _PLAIN:
        return True
    return isinstance(value, int | float if kind is float else kind)
