"""The request: what a list of messages asks, and what it gives to work from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from nodes.engine.decompose import split_task, statements
from nodes.engine.sections import Section, split_sections
from nodes.engine.sentences import sentences
from nodes.engine.words import plain
from tools.passage import CITATION, PASSAGE_ID, Passage, cited_ids, parse_passages

MAX_TEXT = 100_000  # characters of a message that are read
LONG_TASK = 60  # words; of a longer task without sections the first paragraph asks and the rest is material

_PASSAGE = re.compile(r"<passage\s[^<>]*>.*?(?:</passage>|(?=<passage\s)|\Z)", re.DOTALL)
_ASIDE = re.compile(
    r"^\W*(?:guidance|note|hint|message) (?:from|of|by)\b|^\W*guidance\b|"
    r"^(?:your|that|this) (?:(?:previous|last) )?(?:answer|reply|output|response) (?:cannot|could not|was|is|has)\b|"
    r"^(?:please )?(?:answer|try|reply) again\b",
    re.IGNORECASE,
)
_LIST = re.compile(r"\s*(?:[-*•]|\d+[.)])\s")
_WORKS_ON = re.compile(
    r"\b(?:extract|summari[sz]e|classify|condense|parse|translate|rewrite|proofread|analy[sz]e|count|sort|label|rate|identify|"
    r"find|read|review|check|from|following)\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?ms)^(```.*?^```)\s*\[(p:[0-9a-f]{10})\]")
_FAILURE = re.compile(r"^\s*(?:error\b|exception\b|traceback\b|failed\b|[\w.]*error:)", re.IGNORECASE)
_JSON = re.compile(r"(?s)^\s*(?:```(?:json)?\s*)?([\[{].*[\]}])\s*(?:```)?\s*$")


@dataclass(frozen=True)
class Source:
    """Text that can be quoted.

    Attributes:
        id: Passage id that a citation names, "" for text without one.
        origin: Document, agent or tool that it comes from.
        heading: Headings above it.
        text: As given.
        rank: Place in the list it came in, from 0: searches return the best first.
    """

    id: str
    origin: str
    heading: str
    text: str
    rank: int = 0
    place: str = ""


@dataclass(frozen=True)
class Step:
    """A tool call of this turn with what came back; `result` is None while it is not answered."""

    name: str
    args: dict[str, Any]
    result: str | None
    failed: bool = False


@dataclass(frozen=True)
class Request:
    """What the engine was sent, taken apart.

    Attributes:
        system: System prompts, joined.
        asked: The human message that asks, as sent.
        before: Earlier human messages of the conversation, oldest first.
        said: `(name, text)` of what others said since the question, oldest first.
        steps: Tool calls of this turn.
        texts: Every message's text, oldest first.
    """

    system: str
    asked: str
    before: tuple[str, ...] = ()
    said: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()
    texts: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The parts of the message that asks; of the system prompt only what it gives as context."""
        own = split_sections(_PASSAGE.sub("", self.asked))
        given = split_sections(_PASSAGE.sub("", self.system))
        return (*own, *(part for part in given if part.kind == "context"))

    @cached_property
    def task(self) -> str:
        """What is asked, without the material that came with it."""
        return self._halves[0]

    @property
    def inline(self) -> str:
        """The text that the message gives after what it asks, without a header; "" if there is none."""
        return self._halves[1]

    def parts(self, kind: str) -> list[Section]:
        """List the sections of one kind, in order."""
        return [part for part in self.sections if part.kind == kind]

    @cached_property
    def material(self) -> tuple[Section, ...]:
        """Text to work from that is not a passage: context sections, what others said, a text under the question."""
        inline = [Section("context", "", self.inline)] if self.inline else []
        return (*inline, *self.results)

    @cached_property
    def results(self) -> tuple[Section, ...]:
        """What agents and people gave to work from, without what the task itself brings along."""
        said = (Section("context", name, text) for name, text in self.said)
        return (*(part for part in self.sections if part.kind in ("context", "talk")), *said)

    @cached_property
    def talk(self) -> str:
        """What was said in the conversation that the message tells of, white space collapsed; "" without one."""
        return plain(" ".join(part.text for part in self.parts("talk")))

    @cached_property
    def whole(self) -> str:
        """The task with a text that comes with it."""
        return "\n\n".join(part.text for part in self.parts("task")).strip()

    @cached_property
    def told(self) -> tuple[str, ...]:
        """What the task tells beside what it asks, a sentence or a text each."""
        return (*statements(self.task), *([self.inline] if self.inline else []))

    def complete(self, ask: str) -> str:
        """Give a part of the task with what the task tells, so that it can be worked on by itself; all of an only part."""
        if len(split_task(self.task)) == 1:
            return self.whole
        return plain(" ".join([ask if ask.endswith(("?", ".", "!", ":")) or not self.told else f"{ask}.", *self.told]))

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """The passages in all messages, each once; of two versions the longer."""
        found: dict[str, Passage] = {}
        for text in self.texts:
            for passage in parse_passages(text):
                if len(passage.text) > len(found[passage.id].text if passage.id in found else ""):
                    found[passage.id] = passage
        return tuple(found.values())

    @cached_property
    def cited(self) -> tuple[Source, ...]:
        """Sources with an id: the passages, and quotes that others give with a passage's id."""
        ranks: dict[str, int] = {}
        for text in self.texts:
            for i, passage in enumerate(parse_passages(text)):
                ranks[passage.id] = min(i, ranks.get(passage.id, i))
        found = [Source(p.id, p.source, p.heading, p.text, ranks[p.id], p.place) for p in self.passages]
        known = {source.id for source in found}
        quoted: dict[tuple[str, str], list[str]] = {}
        for part in self.material:
            for key, quote in _quotes(part.text):
                if key not in known and all(quote not in texts for texts in quoted.values()):
                    quoted.setdefault((key, _asked(part)), []).append(quote)
        return (*found, *(Source(key, "", about, "\n\n".join(texts)) for (key, about), texts in quoted.items()))

    @cached_property
    def uncited(self) -> tuple[Source, ...]:
        """Sources without an id: what other agents and tools say in their own words."""
        found = [Source("", part.origin, _asked(part), plain_material(part.text)) for part in self.material]
        for step in self.steps:
            if step.result and not step.failed and "<passage" not in step.result:
                found.append(Source("", step.name, "", plain_material(step.result)))
        return tuple(source for source in found if source.text.strip())

    @cached_property
    def _halves(self) -> tuple[str, str]:
        """Split what is asked from a text that follows it: after a blank line, or after a colon at a line's end."""
        text = self.whole
        if len(text.split()) <= LONG_TASK and not re.search(r":\s*\n", text):
            return _inline(text)
        head, gap, rest = text.partition("\n\n")
        if not gap or _LIST.match(rest):
            head, gap, rest = _after_colon(text)
        if gap and _LIST.match(rest) and not _WORKS_ON.search(head):
            return text, ""  # the list is what to do
        if not gap:
            found = sentences(text)
            asking = [s for s in found if s.endswith("?")] or found[:1]
            return " ".join(asking), " ".join(s for s in found if s not in asking)
        question = [s for s in sentences(rest) if s.endswith("?")]
        if question and not head.rstrip().endswith((":", "?")) and len(rest.split()) < len(head.split()):
            return rest.strip(), head.strip()
        return head.strip(), rest.strip()


