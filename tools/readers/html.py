"""HTML: what a reader of the page sees, under its headings; navigation, scripts and styles are left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from tools.readers.outline import Outline
from tools.readers.section import Block, Document

_UNSEEN_TAGS = "script style noscript template svg nav footer iframe button select option"
_VOID_TAGS = "area base br col embed hr img input link meta param source track wbr"
_BLOCK_TAGS = """address article aside blockquote body br caption center dd details div dl dt fieldset figcaption figure
form h1 h2 h3 h4 h5 h6 head header hr html li main ol p pre section summary table tbody td th thead title tr ul"""
_UNSEEN = frozenset(_UNSEEN_TAGS.split())
_VOID = frozenset(_VOID_TAGS.split())
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_UNSEEN_ROLES = frozenset(("navigation", "banner", "contentinfo", "search"))
_INLINE_CELLS = frozenset(("td", "th"))  # The cells of a row stay on one line.
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SIGNATURE_LEVEL = 10  # Below h6: the signature of a documented function, deeper by nesting.
_SPACES = re.compile(r"\s+")


def read_html(text: str) -> Document:
    """Read a page into sections by heading; line numbers are those of the source."""
    page = _Page()
    page.feed(text)
    page.close()
    return page.document()


class _Page(HTMLParser):
    """Turns tags into headings and blocks as they come, so that damaged markup costs a block at most."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._outline = Outline()
        self._title = ""
        self._unseen: list[str] = []  # The unseen element that is open, and those of its name inside it.
        self._pieces: list[str] = []
        self._line = 1
        self._preformatted = 0
        self._lists = 0
        self._opened = ""
        self._main = ""  # The tag of the main content, where a page marks it.

    def document(self) -> Document:
        self._flush()
        return Document(self._title or self._outline.title, "line", self._outline.sections())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "main" or values.get("role") == "main":
            self._begin_main(tag)
        if self._unseen:
            if tag == self._unseen[0]:
                self._unseen.append(tag)
            return
        css = values.get("class") or ""
        if tag in _UNSEEN or (tag not in _VOID and (values.get("role") in _UNSEEN_ROLES or css == "headerlink")):
            self._unseen.append(tag)
        elif tag in _INLINE_CELLS:
            self._pieces.append(" | " if self._pieces else "")
        elif tag == "code":
            self._quote()
        elif tag in _BLOCKS:
            self._flush()
            self._opened = "signature" if tag == "dt" and css.startswith("sig") else tag
            self._preformatted += tag == "pre"
            self._lists += tag == "dl"

    def _begin_main(self, tag: str) -> None:
        """Forget what stood before the main content: menus and banners, whatever their tags."""
        self._flush()
        self._outline, self._unseen, self._main = Outline(), [], tag

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            if tag == self._unseen[0]:
                self._unseen.pop()
        elif tag == "code":
            self._quote()
        elif tag in _BLOCKS and tag not in _INLINE_CELLS:
            self._flush()
            self._opened = ""
            if tag == self._main == "main":
                self._unseen = ["html"]  # What follows are footers and more menus.
            self._preformatted = max(0, self._preformatted - (tag == "pre"))
            if tag == "dl":
                self._outline.leave(_SIGNATURE_LEVEL + self._lists)
                self._lists = max(0, self._lists - 1)

    def _quote(self) -> None:
        """Mark where code begins or ends in a sentence, as Markdown does; in a heading or a listing there is no need."""
        if not self._preformatted and self._opened not in _HEADINGS and self._opened not in ("title", "signature"):
            self._pieces.append("`")

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if not "".join(self._pieces).strip("`"):
            self._line = self.getpos()[0] + len(data[: len(data) - len(data.lstrip())].split("\n")) - 1
        self._pieces.append(data)

    def _flush(self) -> None:
        """End the block that was being collected: it is the title, a heading, or text."""
        text = "".join(self._pieces)
        self._pieces = []
        text = text.strip("\n").rstrip() if self._preformatted else _SPACES.sub(" ", text).strip()
        if not text.strip(" \n`"):
            return
        if self._opened == "title":
            self._title = self._title or text
        elif self._opened in _HEADINGS:
            self._outline.heading(_HEADINGS[self._opened], text.strip("§¶# "), self._line)
        else:
            if self._opened == "signature":
                self._outline.heading(_SIGNATURE_LEVEL + self._lists, text[:120])
            text = f"- {text}" if self._opened == "li" else text
            self._outline.block(Block(text, self._line, max(self._line, self.getpos()[0])))
        self._opened = ""
