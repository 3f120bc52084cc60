"""The engine's own sentences: what it says when it does not quote."""

from __future__ import annotations

import re
from collections.abc import Sequence

NO_MODEL = (
    "No language model is configured, and there is nothing here to quote from. This is the embedded extractive engine: "
    "it answers only from documents and text that it is given. To use a language model, set OPENAI_API_KEY "
    "(and OPENAI_BASE_URL for a compatible server)."
)
ONLY_REPEATS = "Only what was given, repeated:"
NOTHING_NEW = "Nothing new to quote; it stands:"
STILL_NO_MODEL = "Nothing to add: no language model is configured, and there is still nothing here to quote from."
_ABSTAINS = "The documents do not answer this"
TEXT_ABSTAINS = "The given text does not answer this."
_UNSAID = "The documents do not say:"

_NOTHING = re.compile(
    r"the (?:documents|given text|sources|passages) do(?:es)? not (?:answer|say|mention)|no language model is configured|"
    r"only what was given, repeated|nothing new to quote|no passage (?:matches|found mentions)|not taken\b|"
    r"this is the embedded extractive engine|to use a language model, set openai|answered by the embedded extractive engine|"
    r"^searched for:|nothing was searched",
    re.IGNORECASE,
)


def abstain(searched: Sequence[str], missing: Sequence[str] = ()) -> str:
    """Say that the documents do not answer, what was searched for, and which words of the question they never mention."""
    text = f"{_ABSTAINS}."
    if searched:
        text = f"{_ABSTAINS}. Searched for: " + "; ".join(f'"{query}"' for query in searched) + "."
    if missing:
        text += " No passage found mentions " + ", ".join(f'"{word}"' for word in missing) + "."
    return text


def unsaid(part: str) -> str:
    """Say which part of a question the documents leave open."""
    return f"{_UNSAID} {part}"


def says_nothing(text: str) -> bool:
    """Say whether a text has one of the sentences by which the engine, or another agent, says that it has nothing."""
    return _NOTHING.search(text) is not None


def lacks_model(text: str) -> bool:
    """Say whether a text is the engine's own word that it had nothing to work from."""
    return NO_MODEL.split(",")[0].lower() in text.lower()
