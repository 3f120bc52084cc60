"""A passage: the piece of a document that retrieval returns, models read and citations name.

One text form is shared by the tools that write passages and the engines that read them back:

    <passage id="p:1a2b3c4d5e" source="docs/a.md" heading="A > B" place="lines 10-24">
    text...
    </passage>

and a sentence that rests on one carries its id in brackets: [p:1a2b3c4d5e].
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable

from pydantic import BaseModel, Field

CITATION = re.compile(r"\[(p:[0-9a-f]{10})\]")
PASSAGE_ID = re.compile(r"p:[0-9a-f]{10}")

_ELEMENT = re.compile(r"<passage\s+([^<>]*)>\n?(.*?)(?:\n?</passage>|(?=<passage\s)|\Z)", re.DOTALL)
_ATTRIBUTE = re.compile(r'([a-z]+)\s*=\s*"([^"]*)"')
_TAG = re.compile(r"<(?=/?passage)", re.IGNORECASE)
_ESCAPED_TAG = re.compile(r"&((?:amp;)*)lt;(?=/?passage)", re.IGNORECASE)


class Passage(BaseModel, frozen=True):
    """A piece of a document with the place it comes from."""

    id: str = Field(description='"p:" and ten hex digits; the same text in the same file keeps its id.')
    source: str = Field(description="Path relative to the corpus, with forward slashes.")
    heading: str = Field(default="", description='Headings above the text, outermost first: "A > B".')
    place: str = Field(default="", description='"lines 10-24", "page 3", "cell 4" or "paragraphs 3-5".')
    text: str = Field(description="At most about 1200 characters.")
    score: float = Field(default=0.0, description="Fit to the query, higher is better; 0 if not searched for.")


def passage_id(source: str, text: str, *, copy: int = 0) -> str:
    """Derive the id of a passage from where it stands and what it says, so that edits elsewhere do not change it.

    Args:
        source: Path relative to the corpus.
        text: The passage's text.
        copy: How many passages with this text come before it in the same file.
    """
    parts = (source, text) if copy == 0 else (source, text, str(copy))
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
    return f"p:{digest.hexdigest()[:10]}"


def render_passages(passages: Iterable[Passage]) -> str:
    """Write passages in the form that models and engines read."""
    return "\n".join(_render(passage) for passage in passages)


def parse_passages(text: str) -> list[Passage]:
    """Read every passage element in a longer text, in order; what stands around the elements is ignored.

    An element that was cut off ends at the next one or at the end of the text. One without a valid id is left out.
    """
    found = []
    for match in _ELEMENT.finditer(text):
        attributes = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(match[1])}
        if PASSAGE_ID.fullmatch(attributes.get("id", "")):
            found.append(
                Passage(
                    id=attributes["id"],
                    source=attributes.get("source", ""),
                    heading=attributes.get("heading", ""),
                    place=attributes.get("place", ""),
                    text=_unescape_text(match[2]),
                )
            )
    return found


def cited_ids(text: str) -> list[str]:
    """List the passage ids that a text cites, in order of first mention, each once."""
    return list(dict.fromkeys(CITATION.findall(text)))


def _render(passage: Passage) -> str:
    values = {"id": passage.id, "source": passage.source, "heading": passage.heading, "place": passage.place}
    attributes = " ".join(f'{name}="{_escape_attribute(value)}"' for name, value in values.items())
    return f"<passage {attributes}>\n{_escape_text(passage.text)}\n</passage>"


def _escape_attribute(value: str) -> str:
    escaped = html.escape(value, quote=True)
    return re.sub(r"[\r\n\t]", lambda match: f"&#{ord(match[0])};", escaped)


def _escape_text(text: str) -> str:
    """Defuse passage tags in a text, and nothing else: code and markup must reach the model as they are."""
    text = _ESCAPED_TAG.sub(r"&amp;\1lt;", text)
    return _TAG.sub("&lt;", text)


def _unescape_text(text: str) -> str:
    def one_level_less(match: re.Match[str]) -> str:
        return f"&{match[1].removeprefix('amp;')}lt;" if match[1] else "<"

    return _ESCAPED_TAG.sub(one_level_less, text)
