"""Response schemas of all kinds, filled by the extractive engine as far as the request allows, and always valid."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from pydantic import AnyUrl, BaseModel, Field, create_model
from typing_extensions import TypedDict

from handbook import PASSAGES, handbook_tools
from nodes import ExtractiveChatModel
from tools.passage import CITATION, cited_ids

MODEL = ExtractiveChatModel()
WORKERS = (
    "Choose who should work.\n- billing: Handles invoices, payments and refunds.\n"
    "- tech: Solves crashes, errors and installation problems.\n- sales: Answers questions about prices and plans."
)


def fill(schema: type[Any], request: str, *, system: str = "") -> Any:
    messages = [*([SystemMessage(system)] if system else []), HumanMessage(request)]
    return MODEL.with_structured_output(schema).invoke(messages)


class Split(BaseModel):
    items: list[str]


class Quote(BaseModel):
    passage: str
    quote: str


class Findings(BaseModel):
    answer: str
    quotes: list[Quote]
    missing: str = ""


class Route(BaseModel):
    agents: list[str]
    confidence: float = Field(ge=0, le=1)
    reason: str


class Person(BaseModel):
    name: str
    age: int
    email: str
    city: str | None = None


# Parts of a task


@pytest.mark.parametrize(
    ("task", "items"),
    [
        ("Compare lists and tuples", ["What are lists?", "What are tuples?", "Compare lists and tuples"]),
        ("How do refunds work and who approves them?", ["How do refunds work?", "Who approves them?"]),
        ("What is a closure? What is a scope?", ["What is a closure?", "What is a scope?"]),
        ("Launch:\n1. Write copy\n2. Test it\n3. Ship", ["Write copy", "Test it", "Ship"]),
        (
            "Explain decorators, generators and coroutines.",
            ["Explain decorators", "Explain generators", "Explain coroutines"],
        ),
        ("How are names resolved?", ["How are names resolved?"]),
        (
            "What is a generator and how does it differ from an iterator?",
            ["What is a generator?", "How does a generator differ from an iterator?"],
        ),
    ],
)
def test_a_task_is_split_into_its_parts(task: str, items: list[str]) -> None:
    assert fill(Split, task).items == items


class Subtask(BaseModel):
    id: str
    task: str
    agent: str
    depends_on: list[str] = Field(default_factory=list)


class Plan(BaseModel):
    subtasks: list[Subtask]


def test_a_plan_has_unique_ids_fitting_agents_and_no_missing_dependency() -> None:
    team = "- researcher: Researches and finds facts.\n- writer: Writes summaries and texts."
    plan = fill(Plan, "Research the history of tea, then write a summary.", system=team)
    assert [subtask.agent for subtask in plan.subtasks] == ["researcher", "writer"]
    first, second = plan.subtasks
    assert first.depends_on == []
    assert second.depends_on == [first.id] != [second.id]


# Choices


@pytest.mark.parametrize(
    ("task", "agent"),
    [
        ("My application crashes with an error at startup", "tech"),
        ("Please refund the payment of my last invoice", "billing"),
        ("What does the premium plan cost?", "sales"),
    ],
)
def test_a_route_goes_to_the_agent_whose_description_fits(task: str, agent: str) -> None:
    route = fill(Route, task, system=WORKERS)
    assert route.agents == [agent]
    assert route.confidence > 0.3


def test_a_task_that_fits_nobody_is_routed_with_no_confidence() -> None:
    assert fill(Route, "Sing me a song", system=WORKERS).confidence < 0.2


class Ticket(BaseModel):
    category: Literal["billing", "technical", "account", "other"]
    priority: Literal["low", "medium", "high"]
    needs_human: bool


class Mood(BaseModel):
    label: Literal["positive", "negative", "neutral"]


@pytest.mark.parametrize(
    ("text", "category", "priority"),
    [
        ("I was charged twice on my invoice. No rush.", "billing", "low"),
        ("The app crashes with an error, all users are blocked, this is urgent!", "technical", "high"),
        ("Please reset my password.", "account", "medium"),
        ("The sky is blue.", "other", "medium"),
    ],
)
def test_texts_are_sorted_into_categories_by_name(text: str, category: str, priority: str) -> None:
    ticket = fill(Ticket, text)
    assert (ticket.category, ticket.priority) == (category, priority)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I love it, great!", "positive"),
        ("It is broken and slow.", "negative"),
        ("It is not good.", "negative"),
        ("It is a box.", "neutral"),
    ],
)
def test_the_mood_of_a_text_is_told(text: str, label: str) -> None:
    assert fill(Mood, f"What is the sentiment of this review? {text}").label == label


class Delegation(BaseModel):
    """Give a task to a worker."""

    agent: str
    task: str


class Finish(BaseModel):
    """End with the answer."""

    answer: str


def test_of_two_schemas_the_one_that_acts_is_filled_until_there_is_a_result() -> None:
    agent = create_agent(MODEL, [], system_prompt=WORKERS, response_format=ToolStrategy(Delegation | Finish))
    task = "What does the premium plan cost?"
    before = agent.invoke({"messages": [HumanMessage(task)]})["structured_response"]
    result = f"{task}\n\nContext from sales:\nThe premium plan costs 20 euros."
    after = agent.invoke({"messages": [HumanMessage(result)]})["structured_response"]
    assert before == Delegation(agent="sales", task=task)
    assert isinstance(after, Finish)
    assert "20 euros" in after.answer


class Flag(BaseModel):
    reason: str
    answer: bool


class Word(BaseModel):
    reason: str
    answer: str


class Ledger(BaseModel):
    is_request_satisfied: Flag
    is_in_loop: Flag
    next_speaker: Word


def test_a_ledger_follows_what_was_said() -> None:
    task = "What does the premium plan cost?"
    said = "\n\nContext from sales:\nThe premium plan costs 20 euros."
    assert not fill(Ledger, task, system=WORKERS).is_request_satisfied.answer
    assert fill(Ledger, task, system=WORKERS).next_speaker.answer == "sales"
    assert fill(Ledger, task + said, system=WORKERS).is_request_satisfied.answer
    assert not fill(Ledger, task + said, system=WORKERS).is_in_loop.answer
    assert fill(Ledger, task + said + said, system=WORKERS).is_in_loop.answer


class Judgement(BaseModel):
    winner: str
    scores: dict[str, float]


def test_the_contribution_with_sound_citations_wins() -> None:
    request = (
        f"Does SQLite need a server?{PASSAGES}\n\nContext from anna:\nSQLite needs a server. [p:0000000001]"
        "\n\nContext from bob:\nIt needs no server and stores everything in one file. [p:0000000001]"
    )
    judgement = fill(Judgement, request)
    assert judgement.winner == "bob"
    assert judgement.scores["bob"] > judgement.scores["anna"]


# Values in text


def test_a_person_is_read_from_prose_and_from_labels() -> None:
    anna = fill(
        Person, "Extract the person: Anna Schmidt is 34 years old, lives in Berlin, and writes from anna@example.org."
    )
    bob = fill(Person, "Extract the person from this text:\nName: Bob Lee\nAge: 51\nEmail: bob@lee.io")
    assert anna == Person(name="Anna Schmidt", age=34, email="anna@example.org", city="Berlin")
    assert bob == Person(name="Bob Lee", age=51, email="bob@lee.io", city=None)


class Invoice(BaseModel):
    invoice_number: str
    vendor: str
    total: float
    due_date: date
    currency: Literal["USD", "EUR"] | None = None


def test_an_invoice_is_read() -> None:
    found = fill(Invoice, "Invoice INV-2024-001 from Acme Corp. Total: 1,250.50 EUR, due 2024-03-15.")
    assert found == Invoice(
        invoice_number="INV-2024-001", vendor="Acme Corp", total=1250.5, due_date=date(2024, 3, 15), currency="EUR"
    )


class People(BaseModel):
    people: list[Person]


def test_each_line_of_a_list_gives_one_record() -> None:
    found = fill(
        People, "Extract all people:\n- Anna Schmidt, 34, anna@example.org, Berlin\n- Bob Lee, 51, bob@lee.io, Paris"
    )
    assert [(p.name, p.age, p.city) for p in found.people] == [("Anna Schmidt", 34, "Berlin"), ("Bob Lee", 51, "Paris")]


def test_what_the_text_does_not_say_is_left_empty() -> None:
    person = fill(Person, "Extract the person from this text: The house is old and stands on a hill.")
    assert (person.age, person.email, person.city) == (0, "", None)


# Evidence


def test_findings_are_gathered_with_tools_before_the_schema_is_filled(tmp_path: Path) -> None:
    agent = create_agent(MODEL, handbook_tools(tmp_path / "docs"), response_format=ToolStrategy(Findings))
    state = agent.invoke({"messages": [HumanMessage("How many days of paid leave are there?")]})
    names = [
        call["name"] for message in state["messages"] if isinstance(message, AIMessage) for call in message.tool_calls
    ]
    findings = state["structured_response"]
    assert names[0] == "search_documents"
    assert names[-1] == "Findings"
    assert "28 days" in findings.answer
    assert findings.missing == ""
    assert {quote.passage for quote in findings.quotes} <= {*cited_ids(findings.answer)}
    assert all(quote.quote in CITATION.sub("", findings.answer) for quote in findings.quotes)


def test_findings_say_what_is_missing(tmp_path: Path) -> None:
    agent = create_agent(MODEL, handbook_tools(tmp_path / "docs"), response_format=ToolStrategy(Findings))
    findings = agent.invoke({"messages": [HumanMessage("Who won the chess olympiad?")]})["structured_response"]
    assert findings.quotes == []
    assert findings.missing.startswith("Not in the documents; searched for: ")


class Checked(BaseModel):
    question: str
    found: bool
    sources: list[str]
    confidence: float = Field(ge=0, le=100, description="Percent.")
    verdict: Literal["supported", "not_supported"]


def test_flags_and_shares_follow_the_evidence() -> None:
    known = fill(Checked, f"Does SQLite need a server?{PASSAGES}")
    unknown = fill(Checked, f"Who painted the Sistine Chapel?{PASSAGES}")
    assert (known.found, known.sources, known.verdict) == (True, ["db.md"], "supported")
    assert (unknown.found, unknown.sources, unknown.verdict) == (False, [], "not_supported")
    assert known.confidence > 50 > unknown.confidence


class Side(BaseModel):
    name: str
    summary: str


class Comparison(BaseModel):
    options: list[Side]


def test_a_comparison_has_an_entry_for_each_side() -> None:
    found = fill(Comparison, f"Compare SQLite and PostgreSQL{PASSAGES}")
    assert [option.name for option in found.options] == ["SQLite", "PostgreSQL"]
    assert "embedded database. [p:0000000001]" in found.options[0].summary


# Doors


class AsDict(TypedDict):
    """An answer."""

    answer: str
    confidence: float


def test_json_text_is_given_where_a_response_format_asks_for_it() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "Split", "schema": Split.model_json_schema()}}
    text = MODEL.bind_tools([], response_format=form).invoke("Compare lists and tuples").text
    assert json.loads(text)["items"][0] == "What are lists?"


def test_a_typed_dict_and_a_json_schema_are_filled() -> None:
    typed = MODEL.with_structured_output(AsDict).invoke(f"Does SQLite need a server?{PASSAGES}")
    schema = {"title": "Named", "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    plain = MODEL.with_structured_output(schema).invoke("What is a closure?")
    assert isinstance(typed, dict)
    assert "no server" in typed["answer"]
    assert plain == {"title": "Closure"}


# Validity


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 5


class Tree(BaseModel):
    name: str
    children: list[Tree] = Field(default_factory=list)


class First(BaseModel):
    kind: Literal["first"]
    value: int


class Second(BaseModel):
    kind: Literal["second"]
    text: str


LEAVES: list[Any] = [
    str, int, float, bool, date, datetime, UUID, Decimal, AnyUrl, Colour, Level, Tree, Quote, dict[str, Any], list[Any], Any,
    Literal["accept", "revise"], Literal["low", "medium", "high"], Literal[1, 2, 3], Literal["x"], First | Second,
    Annotated[First | Second, Field(discriminator="kind")], Annotated[int, Field(ge=1, le=5)], Annotated[int, Field(gt=10)],
    Annotated[float, Field(gt=0, lt=1)], Annotated[int, Field(multiple_of=7, ge=1)], Annotated[str, Field(min_length=3)],
    Annotated[str, Field(max_length=10)], Annotated[str, Field(min_length=5, max_length=8)],
    Annotated[str, Field(pattern=r"^[a-z]+$")], Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")],
    Annotated[str, Field(pattern=r"^[A-Z]{3}-\d+$")], Annotated[str, Field(pattern=r"^(north|south)_v\d{2,}$")],
]  # fmt: skip
FIELD_NAMES = (
    "answer summary title reason score confidence items steps quotes verdict issues agent name email age date url source_id "
    "citations is_ok needs_review count tags priority sentiment winner scores plan people total foo x value notes rating missing "
    "depends_on category risk next_step"
)
REQUESTS = (
    f"Does SQLite need a server?{PASSAGES}",
    "Tell me a joke",
    "Extract: Anna Schmidt, 34, anna@example.org, Berlin, 2024-03-05.",
    f"Review it.\n\nDraft:\nSQLite needs a server. [p:0000000001]{PASSAGES}",
    "1. Do this\n2. Do that\n\nContext from anna:\nThe result is 5.",
)


def of(origin: Any, *arguments: Any) -> Any:
    """Apply a generic type to types that are known only at run time."""
    return origin[arguments if len(arguments) > 1 else arguments[0]]


def types(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda t: of(Optional, t)),
        inner.map(lambda t: of(list, t)),
        inner.map(lambda t: of(Annotated, of(list, t), Field(min_length=2, max_length=3))),
        inner.map(lambda t: of(dict, str, t)),
        st.tuples(inner, inner).map(lambda pair: of(tuple, *pair)),
    )


SCHEMAS = st.dictionaries(
    st.sampled_from(FIELD_NAMES.split()),
    st.recursive(st.sampled_from(LEAVES), types, max_leaves=3),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, st.sampled_from(REQUESTS))
def test_every_answer_is_valid_against_its_schema(fields: dict[str, Any], request_text: str) -> None:
    definitions: Any = {name: (kind, ...) for name, kind in fields.items()}
    schema = create_model("Made", **definitions)
    answer = MODEL.with_structured_output(schema, include_raw=True).invoke(request_text)
    assert isinstance(answer, dict)
    assert answer["parsing_error"] is None
    assert isinstance(answer["parsed"], schema)
