"""LangChain's tracer, which sends every run to LangSmith where LANGSMITH_TRACING is set: nothing of ours is needed for that.

What is ours is that no secret goes along: LangSmith is shown the input and output of every node, and not only what models see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langsmith.run_trees import get_cached_client
from langsmith.utils import tracing_is_enabled

from state.redaction import redacted, redacting

_kinds: set[str] = set()
"""Kinds of personal data that a run of this process wanted taken out. Its traces may be sent after it has ended."""


def guard_traces(kinds: Sequence[str]) -> None:
    """Take secrets out of all that this process sends to LangSmith, if it sends anything.

    A client that takes out something itself (`anonymizer`, `hide_inputs`) is the program's own and stays as it is.

    Args:
        kinds: Of personal data, to be taken out likewise.
    """
    if tracing_is_enabled() is not True:
        return
    _kinds.update(kinds)
    client = get_cached_client(anonymizer=_without_secrets)
    # The client is made by whoever traces first, which may be something of LangChain's before any run of ours.
    if client._anonymizer is None and client._hide_inputs is False and client._hide_outputs is False:
        client._anonymizer = _without_secrets


def _without_secrets(told: dict[str, Any]) -> dict[str, Any]:
    with redacting(sorted(_kinds)):
        return redacted(told)
