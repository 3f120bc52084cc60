"""HTML from texts that nobody checked: whatever is not `Markup` is escaped, and has no way to act on the reader."""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

from orchestra.view.figures import one_line, visible
from state.redaction import redact
from state.secrets import SHORTEST

MOST_CHARACTERS = 100_000
"""Of any text that is shown, however it got there."""
_MARGIN = 10_000
"""Characters looked at past a limit, so that no secret is cut in two before it is found."""
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the order of what follows them: what is read would not be what is there."""
_VOID = frozenset({"meta", "link", "br", "rect", "use", "path", "line", "circle"})


class Markup(str):
    """HTML that is safe to show."""

    __slots__ = ()


class Excerpt(NamedTuple):
    """The beginning of a text, as it may be shown."""

    text: str
    cut: int
    """Characters that were left out."""


def excerpt(text: str, most: int = MOST_CHARACTERS) -> Excerpt:
    """Return at most so many characters of a text, without secrets, control characters and changes of direction."""
    shown = _BIDI.sub(lambda found: f"[U+{ord(found[0]):04X}]", visible(redact(text[: most + _MARGIN])))
    if not shown.isascii():
        shown = shown.encode("utf-8", "replace").decode()
    if len(text) <= most + _MARGIN and len(shown) <= most:
        return Excerpt(shown, 0)
    return Excerpt(shown[:most], len(text) - most if len(text) > most else len(shown) - most)


def escaped(text: str) -> Markup:
    """Return a text as HTML; markup stays as it is."""
    if isinstance(text, Markup):
        return text
    if _is_harmless(text):
        return Markup(escape(text))
    shown, cut = excerpt(text)
    return Markup(escape(f"{shown} … ({cut:,} more characters)" if cut else shown))


def _is_harmless(text: str) -> bool:
    """Whether a text is too short to hold a secret, and has nothing in it but printable ASCII."""
    return len(text) < SHORTEST and text.isascii() and text.isprintable()


def line(text: str, width: int) -> str:
    """Return the beginning of a text as one line, without secrets and control characters."""
    return one_line(redact(text[: 4 * width + _MARGIN]), width)


def joined(*parts: str, by: str = "") -> Markup:
    """Return parts one after the other; what is no markup is escaped."""
    return Markup(escape(by).join(map(escaped, parts)))


def tag(name: str, /, *content: str, **attributes: str | float | bool | None) -> Markup:
    """Return an element. Content that is no markup is escaped.

    Args:
        name: Of the element.
        content: What is in it, in order.
        attributes: By name; `cls` is `class`, `_` in a name is `-`. None and False leave one out, True has no value.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in _VOID and not content:
        return Markup(f"<{name}{given}>" if name in ("meta", "link", "br") else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{''.join(map(escaped, content))}</{name}>")


def _attribute(key: str, value: str | float | bool) -> str:
    name = "class" if key == "cls" else key.strip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    if isinstance(value, str):
        value = escape(value if _is_harmless(value) else excerpt(value).text)
    return f' {name}="{value}"'
