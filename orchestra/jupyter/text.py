"""Tables as text: the form beside the markup, for `print`, terminals and comparisons."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, RenderableType

_WIDTH = 300
"""Columns: wide enough that nothing is broken, since where it breaks would depend on how long a time is."""


def as_text(shown: RenderableType) -> str:
    """Return what rich would print, as plain lines without colours and spaces at their ends."""
    written = StringIO()
    Console(
        file=written,
        width=_WIDTH,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,  # it would display by itself
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    ).print(shown)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())
