"""Material: everything that can be said about one request, worked out once and on demand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nodes.engine.decompose import split_task
from nodes.engine.evidence import Evidence, Quote
from nodes.engine.phrases import says_nothing
from nodes.engine.question import Question, follow_up
from nodes.engine.request import Request, Source
from nodes.engine.selection import choose
from nodes.engine.sentences import sentences

_CONDENSES = re.compile(
    r"\b(?:summar\w+|condens\w+|short\w*|tl;?dr|digest|gist|compose|combine|merge|aggregate|join|synthesi\w+|integrate|rewrite|"
    r"consolidate|overview|recap|main points?|key points?|headline)\b",
    re.IGNORECASE,
)
_WANTS = re.compile(r"\b(?:must|should|shall|please)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One part of what is asked with its evidence."""

    text: str
    evidence: Evidence


class Material:
    """A request with its question, its sources and what follows from them."""

    def __init__(self, request: Request) -> None:
        self.request = request

    @cached_property
    def question(self) -> Question:
        """What is asked, read in its conversation."""
        task = self.request.task
        if len(self.asks) > 1 or self.asks[0] not in task:
            return follow_up(task, self.request.before)
        told = "" if self._told else task.replace(self.asks[0], " ").strip()  # what the task tells before it asks
        return follow_up(self.asks[0], [*self.request.before, *([told] if told else [])])

    @cached_property
    def asks(self) -> list[str]:
        """The parts of the task, at least one."""
        return split_task(self.request.task) if self.request.task.strip() else [""]

    @cached_property
    def given(self) -> tuple[Source, ...]:
        """Text without passage ids that says something: what agents, tools and the person gave; else what the task tells."""
        found = (Source("", s.origin, s.heading, without_nothing(s.text)) for s in self.request.uncited)
        return tuple(source for source in found if source.text.strip()) or self._told

    @cached_property
    def _told(self) -> tuple[Source, ...]:
        """What the task itself tells, if that answers, or is to be condensed; what it wants of the answer is no material."""
        told = [sentence for sentence in self.request.told if not _WANTS.search(sentence)]
        found = (Source("", "", "", "\n\n".join(told)),) if told else ()
        answers = any(Evidence(Question(text), found).sufficient or _CONDENSES.search(text) for text in self.asks)
        return found if answers else ()

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """What is quoted from: passages and quotes with ids where there are any, else the text that was given."""
        return self.request.cited or self.given

    @property
    def grounded(self) -> bool:
        """Whether quotes can be cited."""
        return bool(self.request.cited)

    @cached_property
    def evidence(self) -> Evidence:
        """The sources ranked for the whole question."""
        return Evidence(self.question, self.sources)

    @cached_property
    def parts(self) -> list[Part]:
        """The sources ranked for each part of the task."""
        if len(self.asks) == 1:
            return [Part(self.asks[0], self.evidence)]
        return [Part(text, Evidence(Question(text), self.sources)) for text in self.asks]

    @cached_property
    def answered(self) -> list[Part]:
        """The parts that the sources answer."""
        return [part for part in self.parts if part.evidence.sufficient]

    @cached_property
    def unanswered(self) -> list[str]:
        """The parts that the sources do not answer."""
        return [part.text for part in self.parts if not part.evidence.sufficient]

    @property
    def sufficient(self) -> bool:
        """Whether at least one part is answered."""
        return bool(self.answered)

    @cached_property
    def confidence(self) -> float:
        """0 to 1: how much of what is asked the sources cover, over all parts."""
        if not self.sources:
            return 0.0
        found = [min(1.0, part.evidence.coverage) if part.evidence.sufficient else 0.0 for part in self.parts]
        return round(sum(found) / len(found), 2)

    @cached_property
    def quotes(self) -> list[Quote]:
        """The quotes that an answer is made of, best first, each once."""
        limit = 4 if len(self.answered) == 1 else 2
        found = [quote for part in self.answered for quote in choose(part.evidence, limit=limit)]
        return list({(quote.source, quote.unit.place): quote for quote in found}.values())

    @cached_property
    def condenses(self) -> bool:
        """Whether the task is to condense what was given rather than to answer from it."""
        asked = self.request.task + " " + self.request.system
        return bool(_CONDENSES.search(asked)) or "?" not in self.request.task

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """What was searched for in this turn, in order."""
        found = (str(value) for step in self.request.steps for value in step.args.values() if isinstance(value, str))
        return tuple(dict.fromkeys(text for text in found if not re.fullmatch(r"p:[0-9a-f]{10}|\*|\S+\.\w+", text)))


def without_nothing(text: str) -> str:
    """Take out of a text the sentences by which an agent says that it has nothing."""
    if not says_nothing(text):
        return text
    return "\n\n".join(
        " ".join(s for s in sentences(paragraph) if not says_nothing(s)) for paragraph in text.split("\n\n")
    ).strip()


def all_abstain(texts: Sequence[str]) -> bool:
    """Say whether there are texts and each of them says that it has nothing."""
    return bool(texts) and all(says_nothing(text) and not without_nothing(text) for text in texts)
