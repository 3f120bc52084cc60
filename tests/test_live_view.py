"""What is seen while a run goes on: the shape of its pattern, its plan, its budget, and the same in plain sentences."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

import orchestra
from cases import HAPPY, says
from graphs import parallel, plan_execute, review, sequential, supervisor
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, ScriptedChatModel
from orchestra.request import Action, Request
from orchestra.result import RunResult
from orchestra.view.agents import AgentTree
from orchestra.view.budget import budget_bar, spent_of
from orchestra.view.ending import show_heading, show_requests
from orchestra.view.glyphs import ASCII, UNICODE, Glyphs
from orchestra.view.screen import Screen, open_screen
from orchestra.view.shape import Shape, read_shape
from orchestra.view.table import agent_table, frame
from orchestra.view.watching import LineWatch
from state import Budget, Context, open_persistence
from state.events import Event
from state.outcome import no_usage

NOW = 1_000_000.0
PICTURES = Path(__file__).parent.parent / "docs" / "pictures"


def event(kind: Any, step: str, parent: str = "", *, agent: str = "", at: float = NOW, **data: Any) -> Event:
    name = agent or step.split("#")[0]
    return Event(kind=kind, run="r", thread="t", agent=name, step=step, parent=parent, seq=0, at=at, data=data)


def begins(step: str, parent: str = "", *, agent: str = "", at: float = NOW, task: str = "") -> Event:
    return event("agent_started", step, parent, agent=agent, at=at, task=task)


def calls(
    step: str, parent: str = "", *, agent: str = "", tokens: int = 10, usd: float | None = 0.01, **data: Any
) -> Event:
    return event("model_called", step, parent, agent=agent, input_tokens=tokens, output_tokens=0, usd=usd, **data)


def ends(step: str, parent: str = "", *, agent: str = "", seconds: float = 1.0, **data: Any) -> Event:
    told = {"status": "ok", "error": None, **data}
    return event("agent_finished", step, parent, agent=agent, seconds=seconds, **told)


def seen(
    tree: AgentTree, shape: Shape | None = None, *, glyphs: Glyphs = UNICODE, width: int = 80, most: int = 0
) -> list[str]:
    """Return the lines of the table without its heading and its figures."""
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(agent_table(tree, glyphs, now=NOW + 5, most=most, shape=shape))
    return [re.split(r"   +\S*\d", line)[0].rstrip() for line in captured.get().splitlines()[1:]]


def plain_screen() -> tuple[Screen, io.StringIO]:
    written = io.StringIO()
    err = Console(file=written, width=80, force_terminal=False)
    return Screen(Console(file=io.StringIO()), err, UNICODE, plain=True), written


# The shape


def test_who_has_not_worked_yet_is_seen_from_the_start_side_by_side() -> None:
    ann, bob = says("ann", "a"), Agent("bob", "Doubts everything.")
    assert seen(AgentTree(), read_shape(parallel.build([ann, bob]).compile())) == [
        "┌ ○ ann",
        "└ ○ bob  Doubts everything.",
    ]


def test_a_loop_is_bracketed_and_tells_its_round() -> None:
    shape = read_shape(review.build(Agent("writer"), [Agent("editor"), Agent("lawyer")]).compile())
    run = [
        *(begins("writer"), ends("writer"), begins("editor"), begins("lawyer")),
        *(ends("editor", output='{"verdict": "revise", "issues": ["short"]}'), ends("lawyer"), begins("writer#2")),
    ]
    assert seen(AgentTree(run), shape) == [
        "╭▸   ⠋ writer  round 2  working",
        "│  ┌ ✓ editor  revise",
        "╰─ └ ✓ lawyer",
    ]


def test_a_supervisor_shows_whom_it_asked_and_who_has_the_turn() -> None:
    shape = read_shape(supervisor.build([Agent("ann"), Agent("bob")], supervisor=Agent("lead")).compile())
    run = [
        begins("lead"),
        ends("lead", output='{"agent": "bob", "task": "' + "x" * 490),
        begins("bob"),
        begins("bob#2"),
    ]
    assert seen(AgentTree(run), shape) == [
        "╭▸   ✓ lead  asks bob",
        "│  ┌ ○ ann",
        "│  ├ ⠋ bob  working",
        "╰─ └ ⠋ bob #2  working",
    ]


def test_specialists_that_a_router_did_not_choose_are_said_to_be_so() -> None:
    shape = read_shape(REGISTRY["router"].load().graph)
    run = [begins("router"), ends("router", output='{"agents": ["writer"], "confidence": 1.0}'), begins("writer")]
    assert seen(AgentTree(run), shape) == [
        "  ✓ router  asks writer",
        "┌ ○ assistant  not chosen",
        "└ ⠋ writer  working",
    ]


def test_a_debate_is_a_loop_from_its_second_round_on() -> None:
    shape = read_shape(REGISTRY["debate"].load().graph)
    first = [begins("proponent"), begins("opponent"), ends("proponent"), ends("opponent")]
    assert seen(AgentTree(first), shape)[0] == "┌ ✓ proponent"
    assert seen(AgentTree([*first, begins("opponent#2")]), shape)[:2] == [
        "╭▸ ┌ ✓ proponent",
        "╰─ └ ⠋ opponent ×2  working",
    ]


def test_whoever_holds_a_conversation_is_seen_and_who_handed_it_over() -> None:
    shape = read_shape(REGISTRY["handoff"].load().graph)
    over = event("handed_off", "assistant", to="writer", reason="It has to be written.")
    run = [begins("assistant"), over, ends("assistant"), begins("writer")]
    assert seen(AgentTree(run), shape) == ["╭▸ ✓ assistant  hands over to writer", "╰─ ⠋ writer  working"]


def test_a_manager_of_several_nodes_stands_alone_and_not_beside_itself() -> None:
    shape = read_shape(REGISTRY["magentic"].load().graph)
    run = [begins("plan", agent="manager"), ends("plan", agent="manager"), begins("progress", agent="manager")]
    assert [line[:4] for line in seen(AgentTree(run), shape)] == ["╭▸  ", "│   ", "│  ┌", "╰─ └"]


def test_teams_have_the_shape_of_their_own_graph_below_them() -> None:
    inner = review.build(Agent("writer"), [Agent("critic")]).compile(name="desk")
    shape = read_shape(sequential.build([Agent("finder"), inner]).compile())
    run = [begins("finder"), ends("finder"), begins("desk"), begins("writer", "desk")]
    assert seen(AgentTree(run), shape) == [
        "✓ finder",
        "⠋ desk",
        "  ╭▸ ⠋ writer  working",
        "  ╰─ ○ critic",
    ]
    assert seen(AgentTree(run[:2]), shape)[1:] == ["○ desk", "  ╭▸ ○ writer", "  ╰─ ○ critic"]


@pytest.mark.parametrize("name", HAPPY)
def test_every_pattern_can_be_watched_from_its_first_event_to_its_last(name: str) -> None:
    events: list[Event] = []
    with open_persistence("memory:") as place, ScriptedChatModel(by_agent=HAPPY[name]) as model:
        graph = REGISTRY[name].load().graph
        orchestra.start(graph, place, "task", context=Context(model=model), on_event=events.append)
    shape, tree, worked = read_shape(graph), AgentTree(), set[str]()
    assert len(shape.spots) > 0
    for each in events:
        tree.add(each)
        worked |= {each["agent"]} if each["kind"] == "agent_started" else set()
        lines = seen(tree, shape)
        ascii_lines = seen(tree, shape, glyphs=ASCII)
        assert len(lines) == len(ascii_lines)
        "".join(ascii_lines).encode("ascii")
        for line in lines:
            assert len(line) <= 80
        for agent in worked:
            assert any(agent in line for line in lines)


@pytest.mark.parametrize("name", [name for name in REGISTRY if REGISTRY[name].is_team])
def test_every_team_has_a_shape(name: str) -> None:
    assert len(seen(AgentTree(), read_shape(REGISTRY[name].load().graph))) >= 3


def test_a_fallback_stands_below_the_one_it_stands_in_for() -> None:
    shape = read_shape(sequential.build([Agent("writer"), Agent("checker")]).compile())
    run = [begins("writer"), begins("writer", agent="spare"), ends("writer", agent="spare"), ends("writer")]
    assert seen(AgentTree(run), shape) == ["✓ writer", "✓ spare writer", "○ checker"]


def test_agents_that_wait_are_folded_before_any_that_works() -> None:
    shape = read_shape(parallel.build([Agent(f"a{number}") for number in range(30)]).compile())
    run = [begins("a3"), begins("a29"), begins("a1"), ends("a1")]
    lines = seen(AgentTree(run), shape, most=8)
    assert len(lines) <= 8
    assert "more agents" in lines[0]
    assert [line for line in lines if "working" in line] == ["┌ ⠋ a3  working", "└ ⠋ a29  working"]


def test_more_agents_at_work_than_there_is_room_for_are_counted() -> None:
    lines = seen(AgentTree([begins(f"item-{number}", agent="w") for number in range(50)]), most=10)
    assert len(lines) == 10
    assert lines[-1] == "… 41 more agents"


def test_an_agent_at_work_several_times_at_once_has_a_line_for_each() -> None:
    run = [begins("w", at=NOW - 2), begins("w#2", at=NOW - 1), ends("w"), ends("w#2"), begins("w#3", at=NOW + 1)]
    assert seen(AgentTree(run)) == ["⠋ w ×2  working", "✓ w #2"]


# Plans


LAMP: dict[str, Any] = {
    "facts": ("researcher", "What the maker says of the lamp", [], 20),
    "prices": ("researcher", "What three shops ask for it", [], 25),
    "claims": ("tester", "Which claims the lab report proves", ["facts"], 30),
    "page": ("copywriter", "Write the product page", ["claims", "prices"], 15),
    "sign_off": ("editor", "Would you publish this page?", ["page"], 60),
}
PLAN = {
    "subtasks": [
        {"id": name, "agent": agent, "task": task, "depends_on": needs, "estimate": {"seconds": seconds}}
        for name, (agent, task, needs, seconds) in LAMP.items()
    ]
}
SECONDS = {name: float(seconds) for name, (_, _, _, seconds) in LAMP.items()}


def lamp_shape() -> Shape:
    workers: list[Agent | HumanAgent] = [
        Agent("researcher", "Finds facts in documents and shops."),
        Agent("tester", "Holds claims against the lab report."),
        Agent("copywriter", "Writes the page."),
        HumanAgent("editor", "Signs off."),
    ]
    return read_shape(plan_execute.build(workers, planner=Agent("planner"), synthesizer=Agent("joiner")).compile())


def stands(name: str, standing: str) -> Event:
    return event("progressed", "", agent="plan", subtask=name, standing=standing)


def done(name: str, at: float, seconds: float, tokens: int, usd: float) -> Iterator[Event]:
    agent = LAMP[name][0]
    yield stands(name, "running")
    yield begins(name, agent=agent, at=at, task=LAMP[name][1])
    yield calls(name, agent=agent, tokens=tokens, usd=usd)
    yield ends(name, agent=agent, seconds=seconds)
    yield stands(name, "done")


def lamp_run() -> list[Event]:
    """Return the events of a plan until two of its subtasks are done and one is at work."""
    return [
        begins("planner", at=NOW - 34),
        calls("planner", tokens=1204, usd=0.0031),
        ends("planner", seconds=4.2),
        event("planned", "", agent="plan", plan=PLAN, seconds=SECONDS),
        *done("facts", NOW - 29, 18.1, 8120, 0.0203),
        *done("prices", NOW - 29, 22.6, 9480, 0.0237),
        stands("claims", "running"),
        begins("claims", agent="tester", at=NOW - 8, task=LAMP["claims"][1]),
        calls("claims", agent="tester", tokens=2210, usd=0.0055, tools=["read_report"]),
    ]


def lamp_pause() -> list[Event]:
    """Return the events of the same plan until a person is asked."""
    return [
        *lamp_run()[:-3],
        *done("claims", NOW - 8, 26.4, 12980, 0.0325),
        *done("page", NOW, 11.9, 6350, 0.0159),
        stands("sign_off", "running"),
        begins("sign_off", agent="editor", task=LAMP["sign_off"][1]),
        stands("sign_off", "paused"),
    ]


def test_a_plan_shows_what_waits_for_what_and_what_all_hangs_on() -> None:
    lines = seen(AgentTree(lamp_run()), lamp_shape(), width=100)
    assert lines == [
        "  ✓ planner",
        "    plan  2 of 5 done, critical path ▸ about 1 m 45 s",
        "  ✓ facts  researcher  What the maker says of the lamp",
        "  ✓ prices  researcher  What three shops ask for it",
        "▸ ⠋ claims  tester  ← facts  read_report",
        "▸ ○ page  copywriter  ← claims, prices  Write the product page",
        "▸ ○ sign_off  editor  ← page  Would you publish this page?",
        "  ○ joiner",
    ]


def test_a_subtask_that_waits_for_a_person_says_so() -> None:
    lines = seen(AgentTree(lamp_pause()), lamp_shape())
    assert "▸ ? sign_off  editor  ← page  waits for a person" in lines


def test_before_there_is_a_plan_those_it_could_be_given_to_are_seen() -> None:
    assert seen(AgentTree(), lamp_shape())[1:5] == [
        "┌ ○ researcher  Finds facts in documents and shops.",
        "├ ○ tester  Holds claims against the lab report.",
        "├ ○ copywriter  Writes the page.",
        "└ ○ editor  Signs off.",
    ]


def test_what_nobody_measured_is_counted_and_not_timed() -> None:
    unmeasured = event("planned", "", agent="plan", plan=PLAN, seconds=dict.fromkeys(SECONDS, 1.0))
    assert "    plan  0 of 5 done, critical path ▸ 4 more" in seen(AgentTree([unmeasured]))


@pytest.mark.parametrize("data", [{}, {"plan": {}}, {"plan": PLAN, "seconds": {}}, {"plan": PLAN, "seconds": None}])
def test_a_plan_that_cannot_be_read_leaves_the_one_before_in_place(data: dict[str, Any]) -> None:
    tree = AgentTree([*lamp_run(), event("planned", "", agent="plan", **data)])
    assert "claims" in "".join(seen(tree))


def test_a_plan_inside_a_team_stands_below_the_team() -> None:
    planned = event("planned", "", "team", agent="plan", plan=PLAN, seconds=SECONDS)
    lines = seen(AgentTree([begins("team"), planned, begins("facts", "team", agent="researcher")]))
    assert lines[0] == "⠋ team"
    assert lines[1].startswith("    ") and "0 of 5 done" in lines[1]  # noqa: PT018  # one line, two parts


def test_a_question_that_is_asked_while_others_work_can_be_answered_when_they_have_ended() -> None:
    console = Console(file=io.StringIO(), width=80)
    tree = AgentTree([begins("boss"), begins("writer"), event("paused", "boss")])
    with console.capture() as captured:
        console.print(frame(tree, UNICODE, now=NOW, seconds=1.0))
    *_, last = captured.get().splitlines()
    assert "? boss  waiting" in captured.get()
    assert last.strip() == "1 step waiting for you: answer when those at work have ended"


def test_without_a_shape_a_plan_stands_where_it_began() -> None:
    lines = seen(AgentTree([*lamp_pause(), begins("joiner", at=NOW + 1)]))
    assert [line.split()[0] for line in lines[:2]] == ["✓", "plan"]
    assert lines[-1].endswith("joiner  working")


@pytest.mark.parametrize(
    ("more", "is_hidden"), [({}, True), ({"to": "mallory"}, False), ({"estimate": {"usd": 9.0}}, False)]
)
def test_a_person_is_not_told_a_plan_twice_and_is_told_whatever_else_will_be_done(
    more: dict[str, Any], is_hidden: bool
) -> None:
    shown, written = plain_screen()
    subtasks = [{"id": "a", "agent": "clerk", "task": "Look.", "constraints": [], "estimate": {"usd": None}, **more}]
    action = Action(name="run_plan", args={"subtasks": subtasks, "limit": {"usd": 1}})
    asked = Request(id="5f3a9c1e77", description="- a, clerk: Look.", allowed=("approve",), actions=(action,))
    show_requests(shown, RunResult(thread="t", status="waiting", usage=no_usage(), interrupts=(asked,)), [])
    assert ("subtasks" not in written.getvalue()) == is_hidden
    assert 'limit: {"usd": 1}' in written.getvalue()


# Budgets


def test_a_budget_shows_the_limit_that_is_nearest_as_a_bar() -> None:
    tree = AgentTree([begins("a"), calls("a", tokens=800, usd=0.1)])
    spent = spent_of(Budget(tokens=1000, usd=1.0, model_calls=4), tree, 3.0)
    assert (
        budget_bar(spent, UNICODE)
        == "budget ████████░░ 80% · $0.10 of $1.00 · 800 of 1,000 tokens · 1 of 4 model calls"
    )
    assert budget_bar(spent, ASCII).startswith("budget ########.. 80% - ")
    assert budget_bar(spent_of(None, tree, 3.0), UNICODE) == ""


def test_money_of_unknown_price_is_at_least_what_is_known() -> None:
    tree = AgentTree([begins("a"), calls("a", usd=0.1), begins("b"), calls("b", usd=None)])
    assert [one.words for one in spent_of(Budget(usd=0.5), tree, 1.0)] == ["at least $0.10 of $0.50"]


# In sentences


def test_a_plan_and_a_handover_are_told_in_sentences() -> None:
    shown, written = plain_screen()
    with LineWatch(shown, AgentTree(), budget=Budget(tokens=50000)) as watch:
        for each in [*lamp_run()[:9], event("handed_off", "a", to="b", reason="It has\nto be")]:
            watch(each)
    told = " ".join(written.getvalue().split())
    assert "planner finished: 1,204 tokens, cost $0.0031, 4.2 s." in told
    assert "The plan has 5 subtasks: facts by researcher; prices by researcher; claims by tester after facts; " in told
    assert "page by copywriter after claims and prices;" in told
    assert "a hands over to b: It has to be" in told
    assert "Of the budget: 9,324 of 50,000 tokens." in told


def test_silence_is_broken_by_who_is_at_work() -> None:
    shown, written = plain_screen()
    watch = LineWatch(shown, AgentTree())
    with watch:
        for each in lamp_run():
            watch(each)
        written.truncate(0)
        watch.remind(NOW)
    assert "At work: tester claims for 8.0 s (read_report)." in written.getvalue()


def test_nothing_is_said_of_who_is_at_work_when_nobody_is() -> None:
    shown, written = plain_screen()
    with LineWatch(shown, AgentTree([begins("a"), ends("a")])) as watch:
        watch.remind(NOW)
    assert written.getvalue() == ""


@pytest.mark.parametrize(("name", "value"), [("ORCHESTRA_PLAIN", "1"), ("TERM", "dumb")])
def test_plain_can_be_asked_for_by_the_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.delenv("ORCHESTRA_PLAIN", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not open_screen().plain
    monkeypatch.setenv(name, value)
    shown = open_screen()
    assert (shown.plain, shown.is_live, shown.err.is_terminal) == (True, False, False)


def test_plain_says_in_a_sentence_what_runs() -> None:
    shown, written = plain_screen()
    show_heading(shown, "research", "t-1", "openai:gpt-5-mini")
    assert written.getvalue() == "research runs in thread t-1. Model: openai:gpt-5-mini.\n"


# Pictures


_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; \
font-size: {char_height}px; line-height: {line_height}px }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own loads a font from the network."""


