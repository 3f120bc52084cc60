"""What is seen: the tree of agents from any prefix of events, figures without lies, and drawings of graphs."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import orchestra
from graphs.registry import REGISTRY
from nodes import ScriptedChatModel
from orchestra.drawing.diagram import Arrow, Box, Diagram, read_diagram
from orchestra.drawing.layout import Layout, lay_out
from orchestra.drawing.svg import METRICS as PIXELS
from orchestra.drawing.svg import draw_svg
from orchestra.drawing.text import METRICS as CHARACTERS
from orchestra.drawing.text import draw_text
from orchestra.view.agents import AgentTree
from orchestra.view.figures import duration, moment, money, one_line, visible
from orchestra.view.glyphs import ASCII, UNICODE, glyphs_for
from orchestra.view.screen import Screen
from orchestra.view.table import agent_table, totals
from orchestra.view.watching import LineWatch, LiveWatch, SilentWatch, watch_on
from state import ConfigurationError, Context, open_persistence
from state.events import Event

NOW = 1_000_000.0
OK: dict[str, Any] = {"status": "ok", "seconds": 1.5, "error": None}
FAILED: dict[str, Any] = {
    "status": "failed",
    "seconds": 0.5,
    "error": {"type": "ModelTimeoutError", "message": "too slow"},
}


def event(kind: Any, step: str, parent: str = "", *, agent: str = "", **data: Any) -> Event:
    name = agent or step.split("#")[0]
    return Event(kind=kind, run="r", thread="t", agent=name, step=step, parent=parent, seq=0, at=NOW, data=data)


def called(step: str, parent: str = "", *, tokens: int = 10, usd: float | None = 0.01, **data: Any) -> Event:
    return event("model_called", step, parent, input_tokens=tokens, output_tokens=0, usd=usd, **data)


RUN = [
    event("agent_started", "team", task="the task"),
    event("agent_started", "item-1", "team", agent="worker", task="first part"),
    event("agent_started", "item-2", "team", agent="worker", task="second part"),
    event("model_called", "item-1", "team", agent="worker", input_tokens=9, output_tokens=1, usd=0.02, tools=["find"]),
    event("tool_called", "item-1", "team", agent="worker", tool="find"),
    event("model_called", "item-2", "team", agent="worker", input_tokens=30, output_tokens=0, usd=0.01),
    event("agent_finished", "item-2", "team", agent="worker", **FAILED),
    event("agent_finished", "item-1", "team", agent="worker", **OK),
    event("agent_finished", "team", **OK),
    event("agent_started", "writer", task="the task"),
    called("writer", tokens=5, usd=0.5, error="ModelRateLimitError"),
]


def screen(*, terminal: bool = False, quiet: bool = False, height: int = 24) -> tuple[Screen, io.StringIO]:
    written = io.StringIO()
    err = Console(
        file=written, force_terminal=terminal, width=80, height=height, color_system="truecolor" if terminal else None
    )
    return Screen(Console(file=io.StringIO()), err, UNICODE, quiet), written


def rendered(tree: AgentTree, *, glyphs: Any = UNICODE, most: int = 0) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        console.print(agent_table(tree, glyphs, now=NOW + 3, most=most))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_tree_nests_agents_under_their_team_and_adds_up() -> None:
    tree = AgentTree(RUN)
    team, writer = tree.top
    assert [row.name for row in team.below()] == ["team", "worker item-1", "worker item-2"]
    assert [row.state for row in tree.rows()] == ["ok", "ok", "failed", "running"]
    assert [team.used()[0], money(team.used()[1])] == [40, "$0.0300"]
    assert (writer.tokens, writer.trouble) == (5, "ModelRateLimitError")


@pytest.mark.parametrize("length", range(len(RUN) + 1))
def test_every_prefix_of_a_run_can_be_shown_at_80_columns(length: int) -> None:
    for line in rendered(AgentTree(RUN[:length])):
        assert len(line) <= 80


def test_a_row_says_what_the_agent_is_doing() -> None:
    doing = {length: rendered(AgentTree(RUN[:length])) for length in (3, 4, 5, 7, 11)}
    assert "working" in doing[3][2]
    assert "find" in doing[4][2]
    assert "working" in doing[5][2]
    assert "failed: ModelTimeoutError" in doing[7][3]
    assert "trying again after ModelRateLimitError" in doing[11][-1]


def test_an_unknown_price_is_never_shown_as_nothing() -> None:
    tree = AgentTree([event("agent_started", "a"), called("a", usd=None), called("a", usd=0.5)])
    assert "unknown" in rendered(tree)[1]
    assert "cost unknown" in totals(tree, UNICODE, 1.0)
    assert [money(None), money(0.0), money(0.00001), money(0.0123), money(3.0)] == [
        "unknown",
        "$0",
        "<$0.0001",
        "$0.0123",
        "$3.00",
    ]


def test_a_function_has_no_tokens_rather_than_none_used() -> None:
    tree = AgentTree([event("agent_started", "check"), event("agent_finished", "check", **OK)])
    assert rendered(tree)[1].split() == ["✓", "check", "1.5", "s"]


def test_a_step_that_starts_again_takes_the_place_of_its_first_try_and_what_that_spent_stays_counted() -> None:
    killed = [*RUN[:4], *RUN[:2], RUN[7]]
    team = AgentTree(killed).top[0]
    assert [(row.name, row.state, row.tokens) for row in team.below()] == [
        ("team", "running", 0),
        ("worker item-1", "ok", 10),
        ("worker item-2", "running", 0),
    ]


def test_a_new_turn_begins_with_nobody_at_work() -> None:
    tree = AgentTree([*RUN, event("noted", "", note="started"), event("agent_started", "next")])
    assert [row.name for row in tree.rows()] == ["next"]


def test_a_fallback_is_a_row_of_its_own_and_is_paid_once() -> None:
    events = [
        event("agent_started", "writer"),
        called("writer"),
        event("decided", "writer", decision="fallback"),
        event("agent_started", "writer", agent="spare"),
        event("model_called", "writer", agent="spare", input_tokens=7, output_tokens=0, usd=0.01),
        event("agent_finished", "writer", agent="spare", **OK),
        event("agent_finished", "writer", **OK),
    ]
    tree = AgentTree(events)
    assert [(row.agent, row.state) for row in tree.rows()] == [("writer", "ok"), ("spare", "ok")]
    assert "17 tokens" in totals(tree, UNICODE, 1.0)


def test_the_table_fits_the_terminal_by_folding_what_is_done() -> None:
    team = [event("agent_started", "team")]
    for number in range(40):
        team += [
            event("agent_started", f"item-{number}", "team", agent="w"),
            *([event("agent_finished", f"item-{number}", "team", agent="w", **OK)] if number < 37 else []),
        ]
    lines = rendered(AgentTree(team), most=10)
    assert len(lines) <= 11
    assert "more agents" in lines[1]
    assert [line.split()[1:3] for line in lines[-3:]] == [["w", f"item-{number}"] for number in (37, 38, 39)]
    folded = rendered(AgentTree([*team, event("agent_finished", "team", **OK)]), most=10)
    assert len(folded) == 2


def test_what_a_stream_cannot_write_is_replaced_by_ascii() -> None:
    assert glyphs_for(io.TextIOWrapper(io.BytesIO(), encoding="latin-1")) is ASCII
    assert glyphs_for(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) is UNICODE
    for line in rendered(AgentTree(RUN), glyphs=ASCII):
        line.encode("ascii")


def test_nothing_a_model_writes_moves_the_cursor() -> None:
    nasty = "\x1b[2Jhello\x1b]0;title\x07\r\x9b31m\tthere\n"
    assert visible(nasty) == "hello31m\tthere\n"
    assert one_line(nasty) == "hello31m there"
    started = event("agent_started", "item-1", agent="a", task=f"[red]{nasty}")
    [line] = rendered(AgentTree([started, event("agent_finished", "item-1", agent="a", **OK)]))[1:]
    assert "[red]hello31m there" in line


def test_figures_carry_units() -> None:
    spans = (0.034, 0.4, 9.96, 65, 3600 * 2 + 420)
    assert [duration(span) for span in spans] == ["34 ms", "0.4 s", "10 s", "1 m 05 s", "2 h 07 m"]
    assert [moment(NOW - ago, NOW) for ago in (5, 600)] == ["just now", "10 min ago"]


def test_a_pipe_gets_a_sentence_for_each_agent_that_has_ended() -> None:
    shown, written = screen()
    with LineWatch(shown, AgentTree()) as watch:
        for each in RUN:
            watch(each)
    *lines, last = written.getvalue().splitlines()
    assert lines == [
        "worker item-2 failed: 30 tokens, cost $0.0100, 0.5 s. ModelTimeoutError: too slow",
        "worker item-1 finished: 10 tokens, cost $0.0200, 1.5 s.",
        "team finished: 40 tokens, cost $0.0300, 1.5 s.",
    ]
    assert last.startswith("In all: 4 steps, 3 model calls, 1 tool call, 45 tokens, $0.53, ")


def test_a_pipe_is_told_what_people_decided_once_and_where_nobody_did() -> None:
    shown, written = screen()
    told = [
        event("noted", "", note="answered", request="0123456789", decision="edit"),
        event("agent_started", "clerk"),
        event("decided", "clerk", decision="edit", tool="reserve", by="person"),
        event("decided", "clerk", decision="reject", tool="pay", by="time"),
        event("agent_finished", "clerk", **OK),
        event("noted", "", note="answered", request="0123456789", decision="reject"),
        event("agent_started", "foreign"),
        event("agent_finished", "foreign", **OK),
    ]
    with LineWatch(shown, AgentTree()) as watch:
        for each in told:
            watch(each)
    assert [line for line in written.getvalue().splitlines()[:-1] if "finished" not in line] == [
        "A person changed the arguments of reserve.",
        "Nobody answered in time: reject pay.",
        "A person answered request 01234567: reject.",
    ]
    assert "a person changed the arguments of reserve" in rendered(AgentTree(told))[1]


def test_a_terminal_is_drawn_on_and_left_in_order() -> None:
    shown, written = screen(terminal=True)
    with LiveWatch(shown, AgentTree()) as watch:
        for each in RUN:
            watch(each)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())
    assert "worker item-1" in text
    assert "? writer  waiting" in text
    assert written.getvalue().count("\x1b[?25l") == written.getvalue().count("\x1b[?25h") == 1


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = re.compile(r"\x1b\[(?:\d+;)*3[0-7]m")
    for value, found in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", value)
        shown, written = screen(terminal=True)
        with LiveWatch(shown, AgentTree()) as watch:
            for each in RUN:
                watch(each)
        assert bool(coloured.search(written.getvalue())) == found


def test_nothing_is_drawn_for_a_run_in_which_nothing_happens() -> None:
    for terminal in (True, False):
        shown, written = screen(terminal=terminal)
        with watch_on(shown, AgentTree(RUN)):
            pass
        assert written.getvalue() == ""


def stop(watch: LiveWatch) -> None:
    watch(RUN[0])
    raise KeyboardInterrupt


def test_an_interrupted_run_leaves_its_agents_unfinished() -> None:
    shown, _ = screen(terminal=True)
    watch = LiveWatch(shown, AgentTree())
    with pytest.raises(KeyboardInterrupt), watch:
        stop(watch)
    assert [row.state for row in watch.tree.rows()] == ["unfinished"]


def test_the_watch_suits_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [type(watch_on(screen(terminal=t, quiet=q)[0], AgentTree())) for t in (True, False) for q in (False, True)]
    assert kinds == [LiveWatch, SilentWatch, LineWatch, SilentWatch]
    monkeypatch.setenv("TERM", "dumb")
    assert type(watch_on(screen(terminal=True)[0], AgentTree())) is LineWatch


def test_a_recorded_run_shows_the_same_tree_as_a_live_one() -> None:
    live = AgentTree()
    model = ScriptedChatModel(by_agent={"splitter": [{"items": ["x", "y"]}], "assistant": ["of x", "of y"]})
    with open_persistence("memory:") as place:
        graph = REGISTRY["map_reduce"].load().graph
        result = orchestra.start(graph, place, "task", context=Context(model=model), on_event=live.add)
        again = AgentTree(place.events(result.thread))
    assert again.top == live.top
    assert sorted(row.name for row in again.rows()) == ["assistant item-1", "assistant item-2", "splitter"]
    assert sum(row.tokens for row in again.rows()) == result.usage["input_tokens"] + result.usage["output_tokens"]


# Drawings


def boxes_of(layout: Layout) -> list[tuple[float, float, float, float]]:
    return [(b.x - b.width / 2, b.y, b.x + b.width / 2, b.y + b.height) for b in layout.boxes.values()]


@st.composite
def diagrams(draw: st.DrawFn) -> Diagram:
    size = draw(st.integers(1, 9))
    names = [f"n{index}" * draw(st.integers(1, 3)) + str(index) for index in range(size)]
    pairs = draw(st.sets(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=16))
    arrows = tuple(Arrow(source, target, draw(st.booleans())) for source, target in sorted(pairs))
    asked = draw(st.sets(st.sampled_from(names)))
    return Diagram(tuple(Box(n, n, "code") for n in names), arrows, dict.fromkeys(sorted(asked), "verdict?"))


@settings(max_examples=60, deadline=None)
@given(diagrams())
def test_boxes_never_overlap_and_lines_lead_from_box_to_box(diagram: Diagram) -> None:
    for metrics in (PIXELS, CHARACTERS):
        layout = lay_out(diagram, metrics)
        boxes = boxes_of(layout)
        for index, (left, top, right, bottom) in enumerate(boxes):
            assert left >= -0.01
            assert right <= layout.width + 0.01
            assert bottom <= layout.height + 0.01
            for other in boxes[:index]:
                assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom
        for line in layout.lines:
            source, target = layout.boxes[line.arrow.source], layout.boxes[line.arrow.target]
            assert line.points[0] == (source.x, source.y + source.height)
            assert line.points[-1] == (target.x, target.y)
            for (x1, y1), (x2, y2) in zip(line.points, line.points[1:], strict=False):
                assert x1 == x2 or y1 == y2
                for left, top, right, bottom in boxes:
                    inside_x = max(x1, x2) > left + 0.01 and min(x1, x2) < right - 0.01
                    inside_y = max(y1, y2) > top + 0.01 and min(y1, y2) < bottom - 0.01
                    assert not (inside_x and inside_y)


@settings(max_examples=30, deadline=None)
@given(diagrams())
def test_every_box_and_question_can_be_read_in_every_form(diagram: Diagram) -> None:
    ElementTree.fromstring(draw_svg(diagram))
    text = draw_text(diagram)
    for box in diagram.boxes:
        assert re.search(rf"│ +{box.label} +│", text)
    assert text.count("verdict?") == len(diagram.questions)
    draw_text(diagram, ascii_only=True).encode("ascii")


def test_a_loop_and_its_decision_are_drawn_as_such() -> None:
    text = draw_text(read_diagram(REGISTRY["review"].load().graph))
    assert (
        text
        == """\
       start
         ▼
     ┌───────┐
     │ begin │
     └───┬───┘
