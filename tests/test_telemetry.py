"""What runs look like in OpenTelemetry, and that no collector hurts one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.exceptions import ModelRateLimitError
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_tracer

import orchestra
from cases import HAPPY, says, script
from graphs import hierarchical, parallel, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.node import agent_node
from nodes.scripted import call
from nodes.turn import begin_node, brief_task
from orchestra.telemetry import Telemetry, instrument
from orchestra.telemetry.environment import instrument_as_told
from orchestra.telemetry.spans import TurnIds
from otlp_server import otlp_server
from state import Budget, ConfigurationError, Context, open_persistence
from state.observers import observe
from state.task import TaskState
from tools import create_consult_tool


class Exported:
    """What was exported, in the order in which it ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(id_generator=TurnIds())
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def attribute(self, span: str, name: str) -> Any:
        return (self.named(span).attributes or {}).get(name)

    def parent_of(self, name: str) -> str:
        parent = self.named(name).parent
        return next((span.name for span in self.spans if parent and span.context.span_id == parent.span_id), "")

    def total(self, name: str) -> int:
        return sum(int(str((span.attributes or {}).get(name, 0))) for span in self.spans)

    def text(self) -> str:
        return "\n".join(span.to_json() for span in self.spans)

    def points(self, metric: str) -> list[Any]:
        data = json.loads(self.reader.get_metrics_data().to_json())  # type: ignore[union-attr]  # there are some
        metrics = (m for r in data["resource_metrics"] for s in r["scope_metrics"] for m in s["metrics"])
        return next(m["data"]["data_points"] for m in metrics if m["name"] == metric)


@pytest.fixture
def exported(caplog: pytest.LogCaptureFixture) -> Iterator[Exported]:
    into = Exported()
    with instrument(tracer_provider=into.provider, meter_provider=into.meters, content=False):
        yield into
    assert not [record for record in caplog.get_records("call") if record.name == "state.observers"]


def config(thread: str = "t") -> Any:
    return {"configurable": {"thread_id": thread}}


def telling(sink: Exported, **options: Any) -> Telemetry:
    return instrument(tracer_provider=sink.provider, meter_provider=sink.meters, **options)


@pytest.mark.parametrize("name", sorted(HAPPY))
def test_every_pattern_is_one_tree_whose_tokens_add_up(name: str, exported: Exported) -> None:
    with open_persistence("memory:") as persistence:
        graph = REGISTRY[name].load().graph
        result = orchestra.start(graph, persistence, "A task.", context=Context(model=script(name)))
    roots = [span for span in exported.spans if span.parent is None]
    ids = {span.context.span_id for span in exported.spans}
    assert [span.name for span in roots] == [f"invoke_workflow {graph.get_name()}"]
    assert all(span.parent is None or span.parent.span_id in ids for span in exported.spans)
    assert len({span.context.trace_id for span in exported.spans}) == 1
    assert exported.total("gen_ai.usage.input_tokens") == result.usage["input_tokens"]
    assert exported.total("gen_ai.usage.output_tokens") == result.usage["output_tokens"]
    assert sum(span.name.startswith("chat ") for span in exported.spans) == result.usage["model_calls"]
    assert sum(span.name.startswith("execute_tool ") for span in exported.spans) == result.usage["tool_calls"]
    agents = {f"invoke_agent {outcome['agent']}" for outcome in result.outcomes}
    assert agents <= {span.name for span in exported.spans}
    assert all((span.end_time or 0) >= (span.start_time or 0) > 0 for span in exported.spans)
    assert all((span.attributes or {})["gen_ai.conversation.id"] == result.thread for span in exported.spans)
    assert exported.attribute(roots[0].name, "orchestra.status") == "completed"
    assert exported.attribute(roots[0].name, "orchestra.usage.input_tokens") == result.usage["input_tokens"]


def test_the_agents_of_a_team_are_below_the_step_it_stands_for(exported: Exported) -> None:
    inner = sequential.build([says("finder", "found"), says("teller", "told")]).compile(name="inner")
    single.build(inner).compile(name="outer").invoke({"task": "Go."})
    assert exported.parent_of("invoke_agent inner") == "invoke_workflow outer"
    assert exported.parent_of("invoke_agent finder") == "invoke_agent inner"
    assert exported.parent_of("invoke_agent teller") == "invoke_agent inner"


