"""Decomposition: the parts of a task that can be worked on one by one."""

from __future__ import annotations

import re

from nodes.engine.question import MAX_PARTS, Question
from nodes.engine.sentences import sentences
from nodes.engine.words import key_terms, plain

_ITEM = re.compile(
    r"(?m)^\s*(?:[-*•]|\(?\d{1,2}[.)]|\(?[a-h][.)])\s+(.+(?:\n(?!\s*(?:[-*•]|\(?\d{1,2}[.)]|\(?[a-h][.)])\s)\s+\S.*)*)"
)
_ASKING = r"(?:how|what|when|where|which|who|why|whether|is|are|does|do|can)"
_VERBS = """
explain describe list compare define summari[sz]e show find name give tell write check analy[sz]e outline discuss identify
collect draft translate send calculate compute review test build create design plan gather research propose recommend estimate
prepare publish evaluate verify document install update delete remove add book order print report get fetch look search convert
multiply divide subtract sum count sort read open save call ask notify schedule cancel transfer extract classify generate run
make set suggest
"""
_DOING = f"(?:{'|'.join(_VERBS.split())})"
_TELLS = re.compile(rf"\W*(?:please,? )?{_DOING}\s", re.IGNORECASE)
_CLAUSES = re.compile(
    rf"(?:,?\s+and(?:\s+then|\s+also|\s+finally)?|,?\s+then|;|,\s+finally,?|,)\s+(?=(?:{_ASKING}|{_DOING})\s)|"
    r";\s+|\.\s+then,?\s+",
    re.IGNORECASE,
)
_ABOUT = r"(?P<about>\s+(?:in terms of|with respect to|regarding{})\s+.+)?$"
_COMPARE = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bcompare\s+(?P<a>.+?)\s+(?:and|with|to|against|versus|vs\.?)\s+(?P<b>.+?)" + _ABOUT.format("|by|for|on"),
        r"\bdifferences?\s+(?:is\s+there\s+)?between\s+(?P<a>.+?)\s+and\s+(?P<b>.+?)" + _ABOUT.format(""),
        r"\bhow\s+(?:do|does)\s+(?P<a>.+?)\s+(?:differ from|compare (?:to|with))\s+(?P<b>.+?)(?P<about>)$",
        r"^(?P<a>[^,?]{2,60}?)\s+(?:versus|vs\.?)\s+(?P<b>[^,?]{2,60}?)" + _ABOUT.format("|for"),
    )
)
_COORDINATED = re.compile(
    r"^(?P<head>.*?\b(?:what (?:is|are)|explain|describe|define|summari[sz]e|about|on|of)\s)(?P<list>[^?]+)(?P<end>\??)$",
    re.I,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|do|does|did|can|could|should|will|would|has|have|to|that|which|when|if|because|between|from)\b",
    re.I,
)
_STATES = re.compile(
    rf"(?!(?:{_ASKING}|{_DOING}|(?:i|we) (?:want|need|would like))\b)(?:"
    r"(?:an?|the|this|these|those|my|our|your|his|her|its|their|i|we|it|they|he|she|there|every|each|all|most|some|no)\b|"
    r"\w[\w.'’-]*(?:\s\w[\w.'’-]*){0,3}?\s(?:is|are|was|were|has|have|had|can|will|does|means?)\b)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|they|them|this|that|these|those)\b", re.IGNORECASE)


def split_task(text: str) -> list[str]:
    """Split a task into parts, in order, at most `MAX_PARTS`; a task that has no parts is its own only part.

    A comparison of A and B gives a part for each side and one for the comparison itself.
    """
    items = [plain(item) for item in _ITEM.findall(text)]
    if len(items) >= 2:
        return items[:MAX_PARTS]
    parts = [part for sentence in _requests(text) for part in _split_sentence(sentence)]
    return list(dict.fromkeys(parts))[:MAX_PARTS] or [plain(text)]


def statements(text: str) -> list[str]:
    """List the sentences of a task that tell something beside what it asks: material for whoever works on it."""
    asking = _requests(text)
    return [s for s in sentences(text) if s not in asking and _STATES.match(s)]


