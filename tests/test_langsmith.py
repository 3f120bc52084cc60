"""What reaches LangSmith where its variables are set: one tree for each run, with names to find it by and without secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from langsmith_server import Traces, langsmith_server

SECRET = "tell-nobody-4711-abcdef"


@pytest.fixture(scope="module")
def traces() -> Traces:
    program, tests = Path(__file__).with_name("traced_program.py"), Path(__file__).parent
    with langsmith_server() as server:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LANGSMITH", "LANGCHAIN"))}
        env |= {"LANGSMITH_ENDPOINT": server.url, "LANGSMITH_API_KEY": "any", "SERVICE_API_KEY": SECRET}
        env["PYTHONPATH"] = os.pathsep.join([str(tests.parent), str(tests)])
        env["ORCHESTRA_OFFLINE"] = "1"
        done = subprocess.run(
            [sys.executable, program], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
    return server


def test_without_the_variable_nothing_is_sent(traces: Traces) -> None:
    assert traces.runs
    assert "silent" not in {run["name"] for run in traces.runs.values()}


def test_a_run_is_one_tree_with_its_agents_by_name(traces: Traces) -> None:
    trace = traces.named("outer")["trace_id"]
    runs = [run for run in traces.runs.values() if run["trace_id"] == trace]
    assert [run["name"] for run in runs if not run.get("parent_run_id")] == ["outer"]
    assert all(run["parent_run_id"] in traces.runs for run in runs if run.get("parent_run_id"))
    agents = {traces.metadata(run).get("lc_agent_name") for run in runs if run["run_type"] == "llm"}
    assert agents == {"seer", "teller"}
    assert all(traces.above(run)[-2:] == ["team", "outer"] for run in runs if run["run_type"] == "llm")


def test_every_part_of_a_run_has_its_thread(traces: Traces) -> None:
    trace = traces.named("outer")["trace_id"]
    threads = {traces.metadata(run).get("thread_id") for run in traces.runs.values() if run["trace_id"] == trace}
    assert threads == {"thread-1"}


@pytest.mark.parametrize("name", ["asked", "called"])
def test_async_code_and_sync_code_within_a_runnable_are_traced(name: str, traces: Traces) -> None:
    run = traces.named(name)
    assert traces.above(run) == (["mine"] if name == "called" else [])
    assert run["outputs"]["answer"] == "done"


def test_neither_secrets_nor_named_personal_data_leave(traces: Traces) -> None:
    sent = b"\n".join(traces.raw).decode()
    assert "The key is [redacted]" in sent
    assert "In the hall is [redacted]" in sent
    assert SECRET not in sent
    assert "ada@example.com" not in sent
