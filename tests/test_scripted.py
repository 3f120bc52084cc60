"""ScriptedChatModel: strict about the script, and faithful to what providers do."""

from __future__ import annotations

import asyncio
import copy
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from nodes.scripted import Request, ScriptedChatModel, Step, call, calls
from state.errors import ConfigurationError, ScriptError

ASKED: Any = {"messages": [("human", "go")]}


class Verdict(BaseModel):
    """A judgement."""

    verdict: str
    score: int = 0


class Plan(BaseModel):
    """A plan."""

    steps: list[str]


@tool
def search(query: str) -> str:
    """Search."""
    return f"found {query}"


def test_steps_are_given_in_order() -> None:
    with ScriptedChatModel(["one", AIMessage("two"), lambda messages: messages[-1].text.upper()]) as model:
        assert [model.invoke(text).text for text in ("a", "b", "three")] == ["one", "two", "THREE"]


def test_a_call_too_many_says_how_many_were_scripted_and_what_was_asked() -> None:
    model = ScriptedChatModel(["one"])
    model.invoke("first")
    with pytest.raises(ScriptError, match=r"model call 2, but only 1 scripted; asked: human 'second'"):
        model.invoke("second")


def test_what_was_asked_is_clipped() -> None:
    with pytest.raises(ScriptError) as caught:
        ScriptedChatModel([]).invoke("x" * 10_000)
    assert len(str(caught.value)) < 300


def test_steps_left_over_are_listed() -> None:
    model = ScriptedChatModel(["one", call("search", query="tides"), ValueError("boom")])
    model.invoke("go")
    with pytest.raises(ScriptError, match=r"2 of 3 steps left: search\(query='tides'\), ValueError\('boom'\)"):
        model.assert_done()


def test_a_refused_call_is_told_at_the_end_even_when_the_graph_survived_it() -> None:
    model = ScriptedChatModel([])
    with pytest.raises(ScriptError):
        model.invoke("swallowed")
    with pytest.raises(ScriptError, match="swallowed"):
        model.assert_done()


def test_the_context_manager_checks_at_the_end_but_hides_no_error() -> None:
    with pytest.raises(ScriptError, match="left"), ScriptedChatModel(["one"]):
        pass
    with pytest.raises(ZeroDivisionError), ScriptedChatModel(["one"]):
        raise ZeroDivisionError


def test_a_scripted_exception_is_raised() -> None:
    with ScriptedChatModel([TimeoutError("slow"), "fine"]) as model:
        with pytest.raises(TimeoutError, match="slow"):
            model.invoke("go")
        assert model.invoke("go").text == "fine"


@pytest.mark.parametrize("wrong", [7, None, ValueError, HumanMessage("no")])
def test_what_cannot_be_an_answer_is_refused_when_the_script_is_written(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="step of a script"):
        ScriptedChatModel([wrong])


@pytest.mark.parametrize(
    ("steps", "by_agent"), [("text", None), (["a"], {"writer": ["b"]}), ((), {"writer": "text"}), (Step("a"), None)]
)
def test_a_script_that_is_not_a_list_of_steps_is_refused(steps: Any, by_agent: Any) -> None:
    with pytest.raises(ConfigurationError, match="list of steps"):
        ScriptedChatModel(steps, by_agent=by_agent)


def test_a_step_with_a_match_waits_for_the_request_it_fits() -> None:
    steps = [Step("about tides", match="tides"), Step("long", match=lambda messages: len(messages) > 1), "anything"]
    with ScriptedChatModel(steps) as model:
        assert model.invoke("hello").text == "anything"
        assert model.invoke([HumanMessage("a"), HumanMessage("b")]).text == "long"
        assert model.invoke("why tides?").text == "about tides"


def test_a_request_that_no_step_left_fits_is_refused() -> None:
    with pytest.raises(ScriptError, match=r"fits none of the steps left: 'about tides'; asked: human 'hello'"):
        ScriptedChatModel([Step("about tides", match="tides")]).invoke("hello")


