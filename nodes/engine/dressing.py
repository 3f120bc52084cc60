"""Dressing: the politeness, the instruction and the form of the answer around what a request asks about."""

from __future__ import annotations

import re

from nodes.engine.words import plain

_POLITE = r"(?:please|kindly|hello|hi|dear \w+)[,!. ]+|(?:can|could|would|will) you (?:please )?"
_WANTING = r"i (?:want|need|would like) (?:you )?to (?:know )?"
_ASKING = (
    "find out|find|tell me|let me know|give me|show me|write|prepare|produce|compose|draft|research|investigate|answer|explain|"
    "describe|summari[sz]e|report|look up|search(?: for)?"
)
_JUDGING = (
    r"(?:review|check|judge|assess|evaluate|critique|revise|improve) (?:the|this|a|an|my) (?:\w+ ){0,2}?"
    r"(?:draft|answer|text|report|reply)(?:,? (?:to|for|of|about|on|against))?"
)
_FORM = r"(?:report|summary|overview|page|article|paragraph|text|note|answer|essay|list|explanation|description)"
_LEAD = re.compile(
    rf"^(?:{_POLITE}|{_WANTING}|(?:{_ASKING}|{_JUDGING})(?: me| us)?(?: (?:a|an|the)(?: [\w-]+){{0,3}}? {_FORM})?"
    r"(?: (?:about|on|of|for))?\s+)+",
    re.IGNORECASE,
)
_DOCUMENTS = r"(?:documents?|documentation|docs|corpus|passages?|sources?|context|tools?|text|manual)"
_DIRECTIVE = re.compile(
    r"\b(?:with (?:citations?|sources|references|quotes)|"
    r"in (?:\w+ )?(?:sentences?|words|bullets?|bullet points|paragraphs?|detail)|"
    r"(?:in|as) (?:plain |simple )?(?:english|markdown|short|brief)(?=\W*$|[,.;])|"
    rf"(?:using|from|according to|based on) (?:only )?(?:the|these|those|your) (?:\w+ )?{_DOCUMENTS}|"
    r"cite (?:your |the |all )?\w+|be (?:brief|concise|short|precise|specific)|"
    rf"what do(?:es)? (?:the |our |these )?{_DOCUMENTS} (?:say|tell us|state) about)\b",
    re.IGNORECASE,
)


_MEASURE = re.compile(
    r"\bhow (?:many|much|often|long|big|large|small|fast|quickly|slow|old|far|high|deep|wide|tall|expensive)\b",
    re.IGNORECASE,
)


def content(text: str) -> str:
    """Take everything off a request that says how, or how much, rather than what: its form and `how many`."""
    return _MEASURE.sub(" ", undressed(text))


def undressed(text: str) -> str:
    """Take the politeness, the instruction and the form of the answer off a request; white space collapsed."""
    text = plain(_DIRECTIVE.sub(" ", text))
    return _LEAD.sub("", text) or text
