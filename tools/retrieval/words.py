"""The words of a text as retrieval sees them: folded, stemmed, and with identifiers taken apart.

SQLite's tokenizer splits at everything that is neither letter nor digit. What it would lose that way is written a
second time as *marks*, tokens that no natural text contains: whole names with leading underscores, the parts of
CamelCase names, quoted operators and quoted little words ("is", "=="), and pairs of Chinese, Japanese or Korean
characters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tools.retrieval.stemming import stem

_STOP_WORDS = """
a about all also am an and any anybody anyone anything are as at be been being between but by can cannot could did do
does doing done each either ever every explain few for from get gets give given go had has have having he her here
hers him his how i if in into is it its itself just know let like may me mean means might mine more most much must my
myself need no nor not of off often on one only or other our ours out over please same say shall she should show since
so some someone something such tell than that the their theirs them themselves then there these they thing things this
those though through to too under until up upon us use used uses using very want was way we well were what whatever
when where whether which who whom whose why will with within without would yes yet you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_WORD = re.compile(r"[^\W_]+")
_LETTER = "ǁ"  # A letter to the tokenizer, but one that only our marks contain.
_UNDERSCORED = re.compile(r"_(?<!\w_)_*[A-Za-z0-9]\w*")
_CAMEL = re.compile(r"(?:[A-Z]?[a-z0-9]+[A-Z]|[A-Z]{2,}[a-z])[A-Za-z0-9]*")
_SPACED = {code: " " for code in range(128) if not chr(code).isalnum()}
_CAMEL_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_QUOTED = re.compile(r"""(["'`])([-+*/%@&|^~<>=!:?.]{1,3}|[a-z]{1,6}(?: [a-z]{1,6})?)\1""")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+")


def fold(text: str) -> str:
    """Lower the case and drop accents, as the index does."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    return "".join(c for c in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(c))


def words(text: str) -> list[str]:
    """List the folded words of a text in order, without underscores or punctuation."""
    return _WORD.findall(fold(text))


def stems(text: str) -> list[str]:
    """List the stems of a text's words in order."""
    return [stem(word) for word in _WORD.findall(fold(text))]


def content_words(text: str) -> list[str]:
    """List the words of a text that carry meaning: stop words are left out, order is kept."""
    return [word for word in words(text) if word not in STOP_WORDS]


def is_camel(name: str) -> bool:
    """Tell whether a word is written in CamelCase."""
    if name[1:].islower() or name.isupper():  # Nearly every word; this runs over all of a corpus.
        return False
    return bool(_CAMEL.fullmatch(name))


@lru_cache(maxsize=50_000)
def camel_parts(name: str) -> tuple[str, ...]:
    """Take a CamelCase name apart, folded: `ThreadPoolExecutor` gives thread, pool, executor."""
    return tuple(part.lower() for part in _CAMEL_PART.findall(name))


def underscored_mark(name: str) -> str:
    """Return the token under which a name with leading underscores is found whole."""
    return fold(name).replace("_", _LETTER)


def mention_mark(text: str) -> str:
    """Return the token under which a quoted operator or little word is found, such as "is not" or "=="."""
    # The last letter keeps the stemmer off: "is" and "i" are different words here.
    return _LETTER + "".join(c if c.isalnum() else f"{_LETTER}{ord(c):x}" for c in text) + _LETTER


def cjk_marks(text: str) -> list[str]:
    """List the overlapping pairs of characters in runs that are written without spaces."""
    if text.isascii():
        return []
    runs = _CJK.findall(text)
    return [run[i : i + 2] for run in runs for i in range(max(1, len(run) - 1))]


def marks(text: str) -> str:
    """List what a tokenizer would lose of a text, by spaces: mentions as often as they occur, the rest once."""
    found: list[str] = []
    if "_" in text:
        found += {underscored_mark(name) for name in _UNDERSCORED.findall(text)}
    found += {" ".join(camel_parts(name)) for name in set(text.translate(_SPACED).split()) if is_camel(name)}
    found += set(cjk_marks(text))
    found += [mention_mark(quoted) for _, quoted in _QUOTED.findall(text) if _is_mention(quoted)]
    return " ".join(sorted(found))


def _is_mention(quoted: str) -> bool:
    return not quoted[0].isalpha() or all(word in STOP_WORDS for word in quoted.split())
