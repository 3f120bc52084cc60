"""The extractive engine as a chat model: it searches, quotes, cites, abstains, calls tools and says what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException, tool

from handbook import PASSAGES, calls_in, converse, handbook_tools, passage, quotes_in, retrieved
from nodes import ExtractiveChatModel
from nodes.models import ENGINE_LABEL, ENGINE_NOTICE
from tools.passage import cited_ids, render_passages

MODEL = ExtractiveChatModel()


@pytest.fixture
def handbook(tmp_path: Path) -> list[BaseTool]:
    return handbook_tools(tmp_path / "handbook")


def text_of(question: str, *, system: str = "") -> str:
    return MODEL.invoke([*([SystemMessage(system)] if system else []), HumanMessage(question)]).text


# Answers


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("How many days of leave do I get?", "28 days"),
        ("When does leave expire that I have not taken?", "31 March"),
        ("From which day of illness is a certificate needed?", "third day"),
        ("How many vacation days are there?", "28 days"),
        ("When may I take a flight?", "longer than six hours"),
    ],
)
def test_an_answer_holds_the_fact_asked_for(handbook: list[BaseTool], question: str, fact: str) -> None:
    assert fact in converse(question, handbook)[-1].text


@pytest.mark.parametrize(
    "question", ["How do I claim travel expenses?", "How do I request leave?", "What about sick leave?"]
)
def test_every_quote_stands_word_for_word_in_the_passage_it_cites(handbook: list[BaseTool], question: str) -> None:
    messages = converse(question, handbook)
    passages, quotes = retrieved(messages), quotes_in(messages[-1].text)
    assert quotes
    assert [quote for quote, key in quotes if quote not in passages[key]] == []


def test_lists_and_code_are_quoted_with_the_line_that_announces_them(handbook: list[BaseTool]) -> None:
    answer = converse("How do I claim expenses?", handbook)[-1].text
    assert "To claim expenses:" in answer
    assert "\n- hand in receipts within 30 days after the trip, [p:" in answer


def test_both_sides_of_a_comparison_are_searched_and_answered(handbook: list[BaseTool]) -> None:
    messages = converse("Compare sick leave and travel expenses", handbook)
    first = messages[1]
    assert isinstance(first, AIMessage)
    assert len(first.tool_calls) == 3
    assert "Report sick leave by phone" in messages[-1].text
    assert "hand in receipts within 30 days" in messages[-1].text


@pytest.mark.parametrize("question", ["Who won the chess olympiad in 1984?", "How do I bake sourdough bread?"])
def test_what_the_documents_do_not_say_is_not_answered(handbook: list[BaseTool], question: str) -> None:
    messages = converse(question, handbook)
    searched = [str(args["query"]) for name, args in calls_in(messages) if name == "search_documents"]
    assert messages[-1].text.startswith("The documents do not answer this.")
    assert all(f'"{query}"' in messages[-1].text for query in searched)
    assert cited_ids(messages[-1].text) == []


def test_one_part_of_a_question_may_be_answered_and_the_other_not(handbook: list[BaseTool]) -> None:
    answer = converse("How many days of leave do I get, and who won the chess olympiad?", handbook)[-1].text
    assert "28 days" in answer
    assert "The documents do not say: Who won the chess olympiad?" in answer


def test_a_follow_up_leans_on_the_question_before_it(handbook: list[BaseTool]) -> None:
    messages = [
        HumanMessage("How do I report sick leave?"),
        AIMessage("By phone."),
        HumanMessage("And when does it need a certificate?"),
    ]
    reply = MODEL.bind_tools(handbook).invoke(messages)
    found = handbook[0].invoke(reply.tool_calls[0])
    assert "third day" in MODEL.bind_tools(handbook).invoke([*messages, reply, found]).text


def test_passages_in_the_request_are_enough_to_answer_from() -> None:
    answer = text_of(f"Does SQLite need a server?{PASSAGES}")
    assert "It needs no server and stores everything in one file. [p:0000000001]" in answer


def test_a_text_that_comes_with_the_question_is_repeated_and_said_to_be() -> None:
    text = "The mill was built in 1804. It burned down twice. Today the mill is a museum with a cafe."
    answer = text_of(f"Summarise this text:\n\n{text}")
    assert answer.startswith("Only what was given, repeated:")
    assert "Today the mill is a museum with a cafe." in answer


def test_a_question_that_the_given_text_does_not_answer_is_not_answered() -> None:
    answer = text_of("Who painted the ceiling?\n\nContext:\nThe mill was built in 1804. It burned down twice.")
    assert answer == "The given text does not answer this."


def test_contributions_of_other_agents_are_kept_apart() -> None:
    answer = text_of("Join the results.\n\nContext from anna:\nThe mill is old.\n\nContext from bob:\nThe mill is red.")
    assert "anna: The mill is old." in answer
    assert "bob: The mill is red." in answer


def test_when_all_others_abstain_the_join_abstains() -> None:
    nothing = 'The documents do not answer this. Searched for: "x".'
    assert (
        text_of(f"Join.\n\nContext from a:\n{nothing}\n\nContext from b:\n{nothing}")
        == "The documents do not answer this."
    )


def test_with_nothing_to_quote_it_says_what_it_is_and_what_to_set() -> None:
    answer = text_of("Tell me a joke")
    assert "No language model is configured" in answer
    assert "OPENAI_API_KEY" in answer
    assert "OPENAI_BASE_URL" in answer


def test_system_prompts_are_never_quoted() -> None:
    answer = text_of("What do bees eat?", system="You know that bees eat honey. Bees eat pollen, too.")
    assert "honey" not in answer


# Tools


def test_searching_ends_and_no_call_is_made_twice(handbook: list[BaseTool]) -> None:
    calls = calls_in(converse("How is the orbit of Saturn measured by leave requests of travel agents?", handbook))
    assert 1 <= len(calls) <= 6
    assert len({repr(call) for call in calls}) == len(calls)


def test_a_greeting_is_not_searched_for(handbook: list[BaseTool]) -> None:
    assert calls_in(converse("Hello there!", handbook)) == []


def test_a_passage_that_breaks_off_is_read_further() -> None:
    start = "Green tea is steeped at 70 degrees. Black tea is steeped at"
    part = render_passages([passage(1, "tea.md", "Tea", start)])
    whole = render_passages([passage(1, "tea.md", "Tea", f"{start} 95 degrees.")])

    @tool
    def search(query: str) -> str:
        """Search the documents."""
        return part

    @tool
    def read_passage(passage_id: str) -> str:
        """Read a passage with its neighbours."""
        return whole

    messages = converse("How hot is tea steeped?", [search, read_passage])
    assert ("read_passage", {"passage_id": "p:0000000001"}) in calls_in(messages)
    assert "95 degrees" in messages[-1].text


def test_after_a_failed_search_the_next_search_tool_is_asked() -> None:
    def broken(query: str) -> str:
        """Search the archive."""
        raise ToolException("Error: the archive is down")

    @tool
    def search_web(query: str) -> str:
        """Search the web."""
        return "Tea is made from the leaves of Camellia sinensis."

    archive = StructuredTool.from_function(broken, name="search_archive", handle_tool_error=True)
    messages = converse("What is tea made from?", [archive, search_web])
    assert [name for name, _ in calls_in(messages)] == ["search_archive", "search_web"]
    assert "Camellia sinensis" in messages[-1].text


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@tool
def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Get the current weather for a city."""
    return f"21 degrees {unit} in {city}"


