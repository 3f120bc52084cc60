"""Attempts: retries, repairs and fallbacks share one bound, whatever mix of failures comes, and some errors end all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.exceptions import ModelAPIError, ModelAuthenticationError, ModelRateLimitError
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.pregel.remote import RemoteGraph
from pydantic import BaseModel

from graphs import parallel, sequential, single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.layers.retry import retry_after, seconds_to_wait
from nodes.scripted import Step, call, calls
from state import Budget, Context, Outcome
from state.errors import PersistenceError, ScriptError, StorageUnavailable


class City(BaseModel):
    """A city."""

    name: str
    people: int


class Town(BaseModel):
    """A town."""

    town: str


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def run(agent: Any, **context: Any) -> Outcome:
    result = single.build(agent).compile(name="g").invoke({"task": "t"}, context=Context(**context))
    outcome: Outcome = result["outcomes"][0]
    return outcome


def kind_of(outcome: Outcome) -> str:
    return outcome["error"]["type"] if outcome["error"] else ""


FAILURES: dict[str, Callable[[], Any]] = {
    "busy": lambda: ModelRateLimitError("429"),
    "down": lambda: ModelAPIError("503"),
    "key": lambda: ModelAuthenticationError("401"),
    "reset": lambda: ConnectionResetError("reset"),
    "bug": lambda: ValueError("bug"),
    "late": lambda: TimeoutError("the client's own"),
    "empty": lambda: "",
    "cut": lambda: Step("half", finish_reason="length"),
    "filtered": lambda: Step("", finish_reason="content_filter"),
    "refused": lambda: Step("", refusal="no"),
    "shape": lambda: "no JSON at all",
}
kinds = st.sampled_from([*FAILURES, "good"])
scripts = st.lists(st.lists(kinds, min_size=6, max_size=6), min_size=1, max_size=4)


def model_of(script: list[str]) -> ScriptedChatModel:
    return ScriptedChatModel([FAILURES[kind]() if kind in FAILURES else City(name="B", people=1) for kind in script])


@settings(deadline=None)
@given(scripts, st.integers(1, 6), st.booleans())
def test_no_mix_of_failures_takes_more_attempts_than_the_policy_allows(
    drawn: list[list[str]], most: int, structured: bool
) -> None:
    models = [model_of(script) for script in drawn]
    policy = Policy(max_attempts=most, fallback=tuple(models[1:]), backoff=0)
    outcome = run(Agent("a", model=models[0], response_format=City if structured else None, policy=policy))
    counts = [len(model.requests) for model in models]
    assert 1 <= sum(counts) <= most
    assert outcome["attempts"] == outcome["usage"]["model_calls"] == sum(counts)
    good = "shape" if not structured else "good"
    taken = [script[:count] for script, count in zip(drawn, counts, strict=True)]
    answered = any(part and (part[-1] == "good" or part[-1] == good) for part in taken)
    assert (outcome["status"] == "ok") == answered
    assert all(kind not in ("good", good) for part in taken for kind in part[:-1])
    assert all(count or not any(counts[at:]) for at, count in enumerate(counts)), "a fallback was passed over"


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 3), st.sampled_from(["busy", "empty", "bug", "shape"]))
def test_an_attempt_is_kept_back_for_each_fallback_model(most: int, fallbacks: int, kind: str) -> None:
    models = [model_of([kind] * 6) for _ in range(fallbacks + 1)]
    policy = Policy(max_attempts=most, fallback=tuple(models[1:]), backoff=0)
    run(Agent("a", model=models[0], response_format=City, policy=policy))
    tried = [bool(model.requests) for model in models]
    assert tried == [at < most for at in range(fallbacks + 1)]


@pytest.mark.parametrize(("budget", "expected"), [(1, [1, 0, 0]), (2, [2, 0, 0]), (3, [2, 1, 0])])
def test_a_budget_that_ends_among_the_fallbacks_ends_the_step(budget: int, expected: list[int]) -> None:
    models = [model_of(["busy"] * 6), model_of(["key"] * 6), model_of(["good"])]
    policy = Policy(max_attempts=4, fallback=tuple(models[1:]), backoff=0, budget=Budget(model_calls=budget))
    outcome = run(Agent("a", model=models[0], policy=policy))
    assert (outcome["status"], kind_of(outcome)) == ("stopped", "BudgetExceeded")
    assert [len(model.requests) for model in models] == expected


def test_a_fallback_that_cannot_be_loaded_is_passed_over() -> None:
    policy = Policy(fallback=("nobody:nothing", model_of(["good"])), backoff=0)
    outcome = run(Agent("a", model=model_of(["key"]), policy=policy, response_format=City))
    assert (outcome["status"], outcome["attempts"]) == ("ok", 2)


@pytest.mark.parametrize(
    "error", [StorageUnavailable("disk full", location="x.db"), PersistenceError("gone"), ScriptError("too often")]
)
def test_errors_of_the_run_go_through_retries_fallbacks_and_tools(error: Exception) -> None:
    @tool
    def failing() -> str:
        """Fail."""
        raise error

    second = model_of(["good"])
    in_model = Agent("a", model=ScriptedChatModel([error]), policy=Policy(fallback=(second,)))
    in_tool = Agent("a", model=ScriptedChatModel([call("failing"), "unused"]), tools=[failing])

    async def in_function(task: str) -> str:
        raise error

    for agent in (in_model, in_tool, in_function):
        with pytest.raises(type(error)):
            run(agent)
    assert second.requests == []


def test_an_agent_that_cancels_itself_has_failed_and_its_siblings_go_on() -> None:
    async def confused(task: str) -> str:
        raise asyncio.CancelledError

    graph = parallel.build([confused, Agent("b", model=ScriptedChatModel(["fine"]))]).compile(name="p")
    result = graph.invoke({"task": "t"})
    assert [(o["status"], kind_of(o)) for o in result["outcomes"]] == [("ok", ""), ("failed", "CancelledError")]
    assert (result["answer"], result["status"]) == ("fine", "partial")


# --- waits


def test_waits_double_up_to_a_bound_and_vary() -> None:
    waits = [[seconds_to_wait(ModelAPIError("503"), n, backoff=0.5) or 0.0 for _ in range(50)] for n in range(1, 8)]
    for at, several in enumerate(waits):
        full = min(8.0, 0.5 * 2**at)
        assert all(full / 2 <= wait <= full for wait in several)
        assert len(set(several)) > 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("2.5", 2.5),
        ("-3", 0.0),
        ("soon", None),
        ("", None),
        ("nan", 0.0),
        (None, None),
        ("inf", float("inf")),
    ],
)
def test_what_a_provider_asks_for_is_read_from_its_answer(header: str | None, seconds: float | None) -> None:
    error = ModelRateLimitError("429")
    headers = {} if header is None else {"retry-after": header}
    error.response = SimpleNamespace(headers=headers)  # type: ignore[attr-defined]  # as clients set it
    assert retry_after(error) == seconds


def test_a_date_to_come_back_at_is_read_as_seconds_from_now() -> None:
    error = ModelRateLimitError("429")
    for seconds, least, most in ((20, 10, 20), (-100, 0, 0), (3600, 3000, 3600)):
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        error.response = SimpleNamespace(headers={"retry-after": at})  # type: ignore[attr-defined]  # as clients set it
        found = retry_after(error)
        assert found is not None
        assert least <= found <= most


def test_no_wait_is_begun_that_a_deadline_would_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.layers.timeout.time.time", lambda: 1000.0)
    model = model_of(["busy", "good"])
    outcome = run(Agent("a", model=model, policy=Policy(backoff=8.0)), deadline=1001.0)
    assert (outcome["status"], len(model.requests)) == ("failed", 1)


# --- answers


@pytest.mark.parametrize(
    ("steps", "attempts"),
    [
        (["", call("add", a=1, b=2), "3"], 3),
        ([call("add", a=1, b=2), "", "3"], 3),
        ([calls(call("add", a=1, b=2), text="first"), Step("", refusal="no"), "3"], 3),
    ],
)
def test_a_repaired_answer_may_ask_for_a_tool(steps: list[Any], attempts: int) -> None:
    with ScriptedChatModel(steps) as model:
        outcome = run(Agent("a", model=model, tools=[add]))
    assert (outcome["status"], outcome["output"], outcome["attempts"]) == ("ok", "3", attempts)


@pytest.mark.parametrize(
    ("response_format", "steps", "structured"),
    [
        (ProviderStrategy(City), ['{"name": "B", "people": 1}'], {"name": "B", "people": 1}),
        (ProviderStrategy(City), ["prose", '{"name": "B", "people": 1}'], {"name": "B", "people": 1}),
        (City | Town, [call("Town", town="T")], {"town": "T"}),
        (City | Town, [call("City", name="B"), call("Town", town="T")], {"town": "T"}),
        (
            {"title": "t", "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            ['{"b": 1}', call("t", a="x")],
            {"a": "x"},
        ),
        (City, ['Braces {first} {"name": 1} then {"name": "B", "people": 2}'], {"name": "B", "people": 2}),
        (
            City,
            [calls(call("City", name="A", people=1), call("City", name="B", people=2)), City(name="C", people=3)],
            {"name": "C", "people": 3},
        ),
    ],
)
def test_every_way_to_ask_for_structure_gives_it(response_format: Any, steps: list[Any], structured: Any) -> None:
    with ScriptedChatModel(steps) as model:
        outcome = run(Agent("a", model=model, response_format=response_format))
    assert (outcome["status"], outcome["structured"], outcome["attempts"]) == ("ok", structured, len(steps))


@pytest.mark.parametrize("answer", ['{"a":' * 50_000, "{" * 100_000, '[{"name": "B"}]'])
@pytest.mark.parametrize("response_format", [City, City | Town, ProviderStrategy(City)])
def test_an_answer_that_has_no_shape_at_all_is_a_typed_failure(answer: str, response_format: Any) -> None:
    outcome = run(Agent("a", model=ScriptedChatModel([answer, answer]), response_format=response_format))
    assert (outcome["status"], kind_of(outcome), outcome["attempts"]) == ("failed", "WrongShape", 2)


def test_what_a_tool_returns_directly_is_the_answer_and_nothing_is_a_failure() -> None:
    @tool(return_direct=True)
    def direct(text: str) -> str:
        """Answer directly."""
        return text

    outcome = run(Agent("a", model=ScriptedChatModel([call("direct", text="from the tool")]), tools=[direct]))
    assert (outcome["status"], outcome["output"]) == ("ok", "from the tool")
    outcome = run(Agent("a", model=ScriptedChatModel([call("direct", text=" ")]), tools=[direct]))
    assert (outcome["status"], kind_of(outcome)) == ("failed", "EmptyOutput")


def test_a_bare_chat_model_has_all_the_protections_of_an_agent() -> None:
    with ScriptedChatModel(["", "fine"]) as model:
        outcome = run(model)
    assert (outcome["output"], outcome["attempts"], outcome["usage"]["model_calls"]) == ("fine", 2, 2)
    assert run(ScriptedChatModel([]), budget=Budget(model_calls=0))["status"] == "stopped"


def test_an_outcome_holds_plain_text_and_nothing_that_looks_like_it() -> None:
    for agent in (Agent("a", model=ScriptedChatModel(["x"])), Agent("a", model=ScriptedChatModel(["x"]), tools=[add])):
        assert type(run(agent)["output"]) is str


def test_a_huge_answer_is_clipped_before_it_is_kept() -> None:
    outcome = run(Agent("a", model=ScriptedChatModel(["start " + "x" * 10_000_000 + " end"])))
    assert len(outcome["output"]) < 201_000
    assert "characters left out" in outcome["output"]


# --- streams


async def test_tokens_of_every_agent_are_streamed_under_its_name_and_answers_once() -> None:
    direct = Agent("direct", prompt="Go.", model=ScriptedChatModel(["one two"]))
    looped = Agent("looped", model=ScriptedChatModel([call("add", a=1, b=2), "three four"]), tools=[add])
    shaped = Agent("shaped", model=ScriptedChatModel([City(name="Bern", people=5)]), response_format=City)
    team = sequential.build([direct, looped, shaped]).compile(name="team")
    graph = single.build(team).compile(name="outer")
    said: dict[str, str] = {}
    async for _, (message, metadata) in graph.astream({"task": "t"}, stream_mode="messages", subgraphs=True):
        if isinstance(message, AIMessageChunk):
            name = metadata["lc_agent_name"]
            said[name] = said.get(name, "") + message.text
    assert said["direct"] == "one two"
    assert said["looped"] == "three four"
    assert set(said) == {"direct", "looped", "shaped"}


def test_a_sync_stream_gives_the_same_parts_as_an_async_one() -> None:
    graph = sequential.build([Agent(n, model=ScriptedChatModel([n.upper()] * 2)) for n in "ab"]).compile(name="g")
    names = [list(part) for part in graph.stream({"task": "t"}, stream_mode="updates")]
    assert names == [["begin"], ["a"], ["b"], ["finish"]]
    modes = [mode for mode, _ in graph.stream({"task": "t"}, stream_mode=["updates", "values"])]
    assert modes.count("updates") == 4


# --- graphs of somebody else


def foreign(*messages: Any, **result: Any) -> Any:
    """Return a graph that ends with these messages behind those it was given."""
    builder = StateGraph(MessagesState)
    builder.add_node("say", RunnableLambda(lambda state: {"messages": list(messages), **result}))
    builder.add_edge(START, "say")
    builder.add_edge("say", END)
    return builder.compile(name="foreign")


def test_what_the_models_of_a_foreign_graph_used_is_booked() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5}
    inner = create_agent(
        ScriptedChatModel([Step(call("add", a=1, b=2), usage=usage), Step("3", usage=usage)]), [add], name="foreign"
    )
    after = Agent("after", model=ScriptedChatModel(["never"]))
    graph = sequential.build([inner, after]).compile(name="g")
    result = graph.invoke({"task": "t"}, context=Context(budget=Budget(model_calls=2)))
    (first, second) = result["outcomes"]
    assert (first["output"], first["usage"]["model_calls"], first["usage"]["tool_calls"]) == ("3", 2, 1)
    assert (first["usage"]["input_tokens"], first["usage"]["output_tokens"]) == (20, 10)
    assert (second["status"], result["status"]) == ("stopped", "stopped")


@pytest.mark.parametrize(
    "last", [AIMessage(""), {"role": "assistant", "content": ""}, HumanMessage("an echo"), AIMessage([])]
)
def test_a_foreign_graph_that_says_nothing_is_a_typed_failure(last: Any) -> None:
    outcome = run(foreign(last))
    assert (outcome["status"], outcome["output"], kind_of(outcome)) == ("failed", "", "EmptyOutput")


def test_a_remote_graph_is_sent_messages_and_its_plain_answer_is_read() -> None:
    class Remote(RemoteGraph):
        sent: Any = None

        async def ainvoke(self, input: Any, config: Any = None, **options: Any) -> Any:
            Remote.sent = input
            return {"messages": [{"type": "human", "content": "t"}, {"type": "ai", "content": "from afar"}]}

    outcome = run(Remote("far", url="http://127.0.0.1:1", name="far"))
    assert (outcome["status"], outcome["output"]) == ("ok", "from afar")
    assert [message.text for message in Remote.sent["messages"]] == ["t"]
