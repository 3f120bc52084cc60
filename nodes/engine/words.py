"""Words: what a text talks about, as comparable terms."""

from __future__ import annotations

import re
from functools import lru_cache

from nodes.engine.stem import stem
from nodes.engine.vocabulary import vocabulary
from tools.retrieval.words import cjk_marks, fold

# Function words, and the words in which people dress a question for a search over documents.
STOP = vocabulary(
    """a about above across after again against all also am an and any anybody anyone anything are aren't as at be because been
    before being below between both but by can can't cannot could couldn't did didn't do does doesn't doing
    don't done down during each either else etc ever every everyone everything few for from further had has have
    haven't having he her here hers him his how however i i'd i'll i'm i've if in instead into is isn't it it's
    its itself just let lets like may maybe me might mine more most much must my myself no nor not now of off on
    once one ones only onto or other others our ours out over own per please quite rather really s same shall
    she should shouldn't since so some somebody someone something somehow such t than that that's the their
    theirs them then there there's these they they're this those though through thus till to too toward towards
    under until unto up upon us very via was wasn't we we're were weren't what what's whatever when whenever
    where whereas wherever whether which whichever while who whoever whole whom whose why will with within
    without won't would wouldn't yes yet you you're your yours yourself"""
)

# Verbs and nouns of the request itself. They say what to do with the answer, not what the answer is about.
REQUEST_WORDS = vocabulary(
    """ask asked asking brief briefly citation citations cite cited cites clearly concise describe described
    elaborate explain explained explanation find give given help know mean meant mention mentioned
    outline please regarding said say says shortly show summarise summarize tell wonder wondering write compare
    comparison versus vs difference differences differ"""
)

# Words that are in most technical texts: matching them says little, missing them says little.
COMMON = frozenset(
    stem(word)
    for word in vocabulary(
        """able about actually add allow allowed answer anyway apart apply ask available avoid bad bare based basic
        become begin behave best better big bit bring call case cause change choose come common compare complete
        consider contain correct create current data day deal default define depend description detail different
        discuss do early easy effect enable end ensure entire especially exactly example exist expect fact
        feature fine follow form full general get go good great half handle happen hard hold hour important
        include inside intend involve issue keep kind know large later lead least leave less level little long
        look lot main mainly make manner many matter mean middle minute multiple need new next normal offer
        often ok old option order own part particular particularly pass people perform person piece place plain
        point possible practice prefer previous problem produce properly provide purpose put question rarely
        rather real reason receive recommend regular relate require result return right role rule run second see
        seem set several short side similar simple simply single situation small soon speak special specific
        specify standard start state stay still stop support sure take task thing think three time today
        together total treat true try turn twice two type understand usage use useful user usual usually value
        various want way well whole work world wrong year yet"""
    )
)

NEGATIONS = vocabulary(
    """not no never none nothing nobody neither nor cannot without unable fails isn't aren't wasn't weren't don't
    doesn't didn't can't couldn't won't wouldn't shouldn't mustn't haven't hasn't hadn't isnt dont doesnt cant
    wont"""
)

_TOKEN = re.compile(r"\w+(?:['’.]\w+)*")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_OPERATOR = re.compile(r"(?<![^\s(])([-+*/%@&|^~<>=!:]{2,3}|[*/%@&|^~<>=])(?![^\s?.,;)])")
_BETWEEN = re.compile(r"\bbetween (\S+) and (\S+?)[?.]?(?:\s|$)")
_KEYWORD = re.compile(r"\b([a-z]+) (?:keyword|statement|operator|clause|loop|block|expression|part|branch|suite)s?\b")
_ARTICLES = vocabulary(
    "a an any another each every it its my no of one other our same some such that the their these this those which your"
)
_FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
_QUOTED = re.compile(r"""(["'`])([-+*/%@&|^~<>=!:?.]{1,3}|[a-z]{1,6}(?: [a-z]{1,6})?)\1""")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w])|(?<![\w.])\d[\d,]*(?:\.\d+)*")

_COUNTING = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTING.split())} | {
    "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "hundred": "100", "thousand": "1000", "dozen": "12"
}  # fmt: skip


def tokens(text: str) -> list[str]:
    """Split a text into words as written: `don't`, `foo.bar`, `__init__` and `3.11` stay whole."""
    return _TOKEN.findall(text)


