"""Personal data that a run may ask to have taken out of what is sent and kept: `Context.redact`.

What LangChain detects is detected by its own detectors; telephone numbers and bank accounts by ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Literal, get_args

Kind = Literal["email", "credit_card", "ip", "mac_address", "url", "phone", "iban"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Span = tuple[int, int]

_ATOMS = re.compile(
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    r"|\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?"
)
"""Ids and times, digits of which look like anything: never touched, since threads are found by them."""
_LONGEST, _OVERLAP = 2_000, 200
"""Characters that a detector is given at once, and again with the next: theirs take the square of some texts' length."""

_PHONE = re.compile(
    r"(?<![\w.+/-])(?:"
    r"(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(0?\d{1,5}\)[ .-]?)?\d(?:[ .-]?\d){5,12}"  # international
    r"|\(\d{2,5}\) ?\d{3,4}[ .-]?\d{3,5}"  # area code in brackets
    r"|0\d{1,4}[ /-]\d{3,5}(?:[ -]?\d{2,5}){0,2}"  # national, with a gap after the area code
    r"|(?:1[ .-])?[2-9]\d{2}([ .-])[2-9]\d{2}\1\d{4}"  # North American
    r")(?![\w-]|\.\d)"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")


def find(text: str, kinds: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return the personal data of some kinds in a text, as `(start, end, kind)` in order and apart from each other."""
    found = sorted(
        (start + a, start + b, kind)
        for start, part in _parts(text)
        for kind in kinds
        for a, b in _detectors()[kind](part)
    )
    apart: list[tuple[int, int, str]] = []
    for start, end, kind in found:
        if apart and start < apart[-1][1]:
            begun, ended, first = apart[-1]
            apart[-1] = (begun, max(end, ended), first)
        else:
            apart.append((start, end, kind))
    return apart


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield a text without ids and times, in parts that overlap where it is too long for the detectors."""
    begin = 0
    for atom in [*_ATOMS.finditer(text), None]:
        end = atom.start() if atom is not None else len(text)
        while end - begin > _LONGEST:
            stop = begin + _LONGEST
            yield begin, text[begin:stop]
            space = text.find(" ", stop - _OVERLAP, stop)
            begin = space if space >= 0 else stop - _OVERLAP
        yield begin, text[begin:end]
        begin = atom.end() if atom is not None else end


@cache
def _detectors() -> dict[str, Callable[[str], list[Span]]]:
    # Here, not above: importing LangChain's agents takes half a second.
    from langchain.agents.middleware.pii import (
        detect_credit_card,
        detect_email,
        detect_ip,
        detect_mac_address,
        detect_url,
    )

    def theirs(detect: Callable[[str], Sequence[object]]) -> Callable[[str], list[Span]]:
        def spans(text: str) -> list[Span]:
            return [(match["start"], match["end"]) for match in detect(text)]  # type: ignore[index]  # a TypedDict

        return spans

    stock = {
        "email": detect_email,
        "credit_card": detect_credit_card,
        "ip": detect_ip,
        "mac_address": detect_mac_address,
        "url": detect_url,
    }
    found = {kind: theirs(detect) for kind, detect in stock.items()}
    return {**found, "url": partial(_urls, found["url"]), "phone": _phones, "iban": _ibans}


def _urls(detect: Callable[[str], list[Span]], text: str) -> list[Span]:
    """Return addresses without what follows them in a sentence or in quotes."""
    return [(start, start + len(text[start:end].rstrip(".,;:!?)]}'\""))) for start, end in detect(text)]


def _phones(text: str) -> list[Span]:
    spans = [match.span() for match in _PHONE.finditer(text)]
    return [(start, end) for start, end in spans if 7 <= sum(map(str.isdigit, text[start:end])) <= 15]


def _ibans(text: str) -> list[Span]:
    spans = list[Span]()
    for match in _IBAN.finditer(text):
        # What follows in capitals may have been taken along: the longest beginning that is one.
        for end in range(match.end(), match.start() + 14, -1):
            number = re.sub(r"\s", "", text[match.start() : end])
            if 15 <= len(number) <= 34 and _passes_checksum(number):
                spans.append((match.start(), end))
                break
    return spans


def _passes_checksum(number: str) -> bool:
    """Whether the digits of an IBAN agree (ISO 7064, mod 97-10)."""
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97 == 1