def test_two_teams_with_members_of_the_same_name_keep_their_own(exported: Exported) -> None:
    teams = [
        single.build(Agent("member", model=ScriptedChatModel([f"of {name}"]))).compile(name=name)
        for name in ("left", "right")
    ]
    parallel.build(teams).compile(name="both").invoke({"task": "Go."})
    teams_of = {span.context.span_id: span.name for span in exported.spans}
    members = [span for span in exported.spans if span.name == "invoke_agent member"]
    assert sorted(teams_of[m.parent.span_id] for m in members if m.parent) == [
        "invoke_agent left",
        "invoke_agent right",
    ]


def test_a_model_call_says_provider_model_agent_and_tokens(exported: Exported) -> None:
    model = ScriptedChatModel(["done"], stands_for="mistralai:mistral-large")
    single.build(Agent("writer", model=model)).compile(name="g").invoke({"task": "Go."})
    told = exported.named("chat mistral-large").attributes or {}
    assert told["gen_ai.operation.name"] == "chat"
    assert (told["gen_ai.provider.name"], told["gen_ai.request.model"]) == ("mistral_ai", "mistral-large")
    assert told["gen_ai.agent.name"] == "writer"
    assert int(str(told["gen_ai.usage.input_tokens"])) > 0
    assert exported.parent_of("chat mistral-large") == "invoke_agent writer"


def test_a_tool_call_says_its_name_and_no_value(exported: Exported) -> None:
    @tool
    def weigh(thing: str) -> str:
        """Weigh a thing."""
        return f"{thing} weighs 3 kg"

    agent = Agent("scale", tools=[weigh], model=ScriptedChatModel([call("weigh", thing="a crate"), "3 kg"]))
    single.build(agent).compile(name="g").invoke({"task": "Weigh it."})
    told = exported.named("execute_tool weigh").attributes or {}
    assert told["gen_ai.tool.name"] == "weigh"
    assert told["orchestra.arguments"] == ("thing",)
    assert "crate" not in exported.text()


def test_spans_that_a_tool_makes_are_below_its_agent(exported: Exported) -> None:
    @tool
    def look() -> str:
        """Look."""
        with exported.provider.get_tracer("mine").start_as_current_span("of the tool"):
            return "seen"

    agent = Agent("seer", tools=[look], model=ScriptedChatModel([call("look"), "done"]))
    single.build(agent).compile(name="g").invoke({"task": "Look."})
    assert exported.parent_of("of the tool") == "invoke_agent seer"


def test_a_failure_is_an_error_of_the_call_the_agent_and_the_run(exported: Exported) -> None:
    agent = Agent("writer", model=ScriptedChatModel([ValueError("no such thing: sk-secret")]))
    single.build(agent).compile(name="g").invoke({"task": "Go."})
    for name in ("chat ScriptedChatModel", "invoke_agent writer", "invoke_workflow g"):
        assert exported.named(name).status.status_code is StatusCode.ERROR, name
        assert exported.attribute(name, "error.type") == "ValueError"
    assert exported.attribute("invoke_workflow g", "orchestra.status") == "failed"
    assert "no such thing" not in exported.text()


def test_a_retried_call_is_a_span_for_each_attempt(exported: Exported) -> None:
    agent = Agent("writer", model=ScriptedChatModel([ModelRateLimitError("429"), "done"]), policy=Policy(backoff=0))
    out = single.build(agent).compile(name="g").invoke({"task": "Go."})
    codes = [span.status.status_code for span in exported.spans if span.name.startswith("chat")]
    assert out["status"] == "completed"
    assert codes == [StatusCode.ERROR, StatusCode.UNSET]
    assert exported.named("invoke_agent writer").status.status_code is StatusCode.UNSET


def test_a_limit_that_ends_a_run_is_its_error(exported: Exported) -> None:
    graph = single.build(says("writer", "one")).compile(name="g")
    graph.invoke({"task": "Go."}, context=Context(budget=Budget(model_calls=0)))
    assert exported.attribute("invoke_workflow g", "orchestra.status") == "stopped"
    assert exported.attribute("invoke_workflow g", "error.type") == "BudgetExceeded"