def sides(text: str) -> list[str]:
    """Name the two things that a text compares; [] if it compares none."""
    for sentence in sentences(text):
        for pattern in _COMPARE:
            if match := pattern.search(sentence.rstrip("?.! ")):
                return [re.sub(r"^(?:the|how)\s+", "", match[name].strip(" ,")) for name in ("a", "b")]
    return []


def _requests(text: str) -> list[str]:
    """List the sentences that ask: questions and instructions; without a question all but those that tell something."""
    found = sentences(text)
    if any(s.endswith("?") for s in found):
        return [s for s in found if s.endswith("?") or (_TELLS.match(s) and key_terms(Question(s).subject))]
    telling = any(_TELLS.match(s) for s in found)
    return [s for s in found if key_terms(s) and not (telling and _STATES.match(s))] or found


def _split_sentence(sentence: str) -> list[str]:
    bare = sentence.rstrip("?.! ")
    clauses = [clause.strip(" ,") for clause in _CLAUSES.split(bare) if clause and clause.strip(" ,")]
    clauses = [clause for clause in clauses if key_terms(clause)]
    if len(clauses) > 1:
        return _complete(clauses, asks=sentence.endswith("?"))
    for pattern in _COMPARE:
        if match := pattern.search(bare):
            return _sides(match["a"], match["b"], match["about"] or "", sentence)
    return _coordinated(sentence)


def _sides(a: str, b: str, about: str, whole: str) -> list[str]:
    a, b = (re.sub(r"^(?:the|how)\s+", "", side.strip(" ,")) for side in (a, b))
    if about:
        aspect = re.sub(
            r"^(?:in terms of|with respect to|regarding|by|for|on)\s+", "", about.strip(), flags=re.IGNORECASE
        )
        return [f"{side}: {aspect}" for side in (a, b)] + [whole]
    a, b = (side if key_terms(side) else f"`{side.strip('`')}`" for side in (a, b))
    return [f"What {'are' if _is_plural(side) else 'is'} {side}?" for side in (a, b)] + [whole]


def _is_plural(noun: str) -> bool:
    head = re.split(r"\s(?:in|of|for|with|from|to|on)\s", noun)[0].split()
    last = head[-1] if head else ""
    return last.endswith("s") and not last.endswith(("ss", "us", "is")) and not noun.lower().startswith(("a ", "an "))


def _complete(clauses: list[str], *, asks: bool) -> list[str]:
    """Make each clause stand alone: a pronoun is replaced by what the first clause is about, `explain` is said again."""
    first = re.match(
        r"(?:what|who)\s+(?:is|are)\s+(?P<noun>[\w.'\"-]+(?:\s[\w.'\"-]+){0,4})$", clauses[0], re.IGNORECASE
    )
    lead = re.match(rf"(?:please,? )?{_DOING} (?={_ASKING}\b)", clauses[0], re.IGNORECASE)
    found = []
    for i, clause in enumerate(clauses):
        if i and first and key_terms(first["noun"]):
            clause = _PRONOUN.sub(first["noun"], clause, count=1)
        question = re.match(rf"{_ASKING}\b", clause, re.IGNORECASE)
        clause = f"{lead[0]}{clause}" if i and lead and question else clause
        text = clause[:1].upper() + clause[1:]
        found.append(text + "?" if question and asks else text)
    return found


def _coordinated(sentence: str) -> list[str]:
    """Split `What are A, B and C?` and `Explain A and B` into one part a noun; anything with a verb stays whole."""
    match = _COORDINATED.match(sentence.rstrip(". "))
    whole = sentence if sentence.endswith("?") else Question(sentence).subject
    if match is None or _VERB.search(match["list"]):
        return [whole]
    nouns = [noun.strip() for noun in re.split(r",\s*(?:and\s+)?|\s+and\s+", match["list"]) if noun.strip()]
    short = all(len(noun.split()) <= 4 and key_terms(noun) for noun in nouns)
    if len(nouns) < 2 or not short or (len(nouns) == 2 and "," not in match["list"] and _one_phrase(nouns)):
        return [whole]
    return [f"{match['head']}{noun}{match['end']}" for noun in nouns]


def _one_phrase(nouns: list[str]) -> bool:
    """Say whether two nouns read as one thing, such as `naming and binding`: single words of the same form."""
    return all(len(noun.split()) == 1 for noun in nouns) and nouns[0][-3:] == nouns[1][-3:]
