"""Markup that fits into a notebook of any theme: scoped, colours from around it, readable also where styles are taken out."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from orchestra.view.figures import visible
from orchestra.view.glyphs import UNICODE

_COLOURS = {
    "good": ("ok", "completed"),
    "bad": ("failed", "timed_out", "denied"),
    "amber": ("partial", "stopped", "skipped", "cancelled", "unfinished"),
    "asks": ("waiting",),
    "busy": ("running",),
}
_SIGNS = {**UNICODE.states, "completed": "✓", "partial": "◐", "running": "▸"}
_STYLE = """
.orchestra{font-size:13px;line-height:1.5;margin:6px 0;max-width:940px;overflow-x:auto;color:inherit}
.orchestra table{border-collapse:collapse;width:100%;margin:2px 0;table-layout:auto;color:inherit;font-size:13px}
.orchestra tr,.orchestra thead,.orchestra tbody{background:transparent!important;border:0}
.orchestra th,.orchestra td{border:0;border-bottom:1px solid rgba(128,128,128,.22);padding:3px 14px 3px 0;
text-align:left!important;vertical-align:top;background:transparent;color:inherit;font-weight:normal;max-width:none}
.orchestra thead th{opacity:.6;font-size:12px;border-bottom-color:rgba(128,128,128,.5)}
.orchestra .n{text-align:right!important;width:1%;white-space:nowrap;font-variant-numeric:tabular-nums}
.orchestra .who{white-space:pre;width:1%;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12.5px}
.orchestra .dim{opacity:.62}.orchestra b{font-weight:600}
.orchestra .head{margin:0 0 2px}.orchestra .foot{margin:2px 0;opacity:.7}
.orchestra .good{color:#26975a}.orchestra .bad{color:#d64541}.orchestra .amber{color:#b97d10}
.orchestra .asks{color:#a45fc9}.orchestra .busy{color:#1b8fb5}
.orchestra .line{position:relative;min-width:90px;width:16%}
.orchestra .line i{display:block;height:8px;margin-top:6px;min-width:2px;border-radius:2px;background:currentColor;opacity:.75}
.orchestra .text{white-space:pre-wrap;overflow-wrap:anywhere;border-left:3px solid rgba(128,128,128,.4);padding:1px 0 1px 12px;
margin:6px 0;max-height:24em;overflow:auto}
.orchestra details{margin:4px 0}.orchestra summary{cursor:pointer;opacity:.75}
.orchestra code{background:rgba(128,128,128,.16);padding:1px 4px;border-radius:3px;color:inherit;font-size:12px}
"""


def frame(*parts: str) -> str:
    """Return parts as one piece of a page, with the style that they need."""
    style = "".join(_STYLE.strip().splitlines())
    return f'<div class="orchestra"><style>{style}</style>\n' + "\n".join(part for part in parts if part) + "\n</div>"


def safe(text: str, most: int = 0) -> str:
    """Return somebody's text as markup that shows it and does nothing else, cut to `most` characters if that is not 0."""
    shown = visible(text)
    return escape(shown if not most or len(shown) <= most else shown[: most - 1].rstrip() + "…")


def state_mark(state: str) -> str:
    """Return a state as its sign and its word."""
    word = state.replace("_", " ")
    return f'<span class="{colour_of(state)}">{escape(sign_of(state))} {escape(word)}</span>'


def sign_of(state: str) -> str:
    """Return the sign of a state; a dot for one that is not known."""
    return _SIGNS.get(state, "·")


def colour_of(state: str) -> str:
    """Return the class that colours a state; never the only way to tell states apart."""
    return next((colour for colour, states in _COLOURS.items() if state in states), "dim")


def table(heads: Iterable[tuple[str, str]], rows: Iterable[str]) -> str:
    """Return a table.

    Args:
        heads: Heading and class of each column.
        rows: Each a `<tr>`.
    """
    head = "".join(f'<th scope="col" class="{kind}">{escape(name)}</th>' for name, kind in heads)
    body = "\n".join(rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def row(cells: Iterable[tuple[str, str]]) -> str:
    """Return a row of a table from markup and class of each cell."""
    return "<tr>" + "".join(f'<td class="{kind}">{markup}</td>' for markup, kind in cells) + "</tr>"