def test_what_raises_out_of_a_graph_is_the_error_of_its_run(exported: Exported) -> None:
    graph = single.build(says("writer", "one")).compile(name="g")
    with pytest.raises(ConfigurationError):
        graph.invoke({"task": 5})
    assert exported.attribute("invoke_workflow g", "error.type") == "ConfigurationError"
    assert exported.attribute("invoke_workflow g", "orchestra.status") == "unfinished"


def test_handoffs_and_decisions_are_events_of_the_span_they_were_made_in(exported: Exported) -> None:
    REGISTRY["handoff"].load().graph.invoke({"task": "Go."}, context=Context(model=script("handoff")))
    (event,) = exported.named("invoke_agent assistant").events
    told = dict(event.attributes or {})
    assert event.name == "orchestra.handed_off"
    assert told == {"orchestra.agent": "writer", "gen_ai.agent.name": "assistant"}


def test_an_agent_that_is_asked_is_below_the_one_that_asks(exported: Exported) -> None:
    expert = says("expert", "It is the moon.")
    asks = ScriptedChatModel([call("consult", peer="expert", question="Why?"), "the moon"])
    asker = Agent("asker", tools=[create_consult_tool([expert])], model=asks)
    single.build(asker).compile(name="g").invoke({"task": "Why?"})
    assert exported.parent_of("invoke_agent expert") == "invoke_agent asker"
    assert "orchestra.consulted" in [event.name for event in exported.named("invoke_agent asker").events]


def test_a_fallback_agent_is_below_the_one_it_stands_in_for(exported: Exported) -> None:
    first = Agent(
        "first", model=ScriptedChatModel([ValueError("no")]), policy=Policy(fallback=(says("second", "yes"),))
    )
    out = single.build(first).compile(name="g").invoke({"task": "Go."})
    assert out["answer"] == "yes"
    assert exported.parent_of("invoke_agent second") == "invoke_agent first"
    assert exported.named("invoke_agent first").status.status_code is StatusCode.UNSET


def test_a_pause_ends_the_trace_and_its_answer_begins_one_that_is_linked_to_it(exported: Exported) -> None:
    graph = single.build(HumanAgent("person")).compile(InMemorySaver(), name="g")
    graph.invoke({"task": "Ask."}, config())
    (waiting,) = (span for span in exported.spans if span.parent is None)
    assert (waiting.attributes or {})["orchestra.status"] == "waiting"
    assert exported.attribute("invoke_agent person", "orchestra.status") == "waiting"
    answer_all(graph)
    resumed = exported.spans[-1]
    assert (resumed.attributes or {})["orchestra.status"] == "completed"
    assert resumed.context.trace_id != waiting.context.trace_id
    assert [link.context.span_id for link in resumed.links] == [waiting.context.span_id]
    assert len({(span.attributes or {})["gen_ai.conversation.id"] for span in exported.spans}) == 1


def test_another_process_links_to_the_trace_that_the_first_one_began() -> None:
    graph = single.build(HumanAgent("person")).compile(InMemorySaver(), name="g")
    first, second = Exported(), Exported()
    with telling(first):
        graph.invoke({"task": "Ask."}, config())
    with telling(second):  # knows nothing of the first
        answer_all(graph)
    (link,) = second.named("invoke_workflow g").links
    began = first.named("invoke_workflow g").context
    assert (link.context.trace_id, link.context.span_id) == (began.trace_id, began.span_id)


def test_a_new_turn_of_a_thread_is_a_trace_of_the_same_conversation(exported: Exported) -> None:
    graph = single.build(says("writer", "one", "two")).compile(InMemorySaver(), name="g")
    for _ in range(2):
        graph.invoke({"task": "Go."}, config())
    roots = [span for span in exported.spans if span.parent is None]
    assert len({span.context.trace_id for span in roots}) == 2
    assert {(span.attributes or {})["gen_ai.conversation.id"] for span in roots} == {"t"}


def answer_all(graph: Any) -> None:
    (request,) = graph.get_state(config()).interrupts
    graph.invoke(Command(resume={request.id: {"decisions": [{"type": "respond", "message": "Yes."}]}}), config())


