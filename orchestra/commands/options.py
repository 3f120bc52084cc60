"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from state.context import Context

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_DB = "sqlite:///.orchestra/runs.db"

db_option = click.option(
    "--db", default=DEFAULT_DB, metavar="URL", show_default=True, help="Where threads are kept; also postgresql://..."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value on standard output.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print nothing but the answer.")

_LIMITS = (
    click.option("--model", metavar="NAME", help="provider:model for agents that name none, or `extractive`."),
    click.option("--budget-usd", type=click.FloatRange(min=0), metavar="USD", help="Most money, in US dollars."),
    click.option("--budget-tokens", type=click.IntRange(min=0), metavar="N", help="Most tokens, in and out together."),
)


def limit_options(function: F) -> F:
    """Add the options of model and budget; the command takes them as `**limits`."""
    for option in reversed(_LIMITS):
        function = option(function)
    return function


def with_limits(context: Context, *, model: str | None, budget_usd: float | None, budget_tokens: int | None) -> Context:
    """Return a context in which what the limit options say has taken the place of its own."""
    from dataclasses import replace

    from state.budget import Budget

    given = {"usd": budget_usd, "tokens": budget_tokens}
    given = {name: value for name, value in given.items() if value is not None}
    if given:
        context = replace(context, budget=(context.budget or Budget()).model_copy(update=given))
    return replace(context, model=model) if model else context
