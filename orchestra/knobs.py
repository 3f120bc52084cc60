"""The knobs of a run, as they are noted with its thread so that another process can go on with the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from nodes.models import describe_model
from state.context import Context
from state.errors import ConfigurationError

_OBJECT = "model_object"


def note_context(context: Context) -> dict[str, Any]:
    """Return a context as plain JSON: what differs from the defaults. A model object is only named, secrets are not kept."""
    default = Context()
    values = {f.name: getattr(context, f.name) for f in fields(context)}
    noted = {name: value for name, value in values.items() if value != getattr(default, name) and name != "secrets"}
    if context.budget is not None:
        noted["budget"] = context.budget.model_dump(exclude_none=True)
    if context.model is not None and not isinstance(context.model, str):
        del noted["model"]
        noted[_OBJECT] = describe_model(context.model)
    return noted


def context_from(facts: Mapping[str, Any]) -> Context:
    """Return the context that the facts of a thread hold.

    Raises:
        ConfigurationError: It had a model object, which only the program that made it has.
    """
    noted = dict(facts.get("context") or {})
    if model := noted.pop(_OBJECT, None):
        raise ConfigurationError(f"thread {facts['thread']!r} ran with a model object ({model}): pass context= with it")
    return Context(**noted)