@pytest.mark.parametrize("door", ["invoke", "stream", "start"])
def test_a_run_within_a_span_of_the_program_is_its_child(door: str, exported: Exported) -> None:
    graph = single.build(says("writer", "done")).compile(name="g")
    with get_tracer("mine", tracer_provider=exported.provider).start_as_current_span("request"):
        if door == "invoke":
            graph.invoke({"task": "Go."})
        elif door == "stream":
            list(graph.stream({"task": "Go."}))
        else:
            with open_persistence("memory:") as persistence:
                orchestra.start(graph, persistence, "Go.")
    assert exported.parent_of("invoke_workflow g") == "request"


async def test_a_run_within_a_span_of_async_code_is_its_child_and_leaves_it_current(exported: Exported) -> None:
    graph = single.build(says("writer", "done")).compile(name="g")
    tracer = get_tracer("mine", tracer_provider=exported.provider)
    with tracer.start_as_current_span("request"):
        await graph.ainvoke({"task": "Go."})
        tracer.start_span("after").end()
    assert exported.parent_of("invoke_workflow g") == "request"
    assert exported.parent_of("after") == "request"


def test_a_stream_that_is_left_ends_all_its_spans(exported: Exported) -> None:
    graph = sequential.build([says("first", "one"), says("second", "two")]).compile(name="g")
    for _ in graph.stream({"task": "Go."}, stream_mode="updates"):
        break
    assert exported.attribute("invoke_workflow g", "orchestra.status") == "unfinished"
    assert exported.named("invoke_workflow g").status.status_code is StatusCode.UNSET


async def test_agents_in_somebody_elses_graph_are_spans_below_what_is_current(exported: Exported) -> None:
    foreign: Any = StateGraph(TaskState)
    foreign.add_node("begin", begin_node())
    foreign.add_node("writer", agent_node(says("writer", "done"), brief_task("writer")))
    foreign.add_edge(START, "begin")
    foreign.add_edge("begin", "writer")
    tracer = get_tracer("mine", tracer_provider=exported.provider)
    with tracer.start_as_current_span("request"):
        await foreign.compile().ainvoke({"task": "Go."})
    assert exported.parent_of("invoke_agent writer") == "request"
    assert exported.parent_of("chat ScriptedChatModel") == "invoke_agent writer"


def test_texts_are_exported_only_when_asked_for_and_never_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", "tell-nobody-4711-abcdef")
    silent, open_ = Exported(), Exported()
    for sink, content in ((silent, None), (open_, True)):
        graph = single.build(says("writer", "The answer is a lighthouse.")).compile(name="g")
        with telling(sink, content=content):
            graph.invoke({"task": "Where? The key is tell-nobody-4711-abcdef."})
    assert "lighthouse" not in silent.text()
    assert "Where?" not in silent.text()
    assert "lighthouse" in open_.attribute("invoke_workflow g", "gen_ai.output.messages")
    assert "Where?" in open_.attribute("invoke_agent writer", "gen_ai.input.messages")
    assert "tell-nobody" not in open_.text()


def test_the_standard_variable_asks_for_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    sink = Exported()
    with telling(sink):
        single.build(says("writer", "a lighthouse")).compile(name="g").invoke({"task": "Go."})
    assert "lighthouse" in sink.text()


def test_metrics_count_tokens_and_the_duration_of_every_call(exported: Exported) -> None:
    model = ScriptedChatModel([ModelRateLimitError("429"), "done"], stands_for="openai:gpt-5-mini")
    agent = Agent("writer", model=model, policy=Policy(backoff=0))
    out = single.build(agent).compile(name="g").invoke({"task": "Go."})
    tokens = {p["attributes"]["gen_ai.token.type"]: p["sum"] for p in exported.points("gen_ai.client.token.usage")}
    used = out["outcomes"][0]["usage"]
    assert tokens == {"input": used["input_tokens"], "output": used["output_tokens"]}
    durations = exported.points("gen_ai.client.operation.duration")
    assert sorted(point["attributes"].get("error.type", "") for point in durations) == ["", "ModelRateLimitError"]
    assert {point["attributes"]["gen_ai.provider.name"] for point in durations} == {"openai"}


