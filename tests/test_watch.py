"""Watching a run: what a notebook is shown while it lasts and keeps afterwards, and what a result says of itself."""

from __future__ import annotations

import asyncio
import pickle
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from graphs import parallel, plan_execute, sequential, single
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import Step, call
from orchestra import awatch, compare, resume, start, watch
from orchestra.jupyter.live import LiveTable
from orchestra.result import RunResult
from orchestra.view.agents import AgentTree
from state import ConfigurationError, Context, UnknownThread, open_persistence
from state.events import Event
from state.outcome import no_usage

EVIL = "<script>alert('x')</script> & \x1b[31m <b onload=1>"


class Shown:
    """A notebook's output area: what was displayed, and what took its place."""

    def __init__(self) -> None:
        self.frames: list[dict[str, str]] = []
        self.displays = 0

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> SimpleNamespace:
        assert raw
        assert display_id
        self.displays += 1
        self.frames.append(bundle)
        return SimpleNamespace(update=self.update)

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.frames.append(bundle)

    @property
    def html(self) -> str:
        return self.frames[-1]["text/html"]

    @property
    def text(self) -> str:
        return self.frames[-1]["text/plain"]


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Stand in the kernel of a notebook."""
    shown = Shown()
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=shown.display))
    return shown


class Page(HTMLParser):
    """Tags and texts of a piece of a page; refuses what is not well nested."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(markup)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("br", "rect"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def words(markup: str) -> str:
    """Return what a reader sees of a page."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", markup, flags=re.DOTALL).split())


def says(name: str, *steps: Any, **options: Any) -> Agent:
    return Agent(name, model=ScriptedChatModel(list(steps), stands_for="openai:gpt-5-mini"), **options)


def chain(*agents: Any) -> Any:
    return sequential.build(list(agents)).compile(name="chain")


def test_a_run_is_drawn_in_one_place_and_its_last_state_stays(notebook: Shown) -> None:
    run = watch(chain(says("ann", "one"), says("bob", "two")), "Count.", thread="drawn")
    assert run.answer == "two"
    assert notebook.displays == 1
    assert "chain · completed · thread drawn" in notebook.text
    assert re.findall(r"^(\w+) +✓ ok", notebook.text, re.MULTILINE) == ["ann", "bob"]
    assert "chain · ✓ completed · thread drawn" in words(notebook.html)
    assert "2 steps · 2 model calls" in words(notebook.html)


def test_what_is_drawn_first_is_drawn_while_the_run_lasts(notebook: Shown) -> None:
    watch(chain(says("ann", "one"), says("bob", "two")), "Count.")
    assert "running" in notebook.frames[0]["text/plain"]
    assert "running" not in notebook.text


def test_many_events_are_drawn_few_times(notebook: Shown) -> None:
    def event(number: int) -> Event:
        data = {"task": "t"}
        return Event(
            kind="agent_started",
            run="r",
            thread="t",
            agent="a",
            step=f"a#{number}",
            parent="",
            seq=1,
            at=1.0,
            data=data,
        )

    table = LiveTable("many", "t", AgentTree())
    for number in range(2000):
        table(event(number))
    assert len(notebook.frames) < 200
    markup = table.bundle()["text/html"]
    assert len(re.findall(r"<tr>", markup)) < 220
    assert "1,800 more steps done" in words(markup)


def test_a_run_in_a_running_loop_gives_the_same(notebook: Shown) -> None:
    async def both() -> tuple[RunResult, RunResult]:
        waited = await awatch(chain(says("ann", "one"), says("bob", "two")), "Count.", thread="looped")
        return waited, watch(chain(says("ann", "one"), says("bob", "two")), "Count.", thread="blocking")

    waited, blocking = asyncio.run(both())
    assert waited.answer == blocking.answer == "two"
    assert notebook.displays == 2


def test_a_pause_says_who_asks_and_the_call_that_answers(notebook: Shown) -> None:
    graph = chain(says("ann", "a draft"), HumanAgent("editor"))
    paused = watch(graph, "Write.", thread="asks")
    assert paused.status == "waiting"
    assert "editor asks" in words(notebook.html)
    assert "watch(graph, thread='asks', decision='respond', message=\"...\")" in unescaped(notebook.html)
    done = watch(graph, thread="asks", decision="respond", message="Better.")
    assert done.answer == "Better."
    assert "completed" in notebook.text


def test_calls_before_a_pause_are_still_counted_after_it(notebook: Shown) -> None:
    def pay(euros: int) -> str:
        """Pay."""
        return "paid"

    clerk = says("clerk", call("pay", euros=5), "Done.", tools=[pay], policy=Policy(approve=("pay",)))
    graph = single.build(clerk).compile(name="desk")
    watch(graph, "Pay 5.", thread="counted")
    assert "clerk asks: clerk wants to use pay. euros: 5" in words(notebook.html)
    run = watch(graph, thread="counted", decision="approve")
    used = run.usage
    assert f"2 model calls · 1 tool call · {used['input_tokens'] + used['output_tokens']:,} tokens" in notebook.text
    assert (run.agents["clerk"].model_calls, run.agents["clerk"].tool_calls) == (2, 1)


def test_where_a_persistence_is_given_the_call_that_answers_names_it(notebook: Shown) -> None:
    with open_persistence("memory:") as persistence:
        paused = watch(chain(HumanAgent("editor")), "Write.", thread="named", persistence=persistence)
        assert "watch(graph, persistence=persistence, thread='named', " in paused._repr_mimebundle_()["text/plain"]


def test_a_thread_goes_on_with_its_next_task_without_naming_a_persistence(notebook: Shown) -> None:
    model = ScriptedChatModel(["Hello Ada.", "Ada."])
    graph = single.build(Agent("friend", model=model)).compile(name="friend")
    watch(graph, "I am Ada.", thread="turns")
    watch(graph, "Who am I?", thread="turns")
    assert [message.text for message in model.requests[1].messages if message.type == "human"] == [
        "I am Ada.",
        "Who am I?",
    ]
    assert "1 step" in notebook.text


def test_a_run_that_breaks_off_is_shown_as_it_stood(notebook: Shown) -> None:
    class Gone(BaseException):
        pass

    async def breaks(task: str) -> str:
        raise Gone

    graph = chain(says("ann", "one"), breaks)
    with pytest.raises(Gone):
        asyncio.run(awatch(graph, "Count.", thread="broken"))
    assert "unfinished" in notebook.text
    assert "what was finished is kept" in words(notebook.html)
    assert re.search(r"ann +✓ ok", notebook.text)


def test_a_run_that_is_interrupted_goes_on_where_it_was(notebook: Shown) -> None:
    entered: list[int] = []
    going: list[asyncio.Task[RunResult]] = []

    async def slow(task: str) -> str:
        entered.append(1)
        if len(entered) == 1:
            going[0].cancel()
            await asyncio.sleep(30)
        return "two"

    async def interrupted() -> None:
        going.append(asyncio.create_task(awatch(graph, "Count.", thread="interrupted")))
        with pytest.raises(asyncio.CancelledError):
            await going[0]

    first = ScriptedChatModel(["one"])
    graph = chain(Agent("ann", model=first), slow)
    asyncio.run(interrupted())
    assert "broken off: interrupted" in words(notebook.html)
    assert watch(graph, thread="interrupted").answer == "two"
    assert len(first.requests) == 1


def test_what_is_refused_before_it_runs_shows_no_table(notebook: Shown) -> None:
    with pytest.raises(UnknownThread):
        watch("single", thread="nobody knows it")
    assert notebook.frames == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a task to start, or a thread to go on with"),
        ({"task": "t", "thread": "x", "decision": "approve"}, "a task or a decision, got both"),
        ({"decision": "approve"}, "a task to start, or a thread"),
        ({"task": " "}, "task: expected a question"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        watch("single", **given)


@pytest.mark.parametrize("graph", [None, 7, object(), {"a": 1}])
def test_what_is_no_graph_is_refused(graph: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a graph, a builder, the name"):
        watch(graph, "t")


def test_a_name_a_builder_and_a_graph_can_be_watched(notebook: Shown) -> None:
    builder = single.build(says("ann", "one", "two"))
    assert watch(builder, "Count.").answer == "one"
    assert watch(builder.compile(name="ann"), "Count.").answer == "two"
    context = Context(model=ScriptedChatModel(["three"]))
    assert watch("single", "Count.", context=context).answer == "three"


def test_a_team_file_is_watched_with_the_context_that_it_asks_for(notebook: Shown, tmp_path: Path) -> None:
    file = tmp_path / "duo.yaml"
    file.write_text(
        "name: duo\ndescription: Two.\npattern: sequential\nbudget: {model_calls: 1}\n"
        "agents:\n  ann: {prompt: Say one.}\n  bob: {prompt: Say two.}\n"
    )
    run = watch(str(file), "Count.")
    assert run.status == "stopped"
    assert "BudgetExceeded" in run.failures
    assert "duo · stopped" in notebook.text


def test_everything_that_somebody_wrote_is_escaped(notebook: Shown) -> None:
    async def evil(task: str) -> str:
        raise ValueError(EVIL)

    graph = parallel.build([says("ann", EVIL), evil]).compile(name="evil")
    run = watch(graph, EVIL, thread="evil <i>")
    for markup in (notebook.html, run._repr_mimebundle_()["text/html"], run.agents._repr_html_()):
        page = Page(markup)
        assert not {"script", "i onload", "img"} & set(page.tags)
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "\x1b" not in markup
    assert "<script>alert(&#x27;x&#x27;)</script>" not in notebook.html
    assert "\x1b" not in notebook.text


def test_nothing_is_loaded_and_no_colour_is_set_for_the_page(notebook: Shown) -> None:
    run = watch(chain(says("ann", "one")), "Count.")
    for markup in (notebook.html, run._repr_mimebundle_()["text/html"], compare({"one": run})._repr_html_()):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|background:\s*(?:#fff|white)", markup)
        selectors = re.findall(r"(?:^|\})([^{}]+)\{", "".join(re.findall(r"<style>(.*?)</style>", markup, re.DOTALL)))
        assert selectors
        assert all(one.strip().startswith(".orchestra") for selector in selectors for one in selector.split(","))


def test_a_terminal_is_shown_lines_instead(capsys: pytest.CaptureFixture[str]) -> None:
    run = watch(chain(says("ann", "one"), says("bob", "two")), "Count.")
    assert run.answer == "two"
    told = capsys.readouterr().err
    assert "ann" in told
    assert "bob" in told
    assert "<table" not in told


def test_watching_works_where_ipython_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert watch(chain(says("ann", "one")), "Count.").answer == "one"


def test_the_agents_of_a_run_add_up_to_what_it_used() -> None:
    inner = sequential.build([says("ann", "one"), says("bob", "two")]).compile(name="team")
    with open_persistence("memory:") as persistence:
        run = start(chain(inner, says("eve", "three")), persistence, "Count.")
    rows = run.agents
    assert [row.agent for row in rows] == ["team", "ann", "bob", "eve"]
    assert rows["team"].model_calls == 0
    assert sum(row.model_calls for row in rows) == run.usage["model_calls"] == 3
    assert sum(row.input_tokens for row in rows) == run.usage["input_tokens"]
    assert sum(row.usd or 0 for row in rows) == pytest.approx(run.usage["usd"])
    assert [row.steps for row in rows] == [1, 1, 1, 1]
    with pytest.raises(KeyError, match="no agent 'zoe' in this run; there is 'team'"):
        rows["zoe"]


def test_the_row_of_an_agent_has_its_steps_attempts_and_errors() -> None:
    flaky = ScriptedChatModel([ConnectionError("gone"), "a"], stands_for="openai:gpt-5-mini")
    broken = ScriptedChatModel([ValueError("no")], stands_for="openai:gpt-5-mini")
    agents = [Agent("ann", model=flaky, policy=Policy(backoff=0.0)), Agent("bob", model=broken)]
    with open_persistence("memory:") as persistence:
        run = start(parallel.build(agents).compile(name="two"), persistence, "Go.")
    assert (run.agents["ann"].attempts, run.agents["ann"].errors) == (2, ())
    assert run.agents["bob"].errors == ("ValueError",)
    assert "ValueError" in repr(run.agents)
    assert "ValueError" in words(run.agents._repr_html_())


def test_a_fallback_agent_and_the_one_it_stood_in_for_are_counted_once_each() -> None:
    deputy = says("deputy", "I do it.")
    clerk = says("clerk", ValueError("no"), policy=Policy(fallback=(deputy,), max_attempts=1))
    with open_persistence("memory:") as persistence:
        run = start(single.build(clerk).compile(name="desk"), persistence, "Go.")
    assert {row.agent: (row.steps, row.model_calls) for row in run.agents} == {"deputy": (1, 1), "clerk": (1, 1)}
    assert run.usage["model_calls"] == 2


def test_a_run_without_agents_has_an_empty_table() -> None:
    run = RunResult(thread="t", status="unfinished", usage=no_usage())
    assert len(run.agents) == 0
    assert "agent" in repr(run.agents)
    Page(run.agents._repr_html_())
    Page(run._repr_mimebundle_()["text/html"])


def test_a_report_is_made_from_the_result_of_every_function_that_runs() -> None:
    graph = chain(says("ann", "one"), HumanAgent("editor"))
    with open_persistence("memory:") as persistence:
        first = start(graph, persistence, "Count.", thread="t")
        again = resume(graph, persistence, "t")
        assert "ann" in repr(first.report())
        assert "ann" in repr(again.report())


def test_a_result_that_no_run_gave_says_how_to_get_its_report() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("use orchestra.report(persistence, 't')")):
        RunResult(thread="t", status="completed", usage=no_usage()).report()


def test_results_compare_pickle_and_dump_without_what_they_come_from() -> None:
    with open_persistence("memory:") as persistence:
        run = start(chain(says("ann", "one")), persistence, "Count.", thread="t")
        same = RunResult.model_validate(run.model_dump())
        assert same == run
        assert pickle.loads(pickle.dumps(run)) == run
        assert "origin" not in run.model_dump_json()
        assert run.model_copy(update={"reason": "r"}).origin.persistence is persistence


def test_a_card_shows_answer_and_agents_and_cuts_what_is_too_long() -> None:
    with open_persistence("memory:") as persistence:
        run = start(chain(says("ann", "ü" * 9000)), persistence, "Count.")
    shown = run._repr_mimebundle_()
    assert "5,000 characters more in result.answer" in words(shown["text/html"])
    assert "1 agent, thread" in words(shown["text/html"])
    assert shown["text/plain"].startswith("completed · thread")


def test_runs_are_compared_by_what_they_took(notebook: Shown) -> None:
    one = watch(chain(says("ann", "one")), "Count.")
    two = watch(chain(says("ann", "one"), says("bob", "two " * 50)), "Count.")
    table = compare({"one <b>": one, "two": two})
    assert re.search(r"^one <b> +completed +1 +1 ", repr(table), re.MULTILINE)
    assert re.search(r"^two +completed +2 +2 ", repr(table), re.MULTILINE)
    page = Page(table._repr_html_())
    assert "b" not in page.tags
    widths = [float(value or 0) for name, value in page.attributes if name == "width"][1:]
    assert widths[0] < widths[1]


def test_runs_are_compared_after_their_database_was_closed() -> None:
    with open_persistence("memory:") as persistence:
        run = start(chain(says("ann", "one")), persistence, "Count.")
    assert re.search(r"^one +completed +1 +1 +\d+ +<\$0.0001$", repr(compare({"one": run})), re.MULTILINE)


@pytest.mark.parametrize("runs", [[], [1], {"a": 1}, None])
def test_only_results_by_name_can_be_compared(runs: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected results by name"):
        compare(runs)


def test_a_plan_with_a_part_that_hangs_is_shown_with_why(notebook: Shown) -> None:
    parts = [{"id": "a", "task": "Do a.", "agent": "slow", "depends_on": []}]
    parts += [{"id": "b", "task": "Do b.", "agent": "quick", "depends_on": []}]
    slow = says("slow", Step("late", delay=5.0), policy=Policy(timeout=0.05))
    graph = plan_execute.build([slow, says("quick", "done")], planner=says("planner", *[{"subtasks": parts}] * 3))
    run = watch(graph.compile(name="plan"), "Go.", thread="plan", context=Context(max_replans=0))
    assert run.status == "partial"
    assert "timed out" in words(notebook.html)
    assert "quick" in words(notebook.html)


def unescaped(markup: str) -> str:
    from html import unescape

    return unescape(markup)
