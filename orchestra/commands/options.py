"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from state.context import Context

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_DB = "sqlite:///.orchestra/runs.db"

db_option = click.option(
    "--db", default=DEFAULT_DB, metavar="URL", show_default=True, help="Where threads are kept; also postgresql://..."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value on standard output.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print nothing but the answer.")
plain_option = click.option("--plain", is_flag=True, help="Whole sentences, nothing redrawn; also ORCHESTRA_PLAIN=1.")

_LIMITS = (
    click.option("--model", metavar="NAME", help="provider:model for agents that name none, or `extractive`."),
    click.option("--budget-usd", type=click.FloatRange(min=0), metavar="USD", help="Most money, in US dollars."),
    click.option("--budget-tokens", type=click.IntRange(min=0), metavar="N", help="Most tokens, in and out together."),
)


def age(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:  # noqa: ARG001  # click's
    """Return the time span that a text such as 30d names."""
    match = re.fullmatch(r"(\d{1,6})([mhdw])", (value or "").strip())
    if value is not None and match is None:
        raise click.BadParameter(f"expected a number and m, h, d or w, such as 30d; got {value!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


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
