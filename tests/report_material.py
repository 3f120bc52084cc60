"""Material for reports, made of a few events, and what a browser would make of a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from orchestra import Report
from orchestra.reporting.material import Material
from orchestra.tracing import read_trace
from state.events import Event, EventKind

NOW = 1_000_000.0
VOID = {"meta", "link", "br", "hr", "img"}


class Read(HTMLParser):
    """What a browser would make of a page: elements with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "elements that nobody closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for element, attributes in self.elements if element == name]


def event(kind: EventKind, step: str, after: float, parent: str = "", /, **data: Any) -> Event:
    agent, run = str(data.pop("who", step.partition("#")[0])), str(data.pop("run", "r1"))
    return Event(
        kind=kind, run=run, thread="t", agent=agent, step=step, parent=parent, seq=0, at=NOW + after, data=data
    )


def called(step: str, after: float, usd: float | None = 0.01, /, **data: Any) -> Event:
    told = {
        "model": "openai:gpt-5-mini",
        "seconds": 0.5,
        "input_tokens": 10,
        "output_tokens": 5,
        "usd": usd,
        "tools": [],
    }
    return event("model_called", step, after, **{**told, **data})


def ended(step: str, after: float, **data: Any) -> Event:
    told = {"status": "ok", "attempts": 1, "seconds": 1.0, "error": None, "output": "done"}
    return event("agent_finished", step, after, **{**told, **data})


def begun(step: str, after: float, **data: Any) -> Event:
    return event("agent_started", step, after, **{"task": "go", "sender": "user", **data})


def noted(after: float, **data: Any) -> Event:
    return event("noted", "", after, run="", **data)


def made_of(events: list[Event], *, status: str = "completed", as_of: float = 60.0, **more: Any) -> Material:
    facts = {"thread": "t", "graph": "desk", "task": "Do it.", "status": status, "created": NOW, "updated": NOW + 9}
    return Material(trace=read_trace(events, facts=facts), as_of=NOW + as_of, status=status, **more)


def shown(material: Material) -> Read:
    return Read(Report(material).html)


RUN = [noted(0, note="started", task="Do it."), begun("clerk", 0.1), called("clerk", 1.0), ended("clerk", 1.1)]