def test_a_second_call_takes_the_place_of_the_first_and_closing_ends_it() -> None:
    first, second = Exported(), Exported()
    graph = single.build(says("writer", "one", "two")).compile(name="g")
    telling(first)
    with telling(second):
        graph.invoke({"task": "Go."})
    graph.invoke({"task": "Go."})
    assert not first.spans
    assert sum(span.parent is None for span in second.spans) == 1


def test_an_observer_that_fails_is_told_of_once_and_hurts_no_run(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Any) -> None:
        raise ValueError("cannot look")

    stop = observe(broken)
    try:
        out = single.build(says("writer", "done")).compile(name="g").invoke({"task": "Go."})
    finally:
        stop()
    assert out["answer"] == "done"
    assert len([record for record in caplog.records if record.name == "state.observers"]) == 1


@contextmanager
def run_exported(url: str) -> Iterator[tuple[dict[str, Any], Telemetry]]:
    """Run something that is exported over HTTP, from a queue smaller than the run."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), OTLPSpanExporter(f"{url}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=8, max_export_batch_size=1))
    telemetry = instrument(tracer_provider=provider)
    speakers = [says(f"a{number}", "one") for number in range(10)]
    try:
        yield parallel.build(speakers).compile(name="g").invoke({"task": "Go."}), telemetry
    finally:
        telemetry.close(seconds=0.05)
        exporter.shutdown()  # type: ignore[no-untyped-call]  # it is not typed


def test_a_collector_that_never_answers_holds_up_no_run(caplog: pytest.LogCaptureFixture) -> None:
    with otlp_server(hangs=True) as collector, run_exported(collector.url) as (out, telemetry):
        assert out["status"] == "completed"
        assert collector.asked.wait(10)
        assert not telemetry.flush(seconds=0.05)
    assert "did not take everything" in caplog.text


def test_a_collector_that_is_not_there_holds_up_no_run(caplog: pytest.LogCaptureFixture) -> None:
    with otlp_server() as collector:
        pass
    with run_exported(collector.url) as (out, telemetry):
        assert out["status"] == "completed"
        assert not telemetry.flush(seconds=0.05)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in caplog.text


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "ORCHESTRA_OFFLINE": "1", "OTEL_BSP_SCHEDULE_DELAY": "60000", **more}


def orchestra_command(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestra", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_exports_by_itself_where_a_collector_is_named() -> None:
    with otlp_server() as collector:
        done = orchestra_command(
            "run", "single", "What is a tide?", "--quiet", env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        )
    assert done.returncode == 0
    assert "telemetry" not in done.stderr
    names = [span.name for span in collector.spans]
    assert names[-1] == "invoke_workflow single"
    assert "invoke_agent assistant" in names
    assert collector.spans[0].resource["service.name"] == "orchestra"
    assert collector.metrics >= {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"}
    ids = {span.id for span in collector.spans}
    assert all(not span.parent or span.parent in ids for span in collector.spans)
    assert len({span.trace for span in collector.spans}) == 1


@pytest.mark.parametrize(
    "told",
    [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}],
)
def test_without_a_variable_nothing_is_imported(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "orchestra.telemetry.exporting", raising=False)
    instrument_as_told()
    assert "orchestra.telemetry.exporting" not in sys.modules


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "orchestra.telemetry.spans"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'orchestra-agents\[otel\]'"):
        instrument()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    instrument_as_told()
    assert "nothing is exported" in caplog.text


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("OTEL_TRACES_EXPORTER", "pigeon", "pigeon"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
)
def test_an_exporter_that_is_not_installed_is_named_and_runs_go_on(
    variable: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    caplog.set_level(logging.WARNING)
    instrument_as_told()
    assert named in caplog.text
    assert "otlp_proto_http" in caplog.text


def test_a_team_of_teams_is_a_tree_as_deep(exported: Exported) -> None:
    inner = hierarchical.build(
        [says("worker", "made")],
        manager=says(
            "boss",
            {"subtasks": [{"id": "a", "task": "Do a.", "agent": "worker"}]},
            {"verdict": "accept"},
            "inner done",
        ),
    ).compile(name="inner")
    outer = single.build(inner).compile(name="outer")
    out = outer.invoke({"task": "Go."})
    assert out["status"] == "completed"
    assert exported.parent_of("invoke_agent worker") == "invoke_agent inner"
    assert exported.named("invoke_agent inner").events[0].name == "orchestra.planned"
