"""The agent step: whatever a model, a tool or a function does, it ends as a typed outcome."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.exceptions import ModelAPIError, ModelAuthenticationError, ModelRateLimitError
from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from graphs import sequential, single
from nodes import Agent, Fallback, Policy, ScriptedChatModel
from nodes.scripted import Step, call, calls
from state import Budget, ConfigurationError, Context, Envelope, Outcome
from state.labels import without_lines

FAST = Policy(backoff=0.001)


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def broken(secret: str) -> str:
    """Fail with a secret in the message."""
    raise RuntimeError(f"connection to db://user:{secret}@host failed")


@tool
def picky(name: str) -> str:
    """Fail with a message for the model."""
    raise ToolException(f"no such name {name!r}; try 'x'")


def run(agent: Any, *, task: str = "the task", **context: Any) -> Outcome:
    """Run one agent and return its outcome."""
    result = single.build(agent).compile().invoke({"task": task}, context=Context(**context))
    outcome: Outcome = result["outcomes"][0]
    return outcome


def rate_limit(retry_after: str | None = None) -> ModelRateLimitError:
    error = ModelRateLimitError("429: slow down")
    if retry_after is not None:
        error.response = type("Response", (), {"headers": {"retry-after": retry_after}})()  # type: ignore[attr-defined]
    return error


# --- what an agent is told


def test_an_agent_is_told_its_prompt_and_its_envelope_and_nothing_else() -> None:
    with ScriptedChatModel(by_agent={"finder": ["secret thoughts: 42"], "teller": ["told"]}) as model:
        graph = sequential.build([Agent("finder", prompt="You find."), Agent("teller", prompt="You tell.")]).compile()
        graph.invoke({"task": "Tell me."}, context=Context(model=model))
    system, human = model.requests[1].messages
    assert isinstance(system, SystemMessage)
    assert system.text == "You tell."
    assert human.text == "Tell me.\n\nContext from finder:\nsecret thoughts: 42"


def test_memory_is_a_window_of_the_conversation() -> None:
    graph = single.build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    with ScriptedChatModel([f"answer {n}" for n in range(5)]) as model:
        for n in range(5):
            graph.invoke({"task": f"question {n}"}, config, context=Context(model=model, history_window=2))
    told = [message.text for message in model.requests[-1].messages if not isinstance(message, SystemMessage)]
    assert told == ["question 3", "answer 3", "question 4"]


# --- retries, fallbacks, timeouts


def test_what_may_pass_is_tried_again_up_to_the_limit() -> None:
    with ScriptedChatModel([rate_limit(), ModelAPIError("503"), "fine"]) as model:
        outcome = run(Agent("a", model=model, policy=FAST))
    assert (outcome["status"], outcome["output"], outcome["attempts"]) == ("ok", "fine", 3)
    assert outcome["usage"]["model_calls"] == 3


def test_attempts_never_exceed_the_limit() -> None:
    model = ScriptedChatModel([rate_limit() for _ in range(9)])
    outcome = run(Agent("a", model=model, policy=FAST))
    assert (outcome["status"], outcome["attempts"], len(model.requests)) == ("failed", 3, 3)
    assert outcome["error"] == {"type": "ModelRateLimitError", "message": "429: slow down", "retryable": True}


@pytest.mark.parametrize("error", [ModelAuthenticationError("401"), ValueError("bad"), ConnectionRefusedError("no")])
def test_only_what_can_pass_is_tried_again(error: Exception) -> None:
    model = ScriptedChatModel([error, "fine"])
    outcome = run(Agent("a", model=model, policy=FAST))
    retried = isinstance(error, ConnectionError)
    assert (outcome["status"], len(model.requests)) == (("ok", 2) if retried else ("failed", 1))


def test_a_provider_that_asks_for_a_short_wait_gets_it_and_a_long_one_is_turned_away_from() -> None:
    with ScriptedChatModel([rate_limit("0.01"), "fine"]) as model:
        assert run(Agent("a", model=model))["status"] == "ok"
    impatient = ScriptedChatModel([rate_limit("3600"), "fine"])
    outcome = run(Agent("a", model=impatient))
    assert (outcome["status"], len(impatient.requests)) == ("failed", 1)


def test_a_fallback_model_answers_within_the_same_number_of_attempts() -> None:
    first, second = ScriptedChatModel([rate_limit() for _ in range(9)]), ScriptedChatModel(["from the second"])
    outcome = run(Agent("a", model=first, policy=Policy(backoff=0.001, fallback=(second,))))
    assert (outcome["output"], outcome["attempts"]) == ("from the second", 3)
    assert (len(first.requests), len(second.requests)) == (2, 1)


@pytest.mark.parametrize("tools", [(), (add,)])
def test_an_outcome_names_the_model_that_answered(tools: Any) -> None:
    first = ScriptedChatModel([rate_limit() for _ in range(9)], stands_for="openai:first")
    second = ScriptedChatModel(["from the second"], stands_for="openai:second")
    policy = Policy(backoff=0.001, fallback=(second,))
    assert run(Agent("a", model=first, tools=tools, policy=policy))["model"] == "openai:second"
    assert (
        run(Agent("a", model=ScriptedChatModel(["ok"], stands_for="openai:first"), tools=tools))["model"]
        == "openai:first"
    )


def test_a_fallback_agent_gets_the_same_envelope() -> None:
    other = Agent("other", model=ScriptedChatModel(["from the other"]))
    agent = Agent("a", model=ScriptedChatModel([ValueError("x")]), policy=Policy(fallback=(Fallback(agent=other),)))
    outcome = run(agent)
    assert (outcome["id"], outcome["agent"], outcome["output"]) == ("a", "other", "from the other")
    assert outcome["usage"]["model_calls"] == 2
    assert outcome["children"][0]["error"]["message"] == "x"  # type: ignore[index]


def test_a_skipped_agent_does_not_stop_what_follows() -> None:
    skipped = Agent("a", model=ScriptedChatModel([ValueError("x")]), policy=Policy(on_failure="skip"))
    result = sequential.build([skipped, Agent("b", model=ScriptedChatModel(["done"]))]).compile().invoke({"task": "t"})
    assert [outcome["status"] for outcome in result["outcomes"]] == ["skipped", "ok"]
    assert (result["answer"], result["status"]) == ("done", "partial")


def test_a_hanging_attempt_is_not_repeated_but_turned_away_from() -> None:
    stuck, second = ScriptedChatModel([Step("late", delay=60)]), ScriptedChatModel(["quick"])
    with stuck, second:
        outcome = run(Agent("a", model=stuck, policy=Policy(timeout=0.05, fallback=(second,))))
    assert (outcome["status"], outcome["output"], outcome["attempts"]) == ("ok", "quick", 2)


def test_waiting_for_a_place_is_not_run_time() -> None:
    from graphs import parallel

    slow = Policy(timeout=2.0)
    agents = [Agent(f"a{n}", model=ScriptedChatModel([Step("x", delay=0.3)]), policy=slow) for n in range(8)]
    result = parallel.build(agents).compile().invoke({"task": "t"}, context=Context(max_concurrency=1))
    assert result["status"] == "completed"
    assert all(outcome["seconds"] < 2.0 for outcome in result["outcomes"])


# --- output check


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("", "EmptyOutput"),
        ("   \n", "EmptyOutput"),
        (Step("half an ans", finish_reason="length"), "CutOutput"),
        (Step("", finish_reason="content_filter"), "FilteredOutput"),
        (Step("", refusal="I can't help with that"), "RefusedOutput"),
    ],
)
def test_an_unusable_answer_is_asked_for_once_more_and_then_a_typed_failure(step: Any, kind: str) -> None:
    with ScriptedChatModel([step, "fine"]) as model:
        assert run(Agent("a", model=model))["output"] == "fine"
    assert "cannot be used" in model.requests[1].messages[-1].text
    with ScriptedChatModel([step, step]) as model:
        outcome = run(Agent("a", model=model))
    assert (outcome["status"], outcome["output"]) == ("failed", "")
    assert outcome["error"] is not None
    assert outcome["error"]["type"] == kind


def test_a_structured_answer_is_plain_json_in_the_outcome() -> None:
    with ScriptedChatModel([City(name="Bern", people=134_000)]) as model:
        outcome = run(Agent("a", model=model, response_format=City))
    assert outcome["structured"] == {"name": "Bern", "people": 134_000}


@pytest.mark.parametrize(
    "wrong",
    [
        "Bern has 134000 people.",
        call("City", name="Bern", people="many"),
        call("City", name="Bern"),
        "",
    ],
)
def test_a_wrong_shape_is_repaired_once_and_then_a_typed_failure(wrong: Any) -> None:
    with ScriptedChatModel([wrong, City(name="Bern", people=1)]) as model:
        outcome = run(Agent("a", model=model, response_format=City))
    assert outcome["structured"] == {"name": "Bern", "people": 1}
    with ScriptedChatModel([wrong, wrong]) as model:
        outcome = run(Agent("a", model=model, response_format=City))
    assert outcome["status"] == "failed"
    assert outcome["error"] is not None
    assert outcome["error"]["type"] in ("WrongShape", "EmptyOutput")
    assert outcome["attempts"] == 2


def test_json_with_text_around_it_is_taken_without_another_call() -> None:
    with ScriptedChatModel(['Here you are:\n```json\n{"name": "Bern", "people": 5}\n```\nAnything else?']) as model:
        outcome = run(Agent("a", model=model, response_format=City))
    assert (outcome["structured"], outcome["attempts"]) == ({"name": "Bern", "people": 5}, 1)


# --- tools


def test_tools_are_called_until_the_agent_answers() -> None:
    with ScriptedChatModel([calls(call("add", a=1, b=2), call("add", a=3, b=4)), "3 and 7"]) as model:
        outcome = run(Agent("a", model=model, tools=[add]))
    assert outcome["output"] == "3 and 7"
    assert (outcome["usage"]["model_calls"], outcome["usage"]["tool_calls"]) == (2, 2)
    assert [without_lines(m.text) for m in model.requests[1].messages if isinstance(m, ToolMessage)] == ["3", "7"]


def test_a_tool_that_raises_is_an_answer_to_its_call_without_the_secret() -> None:
    script = [calls(call("broken", secret="hunter2"), call("picky", name="y"), call("add", a=1, b="x")), "done"]
    with ScriptedChatModel(script) as model:
        outcome = run(Agent("a", model=model, tools=[broken, picky, add]))
    answers = [without_lines(m.text) for m in model.requests[1].messages if isinstance(m, ToolMessage)]
    assert outcome["status"] == "ok"
    assert answers[0] == "Error: the tool failed (RuntimeError)."
    assert answers[1] == "Error: no such name 'y'; try 'x'"
    assert "b: Input should be a valid integer" in answers[2]
    assert "hunter2" not in str([m.text for m in model.requests[1].messages if isinstance(m, ToolMessage)])


def test_a_tool_that_hangs_is_answered_at_its_limit() -> None:
    @tool
    async def sleepy() -> str:
        """Sleep."""
        await asyncio.sleep(60)
        return "late"

    with ScriptedChatModel([call("sleepy"), "gave up on it"]) as model:
        outcome = run(Agent("a", model=model, tools=[sleepy], policy=Policy(timeout=0.05)))
    assert outcome["output"] == "gave up on it"
    assert without_lines(model.requests[1].messages[-1].text) == "Error: no result within 0.05 s"


def test_a_tool_the_agent_does_not_have_is_a_readable_answer() -> None:
    with ScriptedChatModel([call("rm_rf", path="/"), "never mind"]) as model:
        outcome = run(Agent("a", model=model, tools=[add]))
    assert outcome["status"] == "ok"
    assert "rm_rf" in model.requests[1].messages[-1].text


@pytest.mark.parametrize(
    "policy", [Policy(deny=("add",)), Policy(allow=("other",)), Policy(allow=("add",), deny=("add",))]
)
def test_a_denied_tool_does_not_run(policy: Policy) -> None:
    ran = threading.Event()

    @tool("add")
    def watched() -> str:
        """Add."""
        ran.set()
        return "ran"

    with ScriptedChatModel([call("add"), "ok then"]) as model:
        outcome = run(Agent("a", model=model, tools=[watched], policy=policy))
    assert not ran.is_set()
    assert outcome["output"] == "ok then"
    assert model.requests[1].messages[-1].text == "Denied: a may not use add."


def test_tool_calls_beyond_the_budget_are_answered_and_the_agent_may_still_answer() -> None:
    flood = calls(*[call("add", a=n, b=n) for n in range(300)])
    with ScriptedChatModel([flood, "what I have"]) as model:
        outcome = run(Agent("a", model=model, tools=[add]))
    assert (outcome["output"], outcome["usage"]["tool_calls"]) == ("what I have", 50)
    answers = [m for m in model.requests[1].messages if isinstance(m, ToolMessage)]
    assert len(answers) == 300
    assert sum("budget" in m.text for m in answers) == 250


def test_an_agent_that_never_stops_calling_tools_is_stopped_with_its_last_words() -> None:
    def again(messages: Any) -> AIMessage:
        ask = {"name": "add", "args": {"a": len(messages), "b": 1}, "id": f"c{len(messages)}"}
        return AIMessage("still adding", tool_calls=[ask])

    model = ScriptedChatModel([again] * 100)
    outcome = run(Agent("a", model=model, tools=[add]))
    assert (outcome["status"], outcome["output"], len(model.requests)) == ("stopped", "still adding", 25)
    assert outcome["error"] is not None
    assert outcome["error"]["type"] == "BudgetExceeded"


def test_a_tool_may_pause_for_a_person_and_its_finished_siblings_do_not_run_again() -> None:
    ran: list[str] = []

    @tool
    def note(text: str) -> str:
        """Note."""
        ran.append(text)
        return "noted"

    @tool
    def ask_someone(question: str) -> str:
        """Ask."""
        return str(interrupt({"question": question}))

    script = [call("note", text="one"), call("ask_someone", question="why?"), "because"]
    graph = single.build(Agent("a", model=ScriptedChatModel(script), tools=[note, ask_someone])).compile(
        InMemorySaver()
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    assert "__interrupt__" in graph.invoke({"task": "t"}, config)
    (request,) = graph.get_state(config).interrupts
    result = graph.invoke(Command(resume={request.id: "it is so"}), config)
    assert result["answer"] == "because"
    assert ran == ["one"]


# --- anything invokable


async def by_text(task: str) -> str:
    return f"text: {task}"


async def by_envelope(envelope: Envelope) -> str:
    return f"envelope for {envelope.recipient}: {envelope.task}"


async def by_state(state: dict[str, Any]) -> dict[str, Any]:
    return {"answer": f"state: {state['task']} / {state['messages'][-1].text}"}


def by_sync_text(text: str) -> str:
    return f"sync: {text}"


async def by_model(task: str) -> City:
    return City(name=task, people=1)


def test_functions_get_what_their_parameter_asks_for() -> None:
    assert run(by_text)["output"] == "text: the task"
    assert run(by_envelope)["output"] == "envelope for by_envelope: the task"
    assert run(by_state)["output"] == "state: the task / the task"
    assert run(by_sync_text)["output"] == "sync: the task"
    assert run(by_model)["structured"] == {"name": "the task", "people": 1}


def test_runnables_chains_models_and_foreign_graphs_are_agents() -> None:
    chain = ChatPromptTemplate.from_messages([("user", "About {task}")]) | ScriptedChatModel(["chained"])
    assert run(chain.with_config(run_name="chain"))["output"] == "chained"
    assert run(RunnableLambda(by_text, name="lambda"))["output"] == "text: the task"
    assert run(ScriptedChatModel(["just a model"]))["output"] == "just a model"
    assert run(create_agent(ScriptedChatModel(["foreign"]), [], name="foreign"))["output"] == "foreign"


@pytest.mark.parametrize(
    ("result", "kind"),
    [(None, "EmptyOutput"), ("", "EmptyOutput"), ({"answer": ""}, "EmptyOutput"), (3.5, "WrongShape")],
)
def test_a_function_that_gives_nothing_usable_is_a_typed_failure(result: Any, kind: str) -> None:
    async def odd(task: str) -> Any:
        return result

    outcome = run(odd)
    assert outcome["status"] == "failed"
    assert outcome["error"] is not None
    assert outcome["error"]["type"] == kind


def test_a_function_is_tried_again_only_where_that_can_help() -> None:
    tried: list[str] = []

    async def flaky(task: str) -> str:
        tried.append(task)
        if len(tried) < 2:
            raise ConnectionResetError("gone")
        return "there"

    assert run(flaky)["output"] == "there"
    assert len(tried) == 2


@pytest.mark.parametrize("bad", [None, 3, "writer", object()])
def test_what_cannot_be_an_agent_is_refused_before_anything_runs(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        sequential.build([bad])


@pytest.mark.parametrize("name", ["", " ", "a:b", "a|b", "__start__", None])
def test_a_name_that_cannot_name_a_node_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="agent name"):
        Agent(name)


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="different names"):
        sequential.build([Agent("a"), Agent("a")])


@pytest.mark.parametrize("options", [{"timeout": 0}, {"max_attempts": 0}, {"on_failure": "explode"}])
def test_a_policy_that_could_never_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"Policy.{next(iter(options))}"):
        Policy(**options)


@pytest.mark.parametrize(
    "options", [{"max_rounds": 0}, {"max_concurrency": "many"}, {"deadline": -1}, {"budget": {"x": 1}}]
)
def test_a_context_out_of_range_is_refused_with_the_field_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Context(**options)


# --- events and budgets


def test_events_tell_who_did_what_in_order() -> None:
    team = single.build(Agent("inner", model=ScriptedChatModel([call("add", a=1, b=1), "2"]), tools=[add])).compile(
        name="team"
    )
    graph = single.build(team).compile()
    parts = graph.stream({"task": "t"}, stream_mode="custom", subgraphs=True)
    events = [event for _, event in parts]
    assert [(e["kind"], e["agent"], e["parent"]) for e in events] == [
        ("agent_started", "team", ""),
        ("agent_started", "inner", "team"),
        ("model_called", "inner", "team"),
        ("tool_called", "inner", "team"),
        ("model_called", "inner", "team"),
        ("agent_finished", "inner", "team"),
        ("agent_finished", "team", ""),
    ]
    assert [e["seq"] for e in events] == list(range(1, 8))
    assert len({e["run"] for e in events}) == 1


def test_a_token_budget_clamps_the_answer_and_refuses_what_cannot_fit() -> None:
    model = ScriptedChatModel(["short"])
    outcome = run(Agent("a", model=model), budget=Budget(tokens=200))
    assert outcome["status"] == "ok"
    assert model.requests[0].kwargs["max_tokens"] <= 200
    outcome = run(Agent("a", model=ScriptedChatModel(["never"])), task="word " * 500, budget=Budget(tokens=200))
    assert outcome["status"] == "stopped"


def test_a_resumed_turn_keeps_what_it_had_spent() -> None:
    model = ScriptedChatModel(["one", "two", "three"])
    agents = [Agent(name, model=model) for name in ("a", "b", "c")]
    graph = sequential.build(agents).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    context = Context(budget=Budget(model_calls=2))
    graph.invoke({"task": "t"}, config, context=context, interrupt_after=["a"])
    result = graph.invoke(None, config, context=context)
    assert (len(model.requests), result["status"], result["answer"]) == (2, "stopped", "two")


def test_the_record_says_what_a_tool_raised_and_where_and_not_what_it_said() -> None:
    model = ScriptedChatModel([call("broken", secret="hunter2"), "It failed."])
    graph = single.build(Agent("a", model=model, tools=[broken])).compile()
    events = [event for event in graph.stream({"task": "x"}, stream_mode="custom") if event["kind"] == "tool_called"]
    assert [(event["data"]["error"], event["data"]["where"].split(":")[0]) for event in events] == [
        ("RuntimeError", "test_step.py")
    ]
    assert "hunter2" not in str(events)


def undescribed(city: str) -> str:
    return city


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("look", "a: tools: expected a list of tools or functions, got 'look'"),
        (add, "a: tools: expected a list of tools or functions, got "),
        (["look"], "a: tools: expected a LangChain tool or a function, got 'look'"),
        ([undescribed], "a: tool 'undescribed' has no docstring"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_when_the_agent_is_made(tools: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        Agent("a", tools=tools)
