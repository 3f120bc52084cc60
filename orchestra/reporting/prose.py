"""Texts of people and models as HTML: Markdown for an answer, the letters themselves for everything else."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from orchestra.reporting.markup import Markup, excerpt, joined, tag

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

MOST_MARKDOWN = 60_000
"""Characters that are laid out; the rest of a longer answer is left out, and said to be."""
MOST_PLAIN = 20_000
FOLDED_ABOVE = 1_200
"""Characters of a text that is shown open; of a longer one the first line is, and a way to open it."""
_UNDERSCORES = re.compile("__+")
_LOWER = 2
"""Levels that headings in an answer are set down, below those of the page."""


def laid_out(text: str) -> Markup:
    """Return Markdown as HTML: without images, without markup of its own, with links to the web only."""
    shown, cut = excerpt(text, MOST_MARKDOWN)
    tokens = _markdown().parse(shown)
    for token in tokens:
        token.attrs.pop("style", None)  # of table cells: the page's policy takes no styles
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _LOWER)}"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrs["rel"] = "noopener noreferrer nofollow"
    body = Markup(_markdown().renderer.render(tokens, _markdown().options, {}))
    return tag("div", body, _cut(cut), cls="prose", dir="auto")


def plain(text: str, *, most: int = MOST_PLAIN, label: str = "text") -> Markup:
    """Return a text as it is, line by line; a long one folded, a very long one cut, and both said."""
    shown, cut = excerpt(text.strip(), most)
    if not shown:
        return tag("p", f"No {label}.", cls="none")
    body = tag("div", Markup(escape(shown)), cls="plain", dir="auto")
    if len(shown) <= FOLDED_ABOVE and shown.count("\n") < 20:
        return joined(body, _cut(cut))
    first = next(line for line in shown.splitlines() if line.strip())[:160]
    summary = tag("summary", tag("bdi", f"{first.strip()} …"), " ", _small(f"{len(text):,} characters"))
    return tag("details", summary, body, _cut(cut), cls="long")


def _cut(cut: int) -> Markup:
    return tag("p", f"{cut:,} more characters are not shown.", cls="none") if cut else Markup()


def _small(text: str) -> Markup:
    return tag("span", text, cls="small")


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    markdown.inline.ruler.before("emphasis", "names", _keep_names)
    markdown.validateLink = lambda url: url.lower().startswith(("https://", "http://"))  # type: ignore[method-assign]  # its own way
    return markdown


def _keep_names(state: StateInline, silent: bool) -> bool:
    """Take two underscores or more for themselves: in answers about code they belong to a name far oftener than to a mark."""
    run = _UNDERSCORES.match(state.src, state.pos, state.posMax)
    if run is None:
        return False
    if not silent:
        state.pending += run[0]
    state.pos = run.end()
    return True