def test_usage_is_given_or_counted_or_absent() -> None:
    model = ScriptedChatModel([Step("a", usage={"input_tokens": 7, "output_tokens": 3}), "b", Step("c", usage={})])
    given, counted, absent = (model.invoke("x" * 400).usage_metadata for _ in range(3))
    assert given == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    assert counted is not None
    assert counted["input_tokens"] > 100
    assert counted["total_tokens"] == counted["input_tokens"] + counted["output_tokens"]
    assert absent is None


def test_a_message_keeps_the_usage_and_the_id_that_it_was_scripted_with() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    scripted = AIMessage("a", id="mine", usage_metadata=usage, response_metadata={"finish_reason": "length"})
    answer = ScriptedChatModel([scripted]).invoke("go")
    assert (answer.id, answer.usage_metadata, answer.response_metadata["finish_reason"]) == ("mine", usage, "length")
    assert answer is not scripted


def test_refusals_and_finish_reasons_look_like_a_providers() -> None:
    model = ScriptedChatModel([Step(refusal="I will not."), Step("half a", finish_reason="length"), call("f")])
    refused, cut, calling = (model.invoke("go") for _ in range(3))
    assert (refused.text, refused.additional_kwargs["refusal"]) == ("", "I will not.")
    reasons = [answer.response_metadata["finish_reason"] for answer in (refused, cut, calling)]
    assert reasons == ["stop", "length", "tool_calls"]


def test_requests_are_recorded_with_what_was_bound() -> None:
    model = ScriptedChatModel(["a"])
    bound = model.bind_tools([search], tool_choice="any", temperature=0.5)
    bound.invoke([SystemMessage("Be kind."), HumanMessage("hi")], stop=["."])
    (request,) = model.requests
    assert [message.text for message in request.messages] == ["Be kind.", "hi"]
    assert request.tool_names == ["search"]
    assert request.tools[0]["function"]["description"] == "Search."
    assert (request.tool_choice, request.kwargs) == ("any", {"temperature": 0.5, "stop": ["."]})
    assert request.agent is None


def test_copies_and_bound_forms_share_one_script() -> None:
    model = ScriptedChatModel(["1", "2", "3", "4", "5"])
    forms: list[Any] = [
        copy.deepcopy(model),
        model.model_copy(deep=True),
        copy.copy(model),
        model.bind(stop=["x"]),
        model.with_config(tags=["t"]),
    ]
    assert [form.invoke("go").text for form in forms] == ["1", "2", "3", "4", "5"]
    assert len(model.requests) == 5
    model.assert_done()


async def test_each_step_is_given_once_to_many_tasks_and_threads() -> None:
    model = ScriptedChatModel([str(number) for number in range(200)])
    tasks = [model.ainvoke("go") for _ in range(100)]
    with ThreadPoolExecutor(8) as pool:
        threads = [asyncio.wrap_future(pool.submit(model.invoke, "go")) for _ in range(100)]
        answers = await asyncio.gather(*tasks, *threads)
    assert sorted(int(answer.text) for answer in answers) == list(range(200))
    model.assert_done()


async def test_a_delay_lets_others_go_first() -> None:
    model = ScriptedChatModel([Step("slow", delay=0.05), "fast"])
    order: list[str] = []

    async def ask() -> None:
        order.append((await model.ainvoke("go")).text)

    await asyncio.gather(ask(), ask())
    assert order == ["fast", "slow"]


def test_tool_calls_run_in_an_agent_and_their_ids_are_unique() -> None:
    steps = [calls(call("search", query="a"), call("search", query="b"), text="Looking."), "done"]
    with ScriptedChatModel(steps) as model:
        result = create_agent(model, [search]).invoke(ASKED)
    texts = [message.text for message in result["messages"]]
    assert texts == ["go", "Looking.", "found a", "found b", "done"]
    first, second = (message.tool_call_id for message in result["messages"][2:4])
    assert first != second


@pytest.mark.parametrize("answer", [Verdict(verdict="accept", score=3), {"verdict": "accept", "score": 3}])
@pytest.mark.parametrize("strategy", [Verdict, ToolStrategy(Verdict), ProviderStrategy(Verdict)])
def test_a_structured_answer_goes_the_way_the_agent_asked_for_it(answer: Any, strategy: Any) -> None:
    with ScriptedChatModel([call("search", query="x"), answer]) as model:
        agent = create_agent(model, [search], response_format=strategy)
        result = agent.invoke(ASKED)
    assert result["structured_response"] == Verdict(verdict="accept", score=3)


