"""Options: the names among which a request has the engine choose, and which of them fits the task."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nodes.engine.reading import match
from nodes.engine.request import Request
from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import key_terms, terms, weight

_LINE = re.compile(
    r"^\s*(?:[-*•]|\d+[.)])?\s*"  # a bullet
    r"[*`\"']{0,3}([A-Za-z_][\w.-]*(?: [\w.-]+){0,2}?)[*`\"']{0,3}\s*"  # the name
    r"(?:\(([^)\n]{3,200})\)\s*)?(?::| [-–—] )[*]{0,2}\s*(\S.*)$"  # what it is for
)
_BARE = re.compile(r"^\s*[-*•]\s*[*`\"']{0,3}([A-Za-z_][\w.-]*)[*`\"']{0,3}\s*$")
_NAME = r"[`\"']?[\w-]+[`\"']?"
_ONE_OF = re.compile(
    r"(?:one of|options(?: are)?|choose (?:from|between|among)|either|available(?: \w+)?|agents|workers|speakers|specialists|"
    rf"routes|candidates|members)\s*(?:are)?:?\s+((?:{_NAME}(?:\s*[,|/]\s*(?:or |and )?|\s+or\s+|\s+and\s+))+{_NAME})",
    re.IGNORECASE,
)
_SPARE = (
    "default", "general", "generalist", "fallback", "other", "unknown", "none", "n/a", "neutral", "unclear", "misc"
)  # fmt: skip
_FIELD_WORDS = vocabulary(
    """note notes example task context question draft feedback constraints answer output important remember rules"""
)


@dataclass(frozen=True)
class Option:
    """A name to choose with what it is said to be for."""

    name: str
    about: str = ""


@dataclass(frozen=True)
class Ranked:
    """An option with its fit to the task, 0 to 1."""

    option: Option
    fit: float


def options_in(request: Request) -> list[Option]:
    """List the options that a request describes: `- name: what it is for` lines, or `one of: a, b, c`.

    The task's own enumerations are not options: only an options section and the system prompt are read, and the rest of
    the message when neither has any.
    """
    texts = [part.text for part in request.parts("options")]
    for group in ([*texts], [request.system], [request.asked]):
        found = [option for text in group for option in _described(text)]
        if len(found) < 2:
            found = [Option(name) for text in group for name in _listed(text)]
        if len(found) >= 2:
            return list({option.name: option for option in found}.values())
    return []


def named_in(description: str, names: Sequence[str]) -> list[str]:
    """List the names that a field's description allows, when it enumerates them."""
    listed = _listed(description)
    return [name for name in listed if not names or name in names] if len(listed) > 1 else []


def rank_options(text: str, options: Sequence[Option]) -> list[Ranked]:
    """Rank options by how much of the task their name and description speak of, best first; ties keep their order.

    A word that most options share tells none of them apart and counts little.
    """
    bags = [
        frozenset(terms(option.name.replace("_", " ").replace("-", " "))) | frozenset(terms(option.about))
        for option in options
    ]
    counts = Counter(term for bag in bags for term in bag)
    wanted = key_terms(text)
    spread = {
        t: math.log(1 + len(options) / (1 + counts[t])) / math.log(1 + len(options)) if options else 0.0 for t in wanted
    }
    ranked = []
    for option, bag in zip(options, bags, strict=True):
        score = sum(weight(t) * (0.2 + 0.8 * spread[t]) * match(t, bag) for t in wanted)
        named = 1.0 if re.search(rf"\b{re.escape(option.name)}\b", text, re.IGNORECASE) else 0.0
        ranked.append(Ranked(option, min(1.0, score / 2.5 + named)))
    return sorted(ranked, key=lambda item: -item.fit)


def fallback_option(options: Sequence[str]) -> str | None:
    """Choose the option that stands for none of the others, if there is one: default, general, other, unknown, none."""
    for word in _SPARE:
        for option in options:
            if option.lower() == word or word in re.split(r"[_\W]+", option.lower()):
                return option
    return None


def _described(text: str) -> list[Option]:
    found = []
    for line in text.splitlines():
        if line_of := _LINE.match(line):
            name = line_of[1].strip()
            if name.lower().split()[0] not in _FIELD_WORDS:
                found.append(Option(name, " ".join(filter(None, (line_of[2], line_of[3])))))
        elif bare := _BARE.match(line):
            found.append(Option(bare[1]))
    return found


def _listed(text: str) -> list[str]:
    for listed in _ONE_OF.finditer(text):
        names = [name.strip(" `\"'") for name in re.split(r"[,|/]|\bor\b|\band\b", listed[1]) if name.strip(" `\"'")]
        if len(names) > 1:
            return names
    return []