@tool
def get_order(order_id: str) -> str:
    """Look up an order by its id."""
    return '{"status": "shipped"}'


@tool
def send_email(to: str, subject: str, body: str) -> str:
    """Send an e-mail."""
    return "sent"


@tool
def delete_user(name: str) -> str:
    """Delete the account of a user."""
    return "deleted"


TOOLS: list[BaseTool] = [multiply, get_weather, get_order, send_email, delete_user]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("What is 17 times 23?", [("multiply", {"a": 17, "b": 23})]),
        ("What is the weather in Berlin in fahrenheit?", [("get_weather", {"city": "Berlin", "unit": "fahrenheit"})]),
        ("Where is my order A-1042?", [("get_order", {"order_id": "A-1042"})]),
        ("Delete the user Anna", [("delete_user", {"name": "Anna"})]),
        (
            "Send an email to anna@example.org about the meeting: 'We meet at noon.'",
            [("send_email", {"to": "anna@example.org", "subject": "meeting", "body": "We meet at noon."})],
        ),
        (
            "Multiply 6 by 7 and get the weather in Paris",
            [("multiply", {"a": 6, "b": 7}), ("get_weather", {"city": "Paris", "unit": "celsius"})],
        ),
    ],
)
def test_tools_are_chosen_and_filled_from_the_words_of_the_task(
    task: str, expected: list[tuple[str, dict[str, object]]]
) -> None:
    assert calls_in(converse(task, TOOLS)) == expected


@pytest.mark.parametrize("task", ["Tell me about the user Anna", "What do you think of Anna's account?"])
def test_a_tool_that_changes_something_is_not_called_without_its_verb(task: str) -> None:
    assert ("delete_user", {"name": "Anna"}) not in calls_in(converse(task, TOOLS))


def test_the_result_of_a_tool_is_given_with_the_name_of_the_tool() -> None:
    assert converse("What is 17 times 23?", TOOLS)[-1].text == "multiply: 391"


