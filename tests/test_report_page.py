"""What is on the page of a report: all that it needs, honest figures, and time from left to right."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import report_example
from cases import says
from graphs import single
from orchestra import Report, report, start
from orchestra.inbox import OpenRequest
from orchestra.reporting.course import courses
from orchestra.reporting.scale import Scale
from orchestra.request import Action
from report_material import NOW, RUN, Read, begun, called, ended, event, made_of, noted, shown
from state import Budget, open_persistence
from state.audit import Draft
from state.persistence import Persistence


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as opened:
        yield opened


# What a page is


def test_a_page_needs_nothing_else_and_lets_nothing_else_in() -> None:
    whole = report_example.example_page()
    read = Read(whole)
    links = [str(attributes.get("href", "")) for _, attributes in read.elements if "href" in attributes]
    assert links
    assert {link[0] for link in links} == {"#", "d"}
    assert [link for link in links if not link.startswith("#")] == ["data:,"]
    assert not [name for name, attributes in read.elements if "src" in attributes or "style" in attributes]
    assert "@import" not in whole
    assert not re.search(r"url\((?!#)", whole)


def test_only_its_own_style_and_script_are_allowed_by_their_hashes() -> None:
    whole = report_example.example_page()
    (policy,) = [each["content"] for each in Read(whole).all("meta") if each.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for name in ("style", "script"):
        (text,) = re.findall(f"<{name}>(.*?)</{name}>", whole, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_every_link_in_a_page_leads_somewhere_and_every_id_is_there_once() -> None:
    read = Read(report_example.example_page())
    ids = [str(attributes["id"]) for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    leads = {
        str(attributes["href"])[1:]
        for _, attributes in read.elements
        if str(attributes.get("href", "")).startswith("#")
    }
    assert leads <= set(ids)
    used = set(re.findall(r"url\(#([\w-]+)\)", report_example.example_page()))
    assert used
    assert used <= set(ids)


def test_a_page_can_be_read_without_seeing_it() -> None:
    read = Read(report_example.example_page())
    assert read.elements[0] == ("html", {"lang": "en"})
    assert len(read.all("h1")) == 1
    assert all(head.get("scope") in ("col", "row") for head in read.all("th"))
    assert len(read.all("caption")) == len(read.all("table"))
    drawings = [each for each in read.all("svg") if each.get("aria-hidden") is None and "role" in each]
    assert len(drawings) == 6  # a row for each step, and the table around them says the same in words
    assert len(read.all("desc")) == len(drawings)
    assert ("a", {"href": "#content", "class": "skip"}) in read.elements


def test_the_same_material_gives_the_same_page() -> None:
    assert report_example.example_page() == report_example.example_page()


def test_the_page_of_a_thread_without_a_single_event_is_a_page() -> None:
    read = shown(made_of([], status=""))
    assert "There is none." in read.text
    assert "Nothing was said." not in read.text


# What it says


def test_an_unknown_price_is_never_nothing() -> None:
    free = shown(made_of([*RUN[:2], called("clerk", 1, 0.0), ended("clerk", 2)])).text
    assert "Cost $0 Tokens" in free
    unknown = shown(made_of([*RUN[:2], called("clerk", 1, None), ended("clerk", 2)])).text
    assert "Cost unknown Tokens" in unknown
    both = made_of([*RUN[:2], called("clerk", 1, 0.25), called("clerk", 1.5, None), ended("clerk", 2)])
    assert "Cost at least $0.25 Tokens" in shown(both).text
    assert [row["usd"] for row in Report(both).agents] == [None]


def test_agents_are_summed_over_their_steps_and_the_sums_over_the_agents() -> None:
    events = [noted(0, note="started", task="x"), begun("team", 0)]
    for number, name in enumerate(("ann", "bob", "ann#2")):
        for each in (
            begun(name, number),
            called(name, number + 0.5, tools=["find"]),
            ended(name, number + 1, attempts=2),
        ):
            events.append({**each, "parent": "team", "agent": name[:3]})
    failed = event("tool_called", "bob", 2.6, "team", tool="find", status="error", seconds=0.1, who="bob")
    material = made_of([*events, failed, ended("team", 3)])
    rows = {row["agent"]: row for row in Report(material).agents}
    assert [rows["team"][key] for key in ("is_team", "steps", "model_calls", "usd")] == [True, 1, 0, 0.0]
    assert [rows["ann"][key] for key in ("steps", "model_calls", "input_tokens", "output_tokens")] == [2, 2, 20, 10]
    assert (rows["ann"]["attempts"], rows["ann"]["usd"], rows["bob"]["errors"]) == (4, 0.02, 1)
    assert "All 4 3 1 30 15 $0.0300" in shown(material).text


def test_a_wait_over_night_is_folded_and_hatched() -> None:
    material = report_example.material()
    (course,) = courses(material.trace, material.as_of)
    assert [(round(pause.end - pause.start, 1), pause.why) for pause in course.pauses] == [(56209.5, "person")]
    scale = Scale(course.busy())
    (fold,) = scale.folds
    assert fold.width < 5
    assert scale.at(report_example.BEGAN) == 0
    assert scale.at(course.end) == pytest.approx(100)
    assert fold.left + fold.width < scale.at(report_example.BEGAN + report_example.NIGHT + 1) < 100
    whole = report_example.example_page()
    assert whole.count('class="person"') == 2  # in the legend, and in the step that was open
    assert "waited for a person, 15 h 36 m" in whole


def test_a_run_that_was_killed_and_taken_up_again_shows_when_nobody_ran_it() -> None:
    events = [*RUN[:3], begun("clerk", 30, run="r2"), called("clerk", 31, run="r2"), ended("clerk", 31.2, run="r2")]
    material = made_of(events)
    (course,) = courses(material.trace, material.as_of)
    assert [(pause.start, pause.end, pause.why) for pause in course.pauses] == [(NOW + 1, NOW + 30, "stopped")]
    assert "no process ran it, 29 s" in Report(material).html
    assert "2 tries" in shown(material).text


def test_two_runs_that_take_turns_are_no_pause() -> None:
    events = [
        *RUN[:2],
        called("clerk", 0.5),
        begun("peer", 0.6, run="r2"),
        called("clerk", 1),
        ended("peer", 1.1, run="r2"),
    ]
    material = made_of([*events, ended("clerk", 1.2)])
    assert courses(material.trace, material.as_of)[0].pauses == []


def test_a_thread_that_waits_says_with_which_commands_it_goes_on() -> None:
    request = OpenRequest(
        id="0123456789ab",
        description="Pay **all** of it back?",
        allowed=("approve", "reject"),
        actions=(Action(name="refund", args={"cents": 3850}),),
        thread="t",
        asked=NOW + 2,
        expires=NOW + 30,
        default="reject",
    )
    waiting = made_of(RUN[:3], status="waiting", as_of=20, requests=[request], options=["--db", "sqlite:///a b.db"])
    read = shown(waiting)
    assert "orchestra approve t --db 'sqlite:///a b.db'" in read.text
    assert "orchestra reject t --db 'sqlite:///a b.db' --message \"...\"" in read.text
    assert "cents 3850" in read.text
    assert "If nobody answers (1970-01-12 13:47:10 UTC): reject." in read.text
    assert "Its time ran out" in shown(replace(waiting, as_of=NOW + 31)).text
    program = shown(replace(waiting, options=None)).text
    assert "orchestra.answer(graph, persistence, 't', 'approve', request=\"01234567\")" in program
    assert "orchestra approve" not in program


def test_a_thread_that_runs_is_told_as_far_as_it_is() -> None:
    read = shown(made_of(RUN[:3], status="running", as_of=10))
    assert "▶ running" in read.text
    assert "It is still running." in read.text
    assert "As of 1970-01-12 13:46:50 UTC" in read.text
    assert " 9.9 s " in read.text


def test_a_thread_that_broke_off_says_how_it_goes_on() -> None:
    assert "orchestra resume t" in shown(made_of(RUN[:3], status="unfinished")).text


def test_what_failed_is_told_apart_from_what_was_got_over() -> None:
    error = {"type": "ModelTimeoutError", "message": "too slow", "retryable": True}
    events = [*RUN[:2], called("clerk", 0.5, 0.0, error="ModelRateLimitError"), called("clerk", 1), ended("clerk", 1.1)]
    events += [begun("slow", 2), ended("slow", 3, status="timed_out", error=error)]
    text = shown(made_of(events, status="partial")).text
    assert "clerk got over it: failed calls: ModelRateLimitError" in text
    assert "slow timed out: ModelTimeoutError: too slow" in text


def test_a_broken_audit_trail_is_said_to_be_broken(place: Persistence) -> None:
    place.trail.append(Draft(kind="effect", subject="pay", outcome="done", key="k", thread="t"))
    start(single.build(says("clerk", "done")).compile(name="desk"), place, "go", thread="t")
    sound = report(place, "t")
    assert "is unchanged and complete" in Read(sound.html).text
    broken = sound.material.trace.audit[0]
    object.__setattr__(broken, "outcome", "refused")
    with place.trail._place.transaction(write=True) as execute:
        execute("DROP TRIGGER orchestra_audit_update", ())
        execute("UPDATE orchestra_audit SET outcome = 'refused' WHERE subject = 'pay'", ())
    found = report(place, "t")
    assert "Broken: record 1 does not have the hash of what it says" in Read(found.html).text
    assert found.to_json()["audit"]["verified"] is False


def test_what_an_agent_was_given_is_told_as_names_and_sizes() -> None:
    given = {
        "prompt": 412,
        "context": {"records": 842, "notes": None},
        "tools": ["find", "pay"],
        "memory": {"messages": 3},
    }
    text = shown(made_of([RUN[0], begun("clerk", 0, given=given), ended("clerk", 1)])).text
    for said in ("prompt 412 characters", "context: records 842 characters", "context: notes", "tools find, pay"):
        assert said in text
    assert "memory: messages 3 " in text


def test_a_budget_is_told_with_what_was_left_of_it() -> None:
    material = made_of(RUN, budget=Budget(model_calls=20, usd=0.5, seconds=90))
    assert "20 model calls, 1 m 30 s, $0.50" in shown(material).text
    material.trace.budget_left = {"r1": {"model_calls": 11, "usd": 0.49}}
    assert "20 model calls (11 left), 1 m 30 s, $0.50 ($0.49 left)" in shown(material).text


def test_without_the_state_the_conversation_is_told_by_the_steps() -> None:
    text = shown(made_of(RUN)).text
    assert (
        "Read from the beginnings of the texts that steps were given and gave. person Do it. agent clerk done" in text
    )


# The scale

times = st.floats(0, 1e6, allow_nan=False)


@settings(max_examples=60)
@given(st.lists(st.tuples(times, times).map(lambda pair: (min(pair), max(pair))), min_size=1, max_size=12))
def test_time_goes_from_left_to_right_and_stays_on_the_page(busy: list[tuple[float, float]]) -> None:
    scale = Scale(busy)
    points = sorted({point for pair in busy for point in pair})
    places = [scale.at(point) for point in points]
    assert places == sorted(places)
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert sum(piece.width for piece in scale.pieces) == pytest.approx(100)
    assert all(-1e-6 <= tick.x <= 100 + 1e-6 for tick in scale.ticks())
    assert len(scale.ticks()) <= 2 * len(scale.pieces) + 8
