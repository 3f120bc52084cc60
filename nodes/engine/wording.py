"""Wording: the strings of a structured answer that are about the request as a whole, by their role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodes.engine.answer import central, cite, write_answer, write_summary
from nodes.engine.choices import Choices
from nodes.engine.conform import UNKNOWN
from nodes.engine.items import task_items
from nodes.engine.material import Material
from nodes.engine.options import Option, named_in
from nodes.engine.question import title
from nodes.engine.report import wants_report, write_document, write_report
from nodes.engine.roles import Field, Role, split_name
from nodes.engine.standing import ENDED, Standing
from nodes.engine.words import key_terms, plain, tokens

MAX_KEYWORDS = 8


class Wording:
    """Writes the strings that a role asks for."""

    def __init__(self, material: Material, choices: Choices, standing: Standing) -> None:
        self._material, self._choices, self._standing = material, choices, standing
        self._texts = self._by_role()
        self._lists = self._lists_by_role()

    def text(self, field: Field) -> Any:
        """Fill a string by its role; `UNKNOWN` if the role asks for none, or nothing is known for it."""
        write = self._texts.get(field.role)
        return write(field) if write else UNKNOWN

    def strings(self, field: Field) -> list[str] | None:
        """Fill a list of strings by its role; None if the role asks for none."""
        write = self._lists.get(field.role)
        return write(field) if write else None

    def reason(self, field: Field) -> str:
        """Say in a sentence what the fields beside this one rest on."""
        around = set(split_name(field.parents[-1])) if field.parents else set()
        if around & {"loop", "progress"}:
            return "The same was said twice." if self._standing.repeats else "Nothing was said twice."
        if around & ENDED:
            if not self._choices.settled(well=self._standing.well):
                return "No result answers the request yet."
            answered = self._standing.well and self._material.sources
            return "A result speaks of what was asked." if answered else "Nobody is left to ask."
        if "agent" in field.beside or (field.parents and Field(field.parents[-1], "", {}).role == "agent"):
            return self.why_agent(self._material.request.task)
        if self._standing.has_draft:
            issues = self._standing.issues
            return (
                issues[0].text if issues else "No rule is broken: the passages that are cited say what the draft says."
            )
        if self._choices.options and (field.beside & {"winner"} or not self._material.grounded):
            return self._why_chosen()
        return self._why_answered()

    def why_agent(self, task: str, *, fresh: bool = True) -> str:
        """Say why somebody was chosen for a task."""
        best = self._choices.for_task(task, fresh=fresh)
        return _chosen_for(best.option, task) if best else ""

    def missing(self) -> str:
        """Say what was asked and is not in the sources; "" if nothing is missing."""
        open_parts = self._material.unanswered
        if not open_parts:
            return ""
        if len(self._material.asks) > 1:
            return "Not in the documents: " + "; ".join(open_parts)
        searched = "; ".join(f'"{query}"' for query in self._material.searched)
        return f"Not in the documents; searched for: {searched}." if searched else "Not in the documents."

    def _by_role(self) -> dict[Role, Callable[[Field], Any]]:
        material, choices, standing = self._material, self._choices, self._standing
        return {
            "answer": self._answer,
            "summary": lambda _: write_summary(material) if material.sources else plain(material.request.task),
            "report": lambda _: write_document(material),
            "title": lambda _: title(material.request.task),
            "question": lambda field: material.request.whole if "agent" in field.beside else material.question.subject,
            "reason": self.reason,
            "quote": lambda _: material.quotes[0].text if material.quotes else UNKNOWN,
            "claim": lambda _: self._claims()[0] if material.quotes else UNKNOWN,
            "citation": lambda _: self._first("id"),
            "source": lambda _: self._first("origin"),
            "section": lambda _: self._first("heading"),
            "place": lambda _: self._first("place"),
            "feedback": lambda _: "\n".join(f"- {issue.text}" for issue in standing.issues),
            "missing": lambda _: self.missing(),
            "agent": self._agent,
            "winner": lambda _: choices.winner() or UNKNOWN,
            "guess": lambda _: "",
            "constraints": lambda _: "\n".join(part.text for part in material.request.parts("constraints")),
            "keywords": lambda _: ", ".join(self._keywords()),
        }

    def _lists_by_role(self) -> dict[Role, Callable[[Field], list[str]]]:
        material, choices, standing = self._material, self._choices, self._standing
        return {
            "question": self._parts,
            "claim": lambda _: self._claims() or self._central() or list(material.request.told),
            "answer": lambda _: self._claims() or self._central(),
            "summary": lambda _: self._claims()[:3] or self._central(),
            "quote": lambda _: [quote.text for quote in material.quotes],
            "citation": lambda _: self._each("id") or self._each("origin"),
            "source": lambda _: self._each("origin"),
            "section": lambda _: self._each("heading"),
            "place": lambda _: self._each("place"),
            "feedback": lambda _: [issue.text for issue in standing.issues],
            "missing": lambda _: material.unanswered if material.sources or material.request.steps else [],
            "keywords": lambda _: self._keywords(),
            "agent": lambda field: choices.several(material.request.task, named_in(field.description, ())),
            "winner": lambda _: [name] if (name := choices.winner()) else [],
            "option": lambda _: [option.name for option in choices.options],
            "guess": lambda _: [],
            "depends": lambda _: [],
            "reason": lambda field: [self.reason(field)],
            "constraints": lambda _: self._constraints(),
        }

    def _why_chosen(self) -> str:
        merits = self._choices.merits()
        if len([name for name in merits if merits[name] > 0]) > 1:
            scores = ", ".join(f"{name} {merits[name]:g}" for name in sorted(merits, key=lambda name: -merits[name]))
            return f"By what each says of the question and cites: {scores}."
        return self.why_agent(self._material.request.task, fresh=False)

    def _why_answered(self) -> str:
        if self._material.grounded and self._material.sufficient:
            ids = ", ".join(f"[{key}]" for key in self._each("id")[:3])
            words = [word for word in tokens(self._material.question.subject) if key_terms(word)]
            return f"The passages {ids} speak of {', '.join(dict.fromkeys(words[:6]))}."
        if self._material.grounded:
            return "The passages found do not cover the question."
        return "It repeats what was given." if self._material.sources else "Nothing was given to judge by."

    def _answer(self, field: Field) -> Any:
        around = " ".join(field.parents[-1:])
        if "speaker" in around or "agent" in around:
            return self._agent(field)
        if "instruction" in around or "question" in around:
            return self._material.request.whole
        written = field.says("report", "text", "content", "output", "result", "document")
        if written and self._material.grounded and wants_report(self._material):
            return write_report(self._material)
        return write_answer(self._material)

    def _parts(self, field: Field) -> list[str]:
        """The parts of the task, with what it tells where each is worked on by itself."""
        alone = field.says("task", "tasks", "subtask", "subtasks", "item", "items")
        complete = self._material.request.complete
        return [complete(item.text) if alone else item.text for item in task_items(self._material)]

    def _agent(self, field: Field) -> Any:
        best = self._choices.for_task(self._material.request.task, named_in(field.description, ()))
        return best.option.name if best else UNKNOWN

    def _claims(self) -> list[str]:
        return [cite(plain(quote.text), quote.source) for quote in self._material.quotes]

    def _central(self) -> list[str]:
        return [unit.text for excerpt in central(self._material.given, limit=5) for unit in excerpt.units]

    def _keywords(self) -> list[str]:
        text = self._material.request.inline or self._material.question.subject
        return list(dict.fromkeys(word for word in tokens(text) if key_terms(word)))[:MAX_KEYWORDS]

    def _constraints(self) -> list[str]:
        lines = (line for part in self._material.request.parts("constraints") for line in part.text.splitlines())
        return [line.strip("-* ") for line in lines if line.strip("-* ")]

    def _each(self, name: str) -> list[str]:
        """The sources' `id`, `origin`, `heading` or `place`, in the order of the quotes, each once."""
        found = (str(getattr(quote.source, name)) for quote in self._material.quotes)
        return list(dict.fromkeys(value for value in found if value))

    def _first(self, name: str) -> Any:
        found = self._each(name)
        return found[0] if found else UNKNOWN


def _chosen_for(option: Option, task: str) -> str:
    about = set(key_terms(f"{option.name} {option.about}"))
    shared = [word for word in tokens(task) if set(key_terms(word)) & about]
    if not shared:
        return f"Nothing in the task speaks for one option more than for others; {option.name} is taken for want of a better."
    return f"{option.name} is described with what the task speaks of: {', '.join(dict.fromkeys(shared))}."