def test_a_task_that_belongs_to_another_agent_is_handed_over_once() -> None:
    @tool
    def transfer_to_billing(reason: str) -> str:
        """Hand over to billing, who handles invoices and refunds."""
        return "transferred"

    support = "You are technical support. You solve crashes and errors."
    handed = converse("I want a refund for my invoice", [transfer_to_billing], system=support)
    assert [name for name, _ in calls_in(handed)] == ["transfer_to_billing"]
    assert calls_in(converse("My application crashes with an error", [transfer_to_billing], system=support)) == []


@pytest.mark.parametrize(
    "choice", ["any", "required", "multiply", True, {"type": "function", "function": {"name": "multiply"}}]
)
def test_a_forced_call_is_made_with_valid_arguments(choice: str | bool) -> None:
    reply = MODEL.bind_tools([multiply], tool_choice=choice).invoke("Tell me a joke")
    assert reply.tool_calls[0]["name"] == "multiply"
    assert multiply.invoke(reply.tool_calls[0]["args"]) == 0


def test_no_call_is_made_when_calls_are_forbidden(handbook: list[BaseTool]) -> None:
    assert MODEL.bind_tools(handbook, tool_choice="none").invoke("How many days of leave do I get?").tool_calls == []


def test_an_agent_answers_with_citations_from_its_tools(handbook: list[BaseTool]) -> None:
    agent = create_agent(MODEL, handbook, system_prompt="You answer from the handbook.")
    answer = agent.invoke({"messages": [HumanMessage("How many days of leave do I get?")]})["messages"][-1]
    assert "28 days of paid leave" in answer.text
    assert cited_ids(answer.text)


# The model


def test_it_says_what_it_is() -> None:
    message = MODEL.invoke("Tell me a joke")
    assert MODEL._llm_type == "extractive"
    assert message.response_metadata["model_name"] == "extractive"
    assert message.response_metadata["model_provider"] == "orchestra"
    assert "not a language model" in ENGINE_NOTICE
    assert "not a language model" in ENGINE_LABEL


def test_usage_is_counted() -> None:
    short, long = (
        MODEL.invoke("What is tea?").usage_metadata,
        MODEL.invoke(f"Does SQLite need a server?{PASSAGES}").usage_metadata,
    )
    assert short is not None
    assert long is not None
    assert 0 < short["input_tokens"] < long["input_tokens"]
    assert long["total_tokens"] == long["input_tokens"] + long["output_tokens"]


def test_a_stream_gives_words_and_the_same_message() -> None:
    question = f"Does SQLite need a server?{PASSAGES}"
    chunks = list(MODEL.stream(question))
    joined = chunks[0]
    for chunk in chunks[1:]:
        joined += chunk
    whole = MODEL.invoke(question)
    assert len(chunks) > 10
    assert isinstance(joined, AIMessageChunk)
    assert joined.text == whole.text
    assert joined.usage_metadata == whole.usage_metadata
    assert joined.response_metadata["model_name"] == "extractive"


def test_tool_calls_are_streamed_too(handbook: list[BaseTool]) -> None:
    bound = MODEL.bind_tools(handbook)
    joined: AIMessageChunk | None = None
    for chunk in bound.stream("How many days of leave do I get?"):
        assert isinstance(chunk, AIMessageChunk)
        joined = chunk if joined is None else joined + chunk
    assert joined is not None
    assert joined.tool_calls == bound.invoke("How many days of leave do I get?").tool_calls


async def test_the_async_doors_give_the_same() -> None:
    question = f"Does SQLite need a server?{PASSAGES}"
    streamed = [chunk.text async for chunk in MODEL.astream(question)]
    assert (await MODEL.ainvoke(question)).text == "".join(streamed) == MODEL.invoke(question).text


def test_a_stop_word_ends_the_text() -> None:
    assert "one file" not in MODEL.invoke(f"Does SQLite need a server?{PASSAGES}", stop=["stores"]).text


def test_the_same_request_gives_the_same_reply_in_every_process() -> None:
    script = (
        "from handbook import PASSAGES; from nodes import ExtractiveChatModel as M; "
        "print(M().invoke('Compare SQLite and PostgreSQL. How many connections are allowed?' + PASSAGES).text)"
    )
    root = Path(__file__).parent
    replies = set()
    for seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(root), str(root.parent)]),
        }
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        replies.add(run.stdout)
    assert len(replies) == 1
    assert "100 concurrent connections" in replies.pop()


def test_call_ids_differ_within_a_conversation(handbook: list[BaseTool]) -> None:
    messages = converse("How is the orbit of Saturn measured by leave requests?", handbook)
    ids = [call["id"] for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    assert len(set(ids)) == len(ids) > 1


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=400),
    st.sampled_from(["", "Draft:\n", "Context from a:\n", "Summarise: ", "1. "]),
    st.text(max_size=400),
)
def test_any_text_gets_a_reply(before: str, header: str, after: str) -> None:
    message = MODEL.invoke(
        [SystemMessage(after), HumanMessage(f"{before}\n\n{header}{after}"), ToolMessage(before, tool_call_id="x")]
    )
    assert message.text.strip()
