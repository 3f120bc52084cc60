"""Stems of English words: Porter's, and the irregular verbs and noun families that his rules leave apart."""

from __future__ import annotations

import re
from functools import lru_cache

from tools.retrieval.stemming import stem as porter_stem

_IRREGULAR = {
    form: verb
    for verb, forms in {
        "begin": "began begun",
        "bind": "bound",
        "break": "broke broken",
        "bring": "brought",
        "build": "built",
        "catch": "caught",
        "choose": "chose chosen choice choices",
        "draw": "drew drawn",
        "fall": "fell fallen",
        "find": "found",
        "give": "gave given",
        "go": "went gone",
        "grow": "grew grown growth",
        "hide": "hid hidden",
        "hold": "held",
        "index": "indices",
        "keep": "kept",
        "know": "knew known",
        "lose": "lost loss",
        "make": "made",
        "overwrite": "overwrote overwritten",
        "parse": "parser parsers",
        "pay": "paid payment payments",
        "run": "ran runner runners",
        "say": "said",
        "see": "saw seen",
        "send": "sent",
        "speak": "spoke spoken",
        "take": "took taken",
        "throw": "threw thrown",
        "try": "tries tried",
        "write": "wrote written",
    }.items()
    for form in forms.split()
}
_FAMILIES = (
    (re.compile(r"olutions?$"), "olve"),
    (re.compile(r"(?<!pre)cisions?$"), "cide"),
    (re.compile(r"visions?$"), "vide"),
    (re.compile(r"parisons?$"), "pare"),
    (re.compile(r"criptions?$"), "cribe"),
    (re.compile(r"umptions?$"), "ume"),
    (re.compile(r"(?<=[a-z])isations?$"), "ize"),
    (re.compile(r"(?<=[a-z]{3})is(e|ed|es|ing|er|ers)$"), r"iz\1"),
)


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Reduce a lower-case word to the form that it shares with its family."""
    word = _IRREGULAR.get(word, word)
    if len(word) > 5:
        for ending, replacement in _FAMILIES:
            word = ending.sub(replacement, word)
    return porter_stem(word)
