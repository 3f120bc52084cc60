"""Every graph over `orchestra dev`, driven with `langgraph_sdk` as Studio and chat clients drive it: one server for all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple, cast
from uuid import uuid4

import pytest
from click.testing import CliRunner

from chat_client import ChatClient, buttons
from graphs.registry import REGISTRY
from orchestra.__main__ import command
from state import Context, open_persistence

if find_spec("langgraph_api") is None:
    pytest.skip("needs the server: pip install 'orchestra-agents[studio]'", allow_module_level=True)

from dev_server import ROOT, Server, free_port, started, stopped

pytestmark = pytest.mark.loopback

QUESTION = "How does Python resolve a name in a nested scope?"
ASKING = '''
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from graphs import parallel, plan_execute, review, single
from graphs.teams import research
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import call

PAID = []


class Echo(BaseChatModel):
    @property
    def _llm_type(self):
        return "echo"

    def _generate(self, messages, stop=None, run_manager=None, **more):
        return ChatResult(generations=[ChatGeneration(message=AIMessage(messages[0].text))])


def pay(amount: int) -> str:
    """Pay an amount."""
    PAID.append(amount)
    return f"paid {PAID}"


def clerk(name, *steps):
    return Agent(name, model=ScriptedChatModel(steps), tools=[pay], policy=Policy(approve=("pay",)))


twice = [call("pay", amount=5), call("pay", amount=600), "Both are paid."]
report = research.build(approve_report=True).compile(name="report")
plan = plan_execute.build(approve_plan=True).compile(name="plan")
payments = single.build(clerk("clerk", *twice * 3)).compile(name="payments")
repeated = single.build(clerk("clerk", *twice)).compile(name="repeated")
purchases = single.build(clerk("clerk", call("pay", amount=5), "It is paid.", call("pay", amount=5), "No.")).compile(
    name="purchases"
)
two_clerks = parallel.build([clerk("ann", *twice), clerk("bob", *twice)]).compile(name="two_clerks")
accepted = review.build(critics=[HumanAgent("editor", prompt="Is it short enough?")]).compile(name="accepted")
told = single.build(Agent("teller", prompt="Be brief.", model=Echo())).compile(name="told")
'''
EARLIER = "7d9f3c52-4c53-4f0c-8f5e-3a2b1c0d9e8f"
"""Thread of a run before the server is started."""
EXTRA = ("report", "plan", "payments", "purchases", "repeated", "two_clerks", "accepted", "told")
CONFIG: dict[str, Any] = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))

every_graph = pytest.mark.parametrize("name", list(REGISTRY))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve every pattern and team, and a few graphs that ask, from a folder and a database of their own."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "asking.py").write_text(ASKING, encoding="utf-8")
    graphs = {name: f"{entry.module.replace('.', '/')}.py:graph" for name, entry in REGISTRY.items()}
    served = {name: str(ROOT / path) for name, path in graphs.items()}
    config = {"dependencies": ["."], "graphs": served | {name: f"./asking.py:{name}" for name in EXTRA}}
    (folder / "langgraph.json").write_text(json.dumps(config), encoding="utf-8")
    with open_persistence(f"sqlite:///{folder / '.orchestra' / 'runs.db'}") as persistence:
        earlier = REGISTRY["parallel"].load().build().compile(persistence.checkpointer, name="parallel")
        earlier.invoke({"task": QUESTION}, {"configurable": {"thread_id": EARLIER}})
    server = started(folder, "--port", str(free_port()))
    try:
        yield server
    finally:
        stopped(server)


def _assistant(server: Server, name: str) -> str:
    (assistant,) = server.client.assistants.search(graph_id=name)
    return assistant["assistant_id"]


def _database(server: Server) -> str:
    return f"sqlite:///{server.folder / '.orchestra' / 'runs.db'}"


def _orchestra(server: Server, *words: str) -> Any:
    """Run the command on the server's database while it is up, and return what it gives to machines."""
    result = CliRunner().invoke(command, [*words, "--db", _database(server), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def _state(server: Server, thread: str) -> dict[str, Any]:
    return cast("dict[str, Any]", server.client.threads.get_state(thread))


# What Studio draws.


@every_graph
def test_the_form_of_a_graph_has_a_description_and_limits_for_every_knob(server: Server, name: str) -> None:
    schemas = cast("dict[str, Any]", server.client.assistants.get_schemas(_assistant(server, name)))
    assert set(schemas["input_schema"]["properties"]) == {"messages", "task"}
    assert "required" not in schemas["input_schema"]
    assert set(schemas["output_schema"]["properties"]) >= {"answer", "status", "reason", "outcomes", "messages"}
    context = schemas["context_schema"]
    assert "required" not in context
    fields = {**context["properties"], **context["$defs"]["Budget"]["properties"]}
    assert "secrets" not in fields
    for field, shape in fields.items():
        assert shape.get("description"), field
        assert "default" in shape, field
        kinds = [shape, *shape.get("anyOf", [])]
        for kind in kinds:
            if kind.get("type") in ("integer", "number"):
                assert "minimum" in kind or "exclusiveMinimum" in kind, field
        for kind in kinds:
            if field.startswith("max_") and kind.get("type") == "integer":
                assert "maximum" in kind, field


@every_graph
def test_studio_can_edit_the_prompt_of_every_agent_at_the_nodes_where_it_works(server: Server, name: str) -> None:
    assistant = _assistant(server, name)
    schema = cast("dict[str, Any]", server.client.assistants.get_schemas(assistant))["context_schema"]
    drawn = {str(node["id"]) for node in server.client.assistants.get_graph(assistant)["nodes"]}
    prompts = {field: shape for field, shape in schema["properties"].items() if "langgraph_nodes" in shape}
    assert prompts
    for field, shape in prompts.items():
        assert shape["langgraph_type"] == "prompt"
        assert field.endswith("_prompt")
        assert shape["default"]
        assert set(shape["langgraph_nodes"]) <= drawn


@every_graph
def test_the_picture_has_every_branch_as_an_edge_and_marks_the_decisions(server: Server, name: str) -> None:
    drawing = server.client.assistants.get_graph(_assistant(server, name), xray=True)
    local = REGISTRY[name].load().graph.get_graph(xray=True)
    nodes = {str(node["id"]) for node in drawing["nodes"]}
    assert nodes == set(local.nodes) >= {"__start__", "begin", "finish", "__end__"}
    edges = {(edge["source"], edge["target"]): edge for edge in drawing["edges"]}
    assert set(edges) == {(edge.source, edge.target) for edge in local.edges}
    for edge in local.edges:
        drawn = edges[edge.source, edge.target]
        assert bool(drawn.get("conditional")) == edge.conditional
        assert drawn.get("data") == edge.data
    assert all(any(node == target for _, target in edges) for node in nodes - {"__start__"})


FAN_OUT = {
    "parallel": ("begin", {"assistant", "skeptic"}),
    "map_reduce": ("splitter", {"assistant"}),
    "router": ("router", {"assistant", "writer"}),
    "supervisor": ("supervisor", {"assistant", "writer"}),
    "debate": ("begin", {"proponent", "opponent"}),
    "review": ("writer", {"critic"}),
    "handoff": ("assistant", {"writer"}),
    "magentic": ("progress", {"assistant", "writer"}),
    "group_chat": ("assistant", {"skeptic"}),
    "adaptive": ("choose", {"single", "sequential", "parallel", "hierarchical", "hybrid"}),
    "support": ("reception", {"frontline", "order_desk", "refunds_desk"}),
    "competitive": ("scope", {"researcher"}),
}


@pytest.mark.parametrize("name", FAN_OUT)
def test_the_picture_shows_where_work_fans_out(server: Server, name: str) -> None:
    drawing = server.client.assistants.get_graph(_assistant(server, name))
    source, targets = FAN_OUT[name]
    assert targets <= {str(edge["target"]) for edge in drawing["edges"] if edge["source"] == source}


def test_the_picture_shows_the_teams_in_a_team_and_who_works_in_a_plan(server: Server) -> None:
    drawing = server.client.assistants.get_graph(_assistant(server, "research"), xray=True)
    edges = {(edge["source"], edge["target"]) for edge in drawing["edges"]}
    assert ("investigate:planner", "investigate:researcher") in edges
    assert {("compose:writer", "compose:citation_check"), ("compose:writer", "compose:fact_checker")} <= edges
    for name in ("plan_execute", "hierarchical"):
        nodes = {node["id"]: node for node in server.client.assistants.get_graph(_assistant(server, name))["nodes"]}
        assert nodes["execute"]["metadata"]["workers"] == "assistant, writer"


# Run, stream, history, fork.


class Driven(NamedTuple):
    """A thread after one run, and the parts of its stream."""

    thread: str
    parts: list[tuple[str, Any]]


@pytest.fixture(scope="module")
def driven(server: Server) -> dict[str, Driven]:
    """Run every graph once, all at the same time, with messages alone."""
    modes: Any = ["values", "updates", "messages-tuple", "custom"]
    given: Any = {"messages": [{"role": "user", "content": QUESTION}]}
    threads = {name: server.client.threads.create()["thread_id"] for name in REGISTRY}
    runs = {
        name: server.client.runs.create(thread, name, input=given, stream_mode=modes, stream_resumable=True)["run_id"]
        for name, thread in threads.items()
    }
    return {
        name: Driven(
            thread,
            [
                (part.event, part.data)
                for part in server.client.runs.join_stream(thread, runs[name], last_event_id="-1")
            ],
        )
        for name, thread in threads.items()
    }


@every_graph
def test_a_run_streams_values_updates_and_events_and_no_error(driven: dict[str, Driven], name: str) -> None:
    kinds: dict[str, list[Any]] = {}
    for kind, data in driven[name].parts:
        kinds.setdefault(kind, []).append(data)
    assert "error" not in kinds
    ran = [node for update in kinds["updates"] for node in update]
    assert (ran[0], ran[-1]) == ("begin", "finish")
    assert kinds["values"][-1]["answer"] == kinds["updates"][-1]["finish"]["answer"]
    events = [event["kind"] for event in kinds["custom"]]
    assert {"agent_started", "agent_finished"} <= set(events)
    assert [message["type"] for message in kinds["values"][-1]["messages"]] == ["human", "ai"]


@every_graph
def test_a_thread_has_a_history_and_can_be_forked_from_its_first_step(
    server: Server, driven: dict[str, Driven], name: str
) -> None:
    client, thread = server.client, driven[name].thread
    history = cast("list[dict[str, Any]]", client.threads.get_history(thread, limit=1000))
    assert history[0]["values"]["answer"]
    assert history[0]["next"] == []
    begun = next(each for each in history if each["next"] == ["begin"])
    changed = client.threads.update_state(
        thread, {"messages": [{"role": "user", "content": "What is a module?"}]}, checkpoint=begun["checkpoint"]
    )
    fork = cast("dict[str, Any]", client.threads.get_state(thread, checkpoint=cast("Any", changed["checkpoint"])))
    assert fork["values"]["messages"][-1]["content"] == "What is a module?"
    assert fork["parent_checkpoint"]["checkpoint_id"] == begun["checkpoint"]["checkpoint_id"]


@pytest.mark.parametrize("name", ["single", "parallel", "research"])
def test_a_run_from_a_checkpoint_goes_another_way_and_keeps_the_first(
    server: Server, driven: dict[str, Driven], name: str
) -> None:
    client, thread = server.client, driven[name].thread
    history = cast("list[dict[str, Any]]", client.threads.get_history(thread, limit=1000))
    before = next(each for each in history if each["next"] == ["begin"])
    given: Any = {"messages": [{"role": "user", "content": "What does the nonlocal statement do?"}]}
    result = cast(
        "dict[str, Any]", client.runs.wait(thread, name, input=given, checkpoint=cast("Any", before["checkpoint"]))
    )
    assert result["answer"]
    assert result["goal"] == "What does the nonlocal statement do?"
    first = next(each for each in history if each["values"].get("goal") == QUESTION and not each["next"])
    kept = client.threads.get_state(thread, checkpoint=cast("Any", first["checkpoint"]))
    assert cast("dict[str, Any]", kept)["values"] == first["values"]


def test_a_prompt_from_the_form_is_what_the_model_is_told(server: Server) -> None:
    prompt = cast("dict[str, Any]", server.client.assistants.get_schemas(_assistant(server, "told")))["context_schema"]
    assert prompt["properties"]["teller_prompt"]["default"] == "Be brief."
    thread = server.client.threads.create()["thread_id"]
    given: Any = {"messages": [{"role": "user", "content": "Count."}]}
    context: Any = {"teller_prompt": "Speak like a pirate.", "max_rounds": 2}
    result = cast("dict[str, Any]", server.client.runs.wait(thread, "told", input=given, context=context))
    assert result["answer"] == "Speak like a pirate."
    assert cast("dict[str, Any]", server.client.runs.wait(thread, "told", input=given))["answer"] == "Be brief."


# Approvals, in the form that chat clients show and answer.


@pytest.mark.parametrize("names_checkpoint", [True, False])
def test_a_chat_client_shows_an_approval_and_answers_it_without_its_id(server: Server, names_checkpoint: bool) -> None:
    chat = ChatClient(server.client, "report", names_checkpoint=names_checkpoint)
    chat.say(QUESTION)
    (action,) = chat.shown()["value"]["action_requests"]
    (call,) = chat.messages[-1]["tool_calls"]
    assert (chat.messages[-1]["type"], call["name"], call["args"]) == ("ai", action["name"], action["args"])
    chat.answer("approve")
    assert chat.errors == []
    assert chat.open() is None
    assert [each["type"] for each in chat.messages] == ["human", "ai", "tool", "ai"]
    assert chat.messages[2]["tool_call_id"] == call["id"]


def test_an_answer_that_is_not_known_is_told_to_the_client_and_the_request_stays(server: Server) -> None:
    chat = ChatClient(server.client, "report")
    chat.say(QUESTION)
    chat.send({"resume": {"decisions": [{"type": "maybe"}]}})
    assert "Expected" in chat.errors[0]["message"]
    assert chat.open() is not None
    chat.send({"resume": {"0" * 32: {"decisions": [{"type": "approve"}]}}})
    assert "no open request" in chat.errors[0]["message"]
    assert chat.open() is not None


def test_tools_that_ask_one_after_the_other_are_answered_one_by_one(server: Server) -> None:
    chat = ChatClient(server.client, "payments")
    chat.say("Pay both.")
    for amount in (5, 600):
        assert chat.shown()["value"]["action_requests"][0]["args"] == {"amount": amount}
        chat.answer("approve")
        assert chat.errors == []
    assert chat.open() is None
    assert chat.messages[-1]["content"] == "Both are paid."
    chat.send({"resume": {"decisions": [{"type": "approve"}]}})
    assert "no requests are open" in chat.errors[0]["message"]


def test_a_second_click_that_comes_before_the_next_question_does_not_answer_it(server: Server) -> None:
    chat = ChatClient(server.client, "payments")
    chat.say("Pay both.")
    click: Any = {"resume": {"decisions": [{"type": "approve"}]}}
    runs = server.client.runs
    # Both wait a moment before they begin, so that the second one is sent before the first is answered.
    clicks = [runs.create(chat.thread, "payments", command=click, after_seconds=1) for _ in range(2)]
    for each in clicks:
        runs.join(chat.thread, each["run_id"])
    chat.look()
    assert [runs.get(chat.thread, each["run_id"])["status"] for each in clicks] == ["success", "error"]
    assert chat.open() is not None
    assert chat.shown()["value"]["action_requests"][0]["args"] == {"amount": 600}


def test_a_call_that_is_repeated_as_its_reply_was_lost_does_not_answer_the_next_question(server: Server) -> None:
    chat = ChatClient(server.client, "repeated")
    chat.say("Pay both.")
    statuses = []
    for _ in range(2):
        command: Any = {"resume": {"decisions": [{"type": "approve"}]}}
        run = server.client.runs.create(chat.thread, "repeated", command=command)["run_id"]
        while (status := server.client.runs.get(chat.thread, run)["status"]) in ("pending", "running"):
            pass
        statuses.append(status)
    assert statuses == ["success", "error"]
    chat.look()
    assert chat.shown()["value"]["action_requests"][0]["args"] == {"amount": 600}
    chat.answer("approve")
    assert chat.errors == []
    assert chat.open() is None


def test_of_several_open_requests_one_has_to_be_named(server: Server) -> None:
    chat = ChatClient(server.client, "two_clerks")
    chat.say("Pay both.")
    chat.answer("approve")
    assert "2 requests are open" in chat.errors[0]["message"]
    state = _state(server, chat.thread)
    first, second = (each["id"] for each in state["interrupts"])
    assert {first, second} == {each["id"] for each in _orchestra(server, "requests") if each["thread"] == chat.thread}
    chat.send({"resume": {each: {"decisions": [{"type": "approve"}]} for each in (first, second)}})
    assert chat.errors == []
    chat.look()
    assert len(_state(server, chat.thread)["interrupts"]) == 2  # each clerk's second payment


def test_a_tool_that_asks_is_shown_in_a_later_turn_too_and_to_chat_pages_alone(server: Server) -> None:
    chat = ChatClient(server.client, "purchases")
    chat.say("Pay it.")
    chat.answer("approve")
    chat.say("And again.")
    request = chat.shown()
    proposal = chat.messages[-1]
    (call,) = proposal["tool_calls"]
    assert (proposal["type"], proposal["name"], call["name"], call["args"]) == ("ai", "clerk", "pay", {"amount": 5})
    assert request["id"] in call["id"]
    for headers in (server.known(), server.known(origin="https://smith.langchain.com")):
        state = server.ask("GET", f"/threads/{chat.thread}/state", headers=headers).json()
        assert [each["type"] for each in state["values"]["messages"]] == ["human", "ai", "human"]
    chat.answer("reject", message="Once is enough.")
    assert chat.errors == []


def test_a_plan_is_sent_back_with_a_reason_and_then_approved(server: Server) -> None:
    chat = ChatClient(server.client, "plan")
    chat.say(QUESTION)
    assert chat.messages[-1]["tool_calls"][0]["name"] == chat.shown()["value"]["action_requests"][0]["name"]
    chat.answer("reject", message="One part is enough.")
    assert chat.errors == []
    assert chat.open() is not None
    chat.answer("approve")
    assert chat.errors == []
    assert chat.open() is None
    assert chat.messages[-1]["type"] == "ai"


def test_a_draft_is_edited_by_a_person(server: Server) -> None:
    chat = ChatClient(server.client, "accepted")
    chat.say(QUESTION)
    assert chat.open() is not None
    assert buttons(chat.shown()) == ["approve", "reject", "edit"]
    chat.answer("edit", text="The nearest scope wins.")
    assert chat.errors == []
    assert chat.open() is None
    assert chat.messages[-1]["content"].startswith("The nearest scope wins.")


def test_a_message_instead_of_an_answer_begins_another_turn(server: Server) -> None:
    chat = ChatClient(server.client, "report")
    chat.say(QUESTION)
    chat.say("What is a module?")
    assert chat.errors == []
    assert chat.open() is not None
    assert chat.history[0]["values"]["goal"] == "What is a module?"
    chat.answer("approve")
    assert chat.errors == []
    assert chat.open() is None


# Threads are the same for the server and the command.


def test_the_command_sees_the_threads_of_the_server(server: Server, driven: dict[str, Driven]) -> None:
    listed = {each["thread"]: each for each in _orchestra(server, "threads")}
    for name, (thread, _) in driven.items():
        assert listed[thread]["graph"] == name
    shown = _orchestra(server, "show", driven["single"].thread)
    assert shown["status"] == "completed"
    assert _orchestra(server, "history", driven["single"].thread)
    traced = _orchestra(server, "trace", driven["single"].thread)
    assert "assistant" in json.dumps(traced["turns"])


def test_the_command_goes_on_with_a_thread_of_the_server_with_the_knobs_of_its_form(server: Server) -> None:
    thread = server.client.threads.create()["thread_id"]
    given: Any = {"messages": [{"role": "user", "content": QUESTION}]}
    context: Any = {"max_rounds": 2, "assistant_prompt": "Be brief."}
    server.client.runs.wait(thread, "single", input=given, context=context)
    with open_persistence(_database(server)) as persistence:
        facts = persistence.thread(thread) or {}
    assert facts["recipe"]["name"] == "single"
    assert Context(**facts["context"]) == Context(max_rounds=2, prompts={"assistant": "Be brief."})
    result = CliRunner().invoke(command, ["resume", thread, "--db", _database(server), "--json"])
    assert result.exit_code == 0, result.output


def test_what_a_customer_asks_for_in_a_chat_is_approved_by_the_command_and_shown_in_the_chat(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = ChatClient(server.client, "support")
    for text in ("Where is my order 1003?", "It is ada@example.com.", "I want a refund of 100 EUR for order 1006."):
        chat.say(text)
        assert chat.errors == []
    request = chat.shown()
    assert request["value"]["action_requests"][0]["args"]["amount"] == 100
    monkeypatch.chdir(server.folder)  # where the shop is
    result = CliRunner().invoke(
        command, ["approve", chat.thread, "--id", request["id"], "--db", _database(server), "--plain"]
    )
    assert result.exit_code == 0, result.output
    chat.look()
    assert chat.open() is None
    assert "100.00 EUR has been refunded" in chat.messages[-1]["content"]


def test_the_command_leaves_a_thread_alone_whose_graph_it_cannot_build(server: Server) -> None:
    chat = ChatClient(server.client, "report")
    chat.say(QUESTION)
    (request,) = [each for each in _orchestra(server, "requests") if each["thread"] == chat.thread]
    assert request["id"] == chat.shown()["id"]
    result = CliRunner().invoke(command, ["approve", chat.thread, "--db", _database(server)])
    assert result.exit_code != 0
    assert "by a program, with its graph 'report'" in result.output
    chat.answer("approve")
    assert chat.errors == []


def test_the_server_lists_and_shows_a_thread_that_the_command_began(server: Server) -> None:
    name = str(uuid4())
    words = ["run", "single", QUESTION, "--thread", name, "--db", _database(server), "--plain"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    assert _state(server, name)["values"]["goal"] == QUESTION
    (found,) = server.client.threads.search(ids=[name])
    assert found["metadata"] is not None
    assert found["metadata"]["graph_id"] == "single"
    chat = ChatClient(server.client, "single", thread=name)
    chat.say("What does the nonlocal statement do?")
    assert [each["type"] for each in chat.messages] == ["human", "ai"] * 2
    server.client.threads.delete(name)
    assert server.client.threads.search(ids=[name]) == []


def test_a_server_lists_the_threads_that_were_there_before_it(server: Server) -> None:
    (found,) = server.client.threads.search(metadata={"graph_id": "parallel"}, ids=[EARLIER])
    assert found["status"] == "idle"
    assert cast("dict[str, Any]", found["values"])["messages"][0]["content"] == QUESTION
    assert _state(server, EARLIER)["values"]["status"] == "completed"