def read_request(messages: Sequence[BaseMessage]) -> Request:
    """Take a list of messages apart. The last human message that is not an aside asks; what follows it is this turn.

    Of a message at most `MAX_TEXT` characters are read.
    """
    texts = tuple(message.text[:MAX_TEXT] for message in messages)
    humans = [i for i, message in enumerate(messages) if isinstance(message, HumanMessage)]
    asking = [i for i in humans if not _ASIDE.match(texts[i])] or humans
    start = asking[-1] if asking else -1
    turn = [message for message in messages[start + 1 :] if not isinstance(message, SystemMessage)]
    asides = [texts[i] for i in humans if i > start]
    asked = texts[start] if asking else ""
    return Request(
        system="\n\n".join(
            text for text, message in zip(texts, messages, strict=True) if isinstance(message, SystemMessage)
        ),
        asked=asked if asides == [] else asked + "\n\nConstraints:\n" + "\n".join(asides),
        before=tuple(texts[i] for i in humans if i < start),
        said=tuple(_said(turn)),
        steps=tuple(_steps(turn)),
        texts=texts,
    )


def plain_material(text: str) -> str:
    """Turn what an agent or tool gave into text: the strings of a JSON value as paragraphs, other text as it is."""
    value = _json(text)
    return text if value is None else "\n\n".join(_leaves(value))


