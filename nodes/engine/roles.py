"""Roles: what a field of a schema is for, by its name and description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import STOP, tokens

Role = Literal[
    "", "agent", "answer", "citation", "claim", "constraints", "depends", "estimate", "feedback", "guess", "id",
    "keywords", "missing", "option", "place", "question", "quote", "reason", "report", "scores", "section", "source",
    "summary", "title", "winner"
]  # fmt: skip

# What a field is called: of a name with several words the last that stands here decides.
_ROLES: dict[Role, str] = {
    "answer": """answer answers recommendation recommendations response reply result results output final conclusion conclusions
        explanation solution""",
    "summary": "summary summaries abstract overview gist tldr digest synopsis recap",
    "report": "report article essay markdown page draft document_text revised revision rewritten improved",
    "title": "title headline caption",
    "question": """question questions query queries task tasks subtask subtasks request topic topics instruction instructions goal
        goals objective item items step steps part parts todo todos action actions subquestion subquestions prompt plan activity
        activities work description""",
    "reason": "reason reasons rationale reasoning justification why basis thought thoughts analysis note notes comment",
    "quote": "quote quotes quotation excerpt excerpts snippet snippets verbatim span evidence proof supporting extract",
    "claim": """claim claims fact facts finding findings statement statements point points insight insights takeaway takeaways
        observation observations sentence sentences detail details highlights highlight bullets""",
    "citation": "citation citations cite cited passage passages reference references ref refs",
    "source": "source sources document documents file files filename path origin url",
    "section": "section sections heading headings chapter",
    "place": "place lines position",
    "feedback": """feedback critique issue issues problem problems suggestion suggestions improvement improvements comments advice
        correction corrections objection objections error errors weakness weaknesses fixes changes concerns flaws""",
    "missing": "missing gap gaps unknown unknowns unanswered limitation limitations caveat caveats open unresolved",
    "agent": """agent agents worker workers specialist specialists speaker assignee route routes recipient expert experts
        assistant destination target member owner department team next delegate handler role""",
    "winner": "winner best preferred preference chosen selected choice pick favourite favorite",
    "option": "option options candidate candidates alternative alternatives side sides contender contenders",
    "id": "id ids identifier uid key index",
    "keywords": "keyword keywords tag tags term terms subjects themes theme",
    "guess": "guess guesses assumption assumptions hypothesis hypotheses speculation",
    "depends": "depends dependency dependencies prerequisites prerequisite requires after",
    "constraints": "constraint constraints requirement requirements rules criteria",
    "scores": "scores score ratings votes ranking rankings",
    "estimate": "estimate estimated effort duration hours minutes cost weight",
}
_BY_WORD: dict[str, Role] = {word: role for role, words in _ROLES.items() for word in words.split()}
_GENERIC = vocabulary(
    """text content value string body field data list number name info message of the a is it or and for to in on
    by"""
)
_PHRASES: tuple[tuple[re.Pattern[str], Role], ...] = (
    (re.compile(r"\b(?:passage|source|citation|doc|document|chunk|evidence|quote|reference) ids?\b"), "citation"),
    (
        re.compile(
            r"\b(?:open|unanswered|follow ?up|remaining|outstanding) questions?\b|\bmissing \w+|"
            r"\bnot (?:found|answered|known)\b"
        ),
        "missing",
    ),
    (re.compile(r"\bnext (?:speaker|agent|worker|step|action)\b"), "agent"),
    (re.compile(r"\bdepends? on\b|\bblocked by\b"), "depends"),
    (re.compile(r"\b(?:key|main) (?:points?|facts?|findings?|takeaways?|ideas?)\b"), "claim"),
    (re.compile(r"\bsub ?(?:questions?|tasks?|queries)\b|\binstruction or question\b"), "question"),
    (re.compile(r"\bsearch quer(?:y|ies)\b|\b(?:user|original) (?:question|request|query)\b"), "question"),
    (re.compile(r"\b(?:revised|improved|new|corrected|final) (?:draft|text|version|report|answer)\b"), "report"),
)


@dataclass(frozen=True)
class Field:
    """A place in a schema that needs a value.

    Attributes:
        name: Of the property; of the list for its elements.
        description: What the schema says of it.
        schema: Its JSON schema.
        parents: Names of the properties around it, outermost first.
        required: Whether it may be left out.
        beside: What the properties of the same object are for.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    parents: tuple[str, ...] = ()
    required: bool = True
    beside: frozenset[Role] = frozenset()

    @cached_property
    def words(self) -> list[str]:
        """The name in lower-case words."""
        return split_name(self.name)

    @cached_property
    def role(self) -> Role:
        """What the field is for; "" when neither its name nor its description tells."""
        return _role(self.words) or self._inherited or _role_of_description(self.description)

    @cached_property
    def _inherited(self) -> Role:
        """A field with a name that says nothing, such as `value` or `text`, is for what the field around it is for."""
        if not set(self.words) <= _GENERIC or not self.parents:
            return ""
        return _role(split_name(self.parents[-1]))

    def says(self, *words: str) -> bool:
        """Say whether the name has one of these words."""
        return bool(set(self.words) & set(words))


def split_name(name: str) -> list[str]:
    """Take `camelCase` and `snake_case` apart: lower-case words."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)] or [name.lower()]


def _role(words: list[str]) -> Role:
    joined = " ".join(words)
    for pattern, role in _PHRASES:
        if pattern.search(joined):
            return role
    for word in reversed(words):
        if word in _BY_WORD and word not in _GENERIC:
            return _BY_WORD[word]
    return ""


def _role_of_description(description: str) -> Role:
    """Take the first telling word of a description's first sentence."""
    words = [word.lower() for word in tokens(description.split(". ")[0])][:12]
    return next(
        (_BY_WORD[word] for word in words if word in _BY_WORD and word not in STOP and word not in _GENERIC), ""
    )
