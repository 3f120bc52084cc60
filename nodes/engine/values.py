"""Values: what a single field of an answer is filled with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nodes.engine import verdicts
from nodes.engine.answer import cite
from nodes.engine.choices import Choices
from nodes.engine.conform import UNKNOWN, honest_member, kind_of, limits
from nodes.engine.evidence import Evidence
from nodes.engine.extraction import find_number, find_text
from nodes.engine.facts import facts
from nodes.engine.items import Item, source_text
from nodes.engine.material import Material
from nodes.engine.options import Option, fallback_option, named_in, rank_options
from nodes.engine.question import Question, title
from nodes.engine.roles import Field, split_name
from nodes.engine.standing import ENDED, Standing
from nodes.engine.topics import cues
from nodes.engine.vocabulary import vocabulary
from nodes.engine.wording import Wording
from nodes.engine.words import key_terms, plain

_SHARES = vocabulary(
    """confidence score scores probability certainty relevance quality rating coverage similarity likelihood strength
    faithfulness completeness correctness accuracy groundedness support agreement merit grade"""
)
_ORDINALS = ("index", "order", "priority", "rank", "step", "number", "position", "id")
_UNSETTLED = vocabulary(
    "revision retry rework more clarification information search changes review improvement work answer"
)
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:-|–|to|and|\.\.)\s*(-?\d+(?:\.\d+)?)")
SAID = 0.15  # fit of an option that the text says something for


class Values:
    """Fills single fields: strings, numbers, flags and members of closed sets."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.choices = Choices(material)
        self.standing = Standing(material)
        self.wording = Wording(material, self.choices, self.standing)

    def text(self, field: Field, item: Item | None) -> Any:
        """Fill a string."""
        form = str(field.schema.get("format", ""))
        if item is not None and (value := self._item_text(field, item)) is not UNKNOWN:
            return value
        if self._extracts and (found := find_text(source_text(self.material), field.words, form)):
            return found
        value = self.wording.text(field)
        if value is not UNKNOWN:
            return value
        return find_text(item.text if item is not None else source_text(self.material), field.words, form) or UNKNOWN

    def number(self, field: Field, item: Item | None) -> Any:
        """Fill a number: a share of what is covered, a count, a place in the list, or what the text says."""
        if item is not None and item.kind != "record" and field.says(*_ORDINALS):
            return item.index + 1
        if set(field.words) & _SHARES or field.role == "scores":
            return self._share(field, item)
        text = item.text if item is not None and item.kind == "record" else source_text(self.material)
        found = find_number(text, field.words)
        if found is None and item is not None and item.kind == "record":
            only = facts(text, ("number",))
            found = only[0].number if len(only) == 1 else None
        if found is not None:
            return found
        if field.says("count", "num", "number", "n", "total") and (counted := self._count(field)) is not UNKNOWN:
            return counted
        if (field.role == "answer" or field.says("value", "number", "total", "amount")) and item is None:
            only = facts(text, ("number", "money"))
            return only[0].number if len(only) == 1 else UNKNOWN
        return 1 if field.role == "estimate" and field.required else UNKNOWN

    def flag(self, field: Field) -> Any:
        """Fill a boolean."""
        words = [*field.words, *(word for name in field.parents[-1:] for word in split_name(name))]
        if "loop" in words:
            return self.standing.repeats
        if "progress" in words:
            return not self.standing.repeats
        said = set(key_terms(f"{self.material.request.task} {self.material.request.inline}"))
        if words[0] in ("needs", "need", "requires", "require") and not set(words) & _UNSETTLED:
            return bool(set(key_terms(" ".join(words[1:]))) & said)
        if set(words) & ENDED:
            return self.choices.settled(well=self.standing.well, everybody="done" in words)
        good = verdicts.is_good_word(words)
        if good is not None:
            return self.standing.well == good
        wanted = set(key_terms(" ".join(field.words)))
        return True if wanted and wanted <= said else UNKNOWN

    def member(self, field: Field, members: Sequence[Any], item: Item | None) -> Any:
        """Choose a member of a closed set."""
        if not all(isinstance(member, str) for member in members):
            return honest_member(members)
        text = item.text if item is not None else plain(f"{self.material.request.task} {self.material.request.inline}")
        if field.role == "winner" and self.choices.options:
            return self.choices.winner(members) or members[0]
        good = self.standing.well if item is None else item.kind != "issue"
        chosen = verdicts.verdict_member(members, good=good)
        if chosen is None:
            chosen = verdicts.sentiment_member(members, text)
        if chosen is None:
            chosen = verdicts.level_member(members, self._degree(field, text))
        return chosen if chosen is not None else self._option(field, members, text)

    def _option(self, field: Field, members: Sequence[Any], text: str) -> Any:
        """Choose by what the task is about; what nothing speaks for is the default, or the member for the rest."""
        if field.role == "agent":
            best = self.choices.for_task(text, members)
            return best.option.name if best else members[0]
        if (found := find_text(text, field.words)) in members:
            return found
        about = {option.name: option.about for option in self.choices.options}
        options = [Option(m, f"{about.get(m, '')} {_about(m, field.description)} {cues(m)}") for m in members]
        chosen = next(iter(rank_options(text, options)), None)
        if chosen is not None and chosen.fit > SAID:
            return chosen.option.name
        return field.schema.get("default") or fallback_option(list(members)) or honest_member(members)

    def _degree(self, field: Field, text: str) -> float:
        if set(field.words) & _SHARES:
            return min(0.99, self._fraction(None))
        if field.says("complexity", "difficulty", "effort", "size"):
            return min(0.95, len(self.material.asks) / 5)
        if field.says("risk", "severity", "impact") and self.standing.issues:
            return min(0.95, 0.4 + len(self.standing.issues) / 10)
        return verdicts.urgency(text)

    def _fraction(self, item: Item | None) -> float:
        """0 to 1: how well the draft, the option, the quote or the answer holds."""
        if item is not None and item.kind == "option":
            return self.choices.merits([item.text]).get(item.text, 0.0)
        if item is not None and item.quote is not None:
            return round(item.quote.share, 2)
        if self.standing.has_draft:
            return self.standing.review.score
        if self.material.grounded:
            return self.material.confidence
        if self.choices.options and not self.standing.draft:
            best = self.choices.for_task(self.material.request.task, fresh=False)
            return round(best.fit, 2) if best else 0.0
        if tone := abs(verdicts.sentiment(plain(f"{self.material.request.task} {self.material.request.inline}"))):
            return round(0.5 + 0.4 * tone, 2)
        return self.material.confidence

    def _share(self, field: Field, item: Item | None) -> float:
        low, high = limits(field.schema)
        said = _RANGE.search(field.description)
        if high is None and said:
            low, high = float(said[1]), float(said[2])
        if high is None:
            percent = field.says("percent", "percentage") or "percent" in field.description.lower()
            high = 100.0 if percent else 10.0 if kind_of(field.schema) == "integer" else 1.0
        low = 0.0 if low is None else low
        return round(low + self._fraction(item) * (high - low), 4)

    def _count(self, field: Field) -> Any:
        if field.role in ("source", "citation", "quote"):
            return len({quote.source.id for quote in self.material.quotes})
        if field.role == "feedback":
            return len(self.standing.issues)
        return len(self.material.asks) if field.role == "question" else UNKNOWN

    @property
    def _extracts(self) -> bool:
        """Whether the request is to take values out of a text that it brings along."""
        return (
            bool(self.material.request.inline) and not self.material.grounded and "?" not in self.material.request.task
        )

    def _item_text(self, field: Field, item: Item) -> Any:
        if item.kind == "quote":
            return _quote_text(field, item)
        if item.kind == "task" and field.role == "question":
            return self.material.request.complete(item.text)
        if item.kind == "issue" and item.issue is not None:
            return item.issue.sentence if field.role in ("quote", "claim", "place") else item.text
        if item.kind == "option":
            return self._option_text(field, item.text)
        if item.kind == "record":
            found = find_text(item.text, field.words, str(field.schema.get("format", "")))
            return found or (item.text if field.role in ("claim", "question", "quote") else UNKNOWN)
        return self._task_text(field, item)

    def _option_text(self, field: Field, name: str) -> Any:
        """A field of an option: its name, or the best quote about it."""
        if field.says("name", "agent", "option", "id", "winner", "candidate", "title", "side", "item", "subject"):
            return name
        evidence = Evidence(Question(name), self.material.sources)
        telling = field.role in ("answer", "summary", "claim", "quote", "question", "reason")
        if not telling or not evidence.sufficient:
            return UNKNOWN
        best = evidence.quotes[0]
        return best.text if field.role == "quote" else cite(plain(best.text), best.source)

    def _task_text(self, field: Field, item: Item) -> Any:
        if field.role == "agent":
            best = self.choices.for_task(item.text, named_in(field.description, ()), fresh=False)
            return best.option.name if best else UNKNOWN
        if field.role == "reason" and "agent" in field.beside:
            return self.wording.why_agent(item.text, fresh=False)
        if field.role in ("id", "title"):
            return f"t{item.index + 1}" if field.role == "id" else title(item.text)
        telling = field.role in ("claim", "answer", "summary") or field.says("text", "name", "content")
        return item.text if telling else UNKNOWN


def _quote_text(field: Field, item: Item) -> Any:
    """What a field of a quote is filled with: its words, its passage, its document."""
    quote = item.quote
    if quote is None:
        return UNKNOWN
    source = quote.source
    if field.role == "citation" or (field.role in ("id", "source") and field.says("id")):
        return source.id or source.origin or UNKNOWN
    if field.role in ("claim", "answer", "summary") or field.says("text", "content", "value"):
        return plain(quote.text)
    by_role = {"source": source.origin, "section": source.heading, "place": source.place, "quote": quote.text}
    by_role["title"] = source.heading.split(" > ")[-1] or source.origin
    return by_role.get(field.role, UNKNOWN)


def _about(member: str, description: str) -> str:
    """What a field's description says of one of its members: `billing: invoices and refunds; technical: ...`."""
    match = re.search(rf"\b{re.escape(member)}\b['\"`]?\s*(?::|=|-|\()\s*([^;\n.)]+)", description, re.IGNORECASE)
    return match[1] if match else ""