def picture(events: list[Event], seconds: float, *, width: int = 80, asked: tuple[Request, ...] = ()) -> str:
    """Return what a terminal shows of a run, as SVG."""
    console = Console(
        record=True,
        width=width,
        height=40,
        force_terminal=True,
        color_system="truecolor",
        file=io.StringIO(),
        highlight=False,
        _environ={},
    )
    shown, tree = Screen(console, console, UNICODE), AgentTree(events)
    console.print(Text.assemble(("$ ", "green"), 'orchestra run launch.yaml "Is the Lumo lamp ready for the shop?"'))
    show_heading(shown, "launch", "launch-3fa21c", "openai:gpt-5-mini")
    spent = spent_of(Budget(tokens=120_000, usd=0.50), tree, seconds)
    console.print(frame(tree, UNICODE, now=NOW, seconds=seconds, spent=spent, shape=lamp_shape()))
    show_requests(shown, RunResult(thread="launch-3fa21c", status="waiting", usage=no_usage(), interrupts=asked), [])
    svg = console.export_svg(title="orchestra", theme=SVG_EXPORT_THEME, code_format=_SVG, unique_id="terminal")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def pictures() -> dict[str, str]:
    """Return the pictures of the README by their file."""
    page = "Publish this page? It says: 40 hours on one charge (proved), 300 grams (proved)."
    allowed: Any = ("approve", "edit", "reject")
    action = Action(name="publish", args={"page": "pages/lumo.md"}, description=page, allowed=allowed)
    request = Request(id="5f3a9c1e77", description=page, allowed=allowed, actions=(action,))
    return {
        "terminal.svg": picture(lamp_run(), 34.0),
        "terminal-waiting.svg": picture(lamp_pause(), 78.0, asked=(request,)),
        "terminal-wide.svg": picture(lamp_run(), 34.0, width=140),
    }


@pytest.mark.parametrize("name", ["terminal.svg", "terminal-waiting.svg", "terminal-wide.svg"])
def test_the_pictures_of_the_terminal_show_what_it_shows(name: str) -> None:
    drawn = pictures()[name]
    if os.environ.get("ORCHESTRA_WRITE_PAGES"):
        (PICTURES / name).write_text(drawn, encoding="utf-8")
    ElementTree.fromstring(drawn)
    assert "url(http" not in drawn
    assert (PICTURES / name).read_text(encoding="utf-8") == drawn, "ORCHESTRA_WRITE_PAGES=1 writes it anew"
