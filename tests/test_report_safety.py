"""What others wrote stays text on the page of a report: no markup, no secret, no page without an end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

import report_example
from orchestra import Report
from orchestra.inbox import OpenRequest
from orchestra.reporting.figures import agent_figures
from orchestra.reporting.markup import excerpt, tag
from orchestra.reporting.material import Material
from orchestra.reporting.page import page
from orchestra.request import Action
from orchestra.tracing import read_trace
from report_material import NOW, RUN, Read, begun, called, ended, event, made_of, noted, shown
from state import Context, open_persistence
from state.audit import Draft
from state.persistence import Persistence

NASTY = (
    '"><script>alert(1)</script>',
    "</script><script>alert(1)</script>",
    "</style></title></svg></textarea><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "]]><![CDATA[<b>",
    "<!-- --><iframe src=//evil.example>",
    "&lt;script&gt;&#x3c;script&#x3e;",
    "\x00\x1b[31m\x07\u202egnp.exe\u2066\ud800",
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as opened:
        yield opened


def nasty_material(text: str) -> Material:
    """Return material with the same text wherever somebody else's can be."""
    data: Mapping[str, Any] = {"tool": text, "reason": text, text: text, "list": [text, {"name": text}]}
    error = {"type": text, "message": text, "retryable": False}
    events = [
        noted(0, note="started", task=text),
        begun(
            text, 0.1, who=text, task=text, sender=text, given={text: 3, "tools": [text], "deep": {text: {text: text}}}
        ),
        called(text, 1.0, None, who=text, model=text, error=text, tools=[text]),
        event("tool_called", text, 1.5, who=text, tool=text, status=text, arguments=[text], seconds=0.1),
        event("decided", text, 1.6, who=text, decision=text, **data),
        event("planned", "", 1.7, who=text, plan={"subtasks": [{"id": text, "agent": text, "depends_on": [text]}]}),
        ended(text, 2, who=text, status=text, error=error, output=text, model=text, version=text),
    ]
    request = OpenRequest(
        id=text,
        description=text,
        allowed=("approve",),
        actions=(Action(name=text, args={text: text}),),
        agent=text,
        thread=text,
        asked=NOW,
        expires=NOW + 1,
        default=text,
    )
    messages: list[AnyMessage] = [
        HumanMessage(text, name=text),
        AIMessage(text, tool_calls=[{"name": text, "args": {text: text}, "id": "1", "type": "tool_call"}]),
        ToolMessage(text, name=text, tool_call_id="1", status="error"),
    ]
    facts = {
        "thread": text,
        "graph": text,
        "task": text,
        "status": text,
        "reason": text,
        "created": NOW,
        "updated": NOW,
    }
    about = Draft(
        kind="denial",
        subject=text,
        outcome=text,
        key="k",
        detail=text,
        agent=text,
        step=text,
        names=(text,),
        taint=(text,),
    )
    with open_persistence("memory:") as kept:
        record = kept.trail.append(about)
    moments = [replace_moment(text)]
    return Material(
        trace=read_trace(events, facts=facts, audit=[record]),
        as_of=NOW,
        model=text,
        answer=f"{text}\n\n# {text}\n\n`{text}`\n\n> {text}",
        status=text,
        reason=text,
        requests=[request],
        messages=messages,
        moments=moments,
        checkpoints=1,
        gaps=[text],
        options=["--db", text],
    )


def replace_moment(text: str) -> Any:
    return report_example.moments()[0].model_copy(update={"checkpoint": text, "next": (text,)})


HARMLESS = Read(report_example.example_page())
PLAIN = Read(page(nasty_material("plain"), []))


@pytest.mark.parametrize("text", NASTY)
def test_nothing_that_others_wrote_becomes_markup(text: str) -> None:
    material = nasty_material(text)
    whole = page(material, agent_figures(material.trace.spans()))
    whole.encode("utf-8")
    read = Read(whole)
    known = {name for name, _ in (*HARMLESS.elements, *PLAIN.elements)} | {"strong", "hr"}
    assert {name for name, _ in read.elements} <= known
    names = {key for _, attributes in (*HARMLESS.elements, *PLAIN.elements) for key in attributes}
    assert {key for _, attributes in read.elements for key in attributes} <= names
    assert len(read.all("script")) == len(read.all("style")) == 1
    assert all(str(each["href"]).startswith("#") for each in read.all("a"))
    for control in ("\x00", "\x1b", "\x07", "\u202e", "\u2066", "\ud800"):
        assert control not in whole
    told = excerpt(text).text
    assert told in "".join(read.words)