┌┄┄┄┄┄┄┄┄┤
┆        ▼
┆   ┌─────────┐
┆   │ writer  │
┆   └────┬────┘
┆        ┆ draft?
┆        ├┄┄┄┄┄┄┄┄┄┄┄┄┐
┆        ▼            ┆
▲   ┌─────────┐       ┆
┆   │ critic  │       ┆
┆   └────┬────┘       ┆
┆        ▼            ┆
┆   ┌─────────┐       ┆
┆   │ decide  │       ┆
┆   └────┬────┘       ┆
┆        ┆ verdict?   ┆
└┄┄┄┄┄┄┄┄┤            ┆
         ├┄┄┄┄┄┄┄┄┄┄┄┄┘
         ▼
    ┌─────────┐
    │ finish  │
    └────┬────┘
         ▼
        end"""
    )


def test_teams_are_drawn_inside_their_box_and_agents_with_what_they_are_for() -> None:
    diagram = read_diagram(REGISTRY["research"].load().graph)
    teams = {box.id: box.inner for box in diagram.boxes if box.inner}
    assert set(teams) == {"investigate", "compose"}
    assert teams["compose"] is not None
    assert {box.id: box.note for box in teams["compose"].boxes}["writer"] == "Writes the report."
    svg = ElementTree.fromstring(draw_svg(diagram, title="research"))
    words = {"".join(text.itertext()) for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"investigate", "researcher", "fact_checker", "verdict?", "start", "end"} <= words


@pytest.mark.parametrize("name", REGISTRY)
def test_every_pattern_is_drawn_without_anything_to_load(name: str) -> None:
    picture = orchestra.show(name)
    assert "http" not in picture.svg.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in picture.svg
    for node in REGISTRY[name].load().graph.nodes:
        assert node.strip("_") in picture.text
    dashed = picture.svg.count('class="line dashed"') > 0
    assert dashed == any(edge.conditional for edge in picture.graph.get_graph(xray=True).edges)


def test_show_gives_a_notebook_svg_mermaid_and_text() -> None:
    picture = orchestra.show(REGISTRY["single"].load().build())
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/vnd.mermaid", "text/plain"}
    assert bundle["image/svg+xml"] == picture._repr_svg_()
    assert "assistant --> finish" in bundle["text/vnd.mermaid"]
    assert repr(picture) == bundle["text/plain"]


def test_show_refuses_what_is_no_graph() -> None:
    with pytest.raises(ConfigurationError, match="expected a graph"):
        orchestra.show(42)
    with pytest.raises(ConfigurationError, match="did you mean 'review'"):
        orchestra.show("reviev")
