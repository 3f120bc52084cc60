"""Tables without lines: a heading and columns, readable on a terminal and in a pipe."""

from __future__ import annotations

from rich.table import Table


def column_table(*names: str, cut: str | None = None) -> Table:
    """Return an empty table with these headings.

    Args:
        names: Headings, left to right.
        cut: The column whose texts are cut to the space that the others leave; without one, all wrap.
    """
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), expand=bool(cut))
    for name in names:
        if name == cut:
            table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
        else:
            table.add_column(name, no_wrap=bool(cut), overflow="fold")
    return table