@settings(max_examples=40)
@given(st.text(st.characters() | st.sampled_from("<>&\"'`\u202e\ud800\x00]![(#|-"), max_size=60))
def test_no_text_gets_out_of_where_it_stands(text: str) -> None:
    read = Read(tag("p", tag("b", text, title=text)))
    assert read.elements == [("p", {}), ("b", {"title": excerpt(text).text.replace("\r", "\n")})]
    assert "".join(read.words) == excerpt(text).text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[here](javascript:alert(1))", "[here](javascript:alert(1))"),
        ("[here](data:text/html,x)", "[here](data:text/html,x)"),
        ("![picture](https://evil.example/x.png)", "! picture"),
        ("<b onclick=x>bold</b>", "<b onclick=x>bold</b>"),
        ('<https://a.example/?a=1&b="2>', 'https://a.example/?a=1&b="2'),
    ],
)
def test_an_answer_brings_no_scripts_pictures_or_markup(text: str, said: str) -> None:
    read = shown(made_of(RUN, answer=text))
    assert said in read.text
    assert not read.all("img")
    for link in read.all("a"):
        assert str(link["href"]).startswith(("#", "https://"))


def test_an_answer_is_laid_out_below_the_headings_of_the_page() -> None:
    whole = Report(made_of(RUN, answer="# Title\n\n- one\n- **two**\n\n| a | b |\n|---|--:|\n| 1 | 2 |")).html
    assert "<h3>Title</h3>" in whole
    assert "<strong>two</strong>" in whole
    assert "<td>2</td>" in whole


def test_names_with_underscores_stay_as_they_are_in_an_answer() -> None:
    whole = Report(
        made_of(RUN, answer='"__class__", __init__ and `__name__` of ___x___, a_b_c, _this_ and **that**')
    ).html
    assert '"__class__", __init__ and <code>__name__</code> of ___x___, a_b_c' in unescape(whole)
    assert "<em>this</em> and <strong>that</strong>" in whole


def test_a_secret_is_in_no_report_wherever_it_was(place: Persistence) -> None:
    secret = "s3cr3t-canary-5e1f0c"
    context = Context(secrets={"door": secret})
    material = nasty_material(f"before {secret} after")
    assert context.secrets
    whole = page(material, agent_figures(material.trace.spans()))
    assert secret not in whole
    assert "before [redacted] after" in whole
    for length in (4_000, 80):  # where texts and names are cut
        far = "x" * (length - 10) + secret
        cut = made_of([*RUN, begun(far, 2, who=far), ended(far, 3, who=far)], messages=[HumanMessage(far)])
        assert secret[:6] not in Report(cut).html


def test_a_text_of_ten_megabytes_is_cut_and_said_to_be() -> None:
    huge = "<b>&\u202e" * 2_000_000
    material = made_of(RUN, answer=huge, messages=[HumanMessage(huge), AIMessage(huge)])
    material.trace.task = huge
    whole = Report(material).html
    assert len(whole) < 1_500_000
    assert "9,940,000 more characters are not shown." in Read(whole).text


def test_a_long_conversation_shows_its_beginning_and_its_end() -> None:
    messages: list[AnyMessage] = [HumanMessage(f"message {number}.") for number in range(500)]
    text = shown(made_of(RUN, messages=messages)).text
    assert "message 19. 300 messages between are not shown. person message 320." in text


def test_a_hundred_teams_in_each_other_are_a_page() -> None:
    events = [RUN[0]]
    for depth in range(200):
        events.append({**begun(f"s{depth}", depth / 100), "parent": f"s{depth - 1}" if depth else ""})
    assert "s199" in shown(made_of(events, status="unfinished")).text


def test_a_thread_of_two_thousand_steps_says_how_much_it_leaves_out() -> None:
    events = [RUN[0]]
    for number in range(2_000):
        events += [begun(f"clerk#{number}", number), ended(f"clerk#{number}", number + 0.5)]
    text = shown(made_of(events)).text
    assert "500 more steps not shown here." in text
    assert "500 more steps not told here." in text