def _json(text: str) -> Any:
    match = _JSON.match(text)
    try:
        return json.loads(match[1]) if match else None
    except ValueError:
        return None


def _asked(part: Section) -> str:
    """What a part answers, without what its task told beside."""
    return " ".join(split_task(part.about)) if part.about else ""


def _leaves(value: object, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    elif isinstance(value, str):
        if value.strip() and not PASSAGE_ID.fullmatch(value):
            yield value if len(value.split()) > 3 or not name else f"{name}: {value}"
    elif value is not None:
        yield f"{name}: {json.dumps(value)}" if name else json.dumps(value)


def _quotes(text: str) -> Iterator[tuple[str, str]]:
    """Give `(passage id, quote)` for each quote with an id in JSON or in cited prose."""
    if (value := _json(text)) is not None:
        yield from _json_quotes(value)
        return
    for code, key in _CODE.findall(text):
        yield key, code
    for sentence in sentences(re.sub(r"(?m)^\s*(?:[-*]|#+|\d+[.)])\s+", "\n", _CODE.sub("", text))):
        if (keys := cited_ids(sentence)) and "```" not in sentence:
            quote = plain(CITATION.sub("", sentence)).lstrip("> ")
            yield from ((key, quote) for key in keys)


def _json_quotes(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        strings = [inner for inner in value.values() if isinstance(inner, str)]
        keys = [inner.strip("[]") for inner in strings if PASSAGE_ID.fullmatch(inner.strip("[]"))]
        quotes = [inner for inner in strings if inner.strip("[]") not in keys and len(inner.split()) > 2]
        if keys and quotes:
            yield keys[0], max(quotes, key=len) if "quote" not in value else str(value["quote"])
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, str):
            yield from _quotes(inner) if CITATION.search(inner) else ()
        else:
            yield from _json_quotes(inner)


def _said(turn: Sequence[BaseMessage]) -> Iterator[tuple[str, str]]:
    for message in turn:
        if isinstance(message, AIMessage) and not message.tool_calls and message.text.strip():
            yield message.name or "", message.text[:MAX_TEXT]


def _steps(turn: Sequence[BaseMessage]) -> Iterator[Step]:
    results = {message.tool_call_id: message for message in turn if isinstance(message, ToolMessage)}
    for message in turn:
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            answer = results.get(call["id"] or "")
            text = None if answer is None else answer.text[:MAX_TEXT]
            failed = answer is not None and (answer.status == "error" or bool(_FAILURE.match(answer.text[:MAX_TEXT])))
            yield Step(call["name"], dict(call["args"]), text, failed)


def _inline(text: str) -> tuple[str, str]:
    """Split `Summarise: text` and `Extract the name from this text: text`; what is short and has no colon is all task."""
    match = re.match(r"(?s)([^:.?\n]{3,80}):\s+(.{20,})$", text)
    if match is None or re.search(r"\b(?:about|on|question|task|topic)$", match[1], re.IGNORECASE):
        return text, ""
    if re.search(r"\?\s*$", match[2]):
        return text, ""
    return match[1].strip(), match[2].strip()


def _after_colon(text: str) -> tuple[str, str, str]:
    match = re.match(r"(?s)(.*?):[ \t]*\n(.*)$", text)
    return (match[1] + ":", "\n", match[2]) if match else (text, "", "")