@pytest.mark.parametrize("answer", [Plan(steps=["a"]), {"steps": ["a"]}, {"verdict": "accept"}])
def test_among_several_schemas_the_one_that_fits_is_called(answer: Any) -> None:
    model = ScriptedChatModel([answer])
    agent = create_agent(model, [search], response_format=ToolStrategy(Plan | Verdict))
    result = agent.invoke(ASKED)["structured_response"]
    assert result == (Verdict(verdict="accept") if answer == {"verdict": "accept"} else Plan(steps=["a"]))


def test_a_structured_answer_of_the_wrong_shape_reaches_the_answer_tool() -> None:
    model = ScriptedChatModel([{"query": "not a verdict"}, Verdict(verdict="accept")])
    agent = create_agent(model, [search], response_format=ToolStrategy(Verdict))
    result = agent.invoke(ASKED)
    assert result["structured_response"] == Verdict(verdict="accept")
    assert result["messages"][1].tool_calls[0]["name"] == "Verdict"


def test_tools_that_a_provider_runs_itself_can_be_bound() -> None:
    model = ScriptedChatModel([Verdict(verdict="accept")])
    bound = model.bind_tools([{"type": "web_search"}, Verdict], tool_choice="Verdict")
    assert bound.invoke("go").tool_calls[0]["name"] == "Verdict"


def test_with_structured_output_works_for_classes_and_schemas() -> None:
    model = ScriptedChatModel([{"verdict": "accept", "score": 1}, {"verdict": "revise"}])
    assert model.with_structured_output(Verdict).invoke("go") == Verdict(verdict="accept", score=1)
    schema = {"title": "V", "description": "v", "type": "object", "properties": {"verdict": {"type": "string"}}}
    assert model.with_structured_output(schema).invoke("go") == {"verdict": "revise"}


def test_a_structured_answer_that_nobody_asked_for_is_json_text() -> None:
    model = ScriptedChatModel([Verdict(verdict="ok"), {"a": "é"}])
    assert json.loads(model.invoke("go").text) == {"verdict": "ok", "score": 0}
    assert model.bind_tools([search]).invoke("go").text == '{"a": "é"}'


async def test_streamed_text_comes_word_by_word_with_the_usage_last() -> None:
    model = ScriptedChatModel([Step("The moon does it.", usage={"input_tokens": 5, "output_tokens": 4})])
    chunks = [chunk async for chunk in model.astream("why?")]
    assert [chunk.text for chunk in chunks if chunk.text] == ["The ", "moon ", "does ", "it."]
    assert [chunk.usage_metadata for chunk in chunks[:-1]] == [None] * 4
    assert chunks[-1].usage_metadata == {"input_tokens": 5, "output_tokens": 4, "total_tokens": 9}


@pytest.mark.parametrize(
    "answer",
    [
        "Two  spaces\n\nand lines ",
        calls(call("search", query="é"), call("search", query="b"), text="Look: "),
        call("stop"),
        Step(refusal="No."),
        Step("cut", finish_reason="length"),
        AIMessage([{"type": "text", "text": "block"}]),
        AIMessage("", invalid_tool_calls=[{"name": "f", "args": "oops", "id": "1", "error": None}]),
    ],
)
def test_a_stream_adds_up_to_the_answer(answer: Any) -> None:
    whole = ScriptedChatModel([answer]).invoke("go")
    parts = list(ScriptedChatModel([answer]).stream("go"))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert isinstance(total, AIMessageChunk)
    assert (total.text, total.usage_metadata) == (whole.text, whole.usage_metadata)
    assert [(c["name"], c["args"]) for c in total.tool_calls] == [(c["name"], c["args"]) for c in whole.tool_calls]
    assert [c["name"] for c in total.invalid_tool_calls] == [c["name"] for c in whole.invalid_tool_calls]
    assert total.additional_kwargs == whole.additional_kwargs
    assert total.response_metadata == whole.response_metadata


def test_requests_without_messages_can_be_shown() -> None:
    assert str(Request(agent=None, messages=())) == "nothing"