def terms(text: str) -> list[str]:
    """List what a text talks about: stems without function words, in order, with repetitions.

    A compound identifier (`OPT_INDENT`, `HumanMessage`, `os.path`) gives itself and its parts; a run of Chinese,
    Japanese or Korean characters gives its pairs.
    """
    return [term for token in tokens(text) for term in _token_terms(token)] + _mentioned(text)


def key_terms(text: str) -> list[str]:
    """List the distinct terms of a request, in order, without the words of the request itself."""
    found = [t for token in tokens(text) if token.lower() not in REQUEST_WORDS for t in _token_terms(token)]
    return list(dict.fromkeys(found + _mentioned(text)))


def weight(term: str) -> float:
    """Say how much a term tells before any document is seen: 0.4 common, 1 ordinary, 1.3 an identifier or number."""
    if term in COMMON:
        return 0.4
    return 1.3 if "_" in term or "." in term or term[0].isdigit() else 1.0


def numbers(text: str) -> list[str]:
    """List the numbers in a text as digits without thousands separators; number words count."""
    found = [match[0].replace(",", "").lstrip("+").rstrip(".") for match in _NUMBER.finditer(text)]
    return found + [NUMBER_WORDS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in NUMBER_WORDS]


def is_negated(text: str) -> bool:
    """Say whether a sentence denies something."""
    return any(word in NEGATIONS for word in re.findall(r"[a-z]+(?:['’][a-z]+)?", text.lower().replace("’", "'")))


def negated_terms(text: str) -> frozenset[str]:
    """List what a sentence denies: the terms that follow a denying word in its clause, at most three each."""
    found: set[str] = set()
    for clause in re.split(
        r"[,;:.()]|\b(?:and|but|or|while|although|because|if|when)\b", text.lower().replace("’", "'")
    ):
        left = 0
        for word in tokens(clause):
            if word in NEGATIONS:
                left = 3
            elif left and (own := _token_terms(word)):
                found.update(own)
                left -= 1
    return frozenset(found)


def heads(text: str) -> list[str]:
    """List the distinct terms of a text, in order, without the parts of compound names."""
    return list(dict.fromkeys(own[0] for token in tokens(text) if (own := _token_terms(token))))


def plain(text: str) -> str:
    """Collapse white space, so that a quote can be compared with where it comes from."""
    return " ".join(text.split())


def _mentioned(text: str) -> list[str]:
    """List the flags, operators and quoted function words that a text names: no other rule would see them."""
    quoted = [match[2] for match in _QUOTED.finditer(text)] + _OPERATOR.findall(text)
    quoted += [word for word in _KEYWORD.findall(text.lower()) if word in STOP and word not in _ARTICLES]
    quoted += [side.strip("\"'`") for pair in _BETWEEN.findall(text) for side in pair]
    flags = [flag.lower() for flag in _FLAG.findall(text)]
    return flags + list(
        dict.fromkeys(f'"{q}"' for q in quoted if q and (not q[0].isalnum() or all(word in STOP for word in q.split())))
    )


@lru_cache(maxsize=20_000)
def _token_terms(token: str) -> tuple[str, ...]:
    if not token.isascii():
        if pairs := cjk_marks(token):
            return tuple(pairs)
        token = token.replace("’", "'")
    if token.startswith("__") and token.endswith("__") and len(token) > 4:
        return (token.lower(), stem(token.strip("_").lower()))
    bare = re.sub(r"'s?$", "", token.strip("_")) or token
    lowered = fold(bare)
    if lowered in STOP or (len(lowered) == 1 and not lowered.isdigit() and lowered not in "crx"):
        return ()
    parts = _parts(bare)
    if len(parts) > 1:
        return (lowered, *(stem(part) for part in parts if part not in STOP and len(part) > 1))
    return (stem(lowered),)


def _parts(name: str) -> list[str]:
    """Take a compound name apart: `OPT_INDENT`, `HumanMessage`, `os.path`; a number stays whole."""
    if not name.isascii() or name.replace(".", "").isdigit() or "'" in name:
        return [name]
    return [part for piece in re.split(r"[_.]", name) for part in _humps(piece)]


def _humps(name: str) -> list[str]:
    """Take CamelCase apart where each part is a word: `HumanMessage`, but not `SQLite`."""
    found = [part.lower() for part in _CAMEL.findall(name)]
    return found if all(len(part) > 2 or part.isdigit() for part in found) else [name.lower()]
