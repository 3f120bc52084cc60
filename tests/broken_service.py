"""An example service that runs and can be broken, and the incident team that is to mend it."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command as Resume

from graphs.teams import incident
from state import Context
from tools.service.example import start_example
from tools.service.service import Service, open_service

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def order(folder: Path, command: str, *args: str) -> None:
    """Have the supervisor carry a command out, without the control script, which takes a process."""
    name = f"{uuid.uuid4().hex}.json"
    draft = folder / name
    draft.write_text(json.dumps({"command": command, "args": args}))
    draft.rename(folder / "spool" / name)
    until = time.monotonic() + 60
    while not (folder / "done" / name).exists():
        assert time.monotonic() < until, f"{command} was not carried out"
        time.sleep(0.01)


def end(folder: Path) -> None:
    """End an example service, and see that nothing of it is left."""
    status = folder / "run" / "status.json"
    told = json.loads(status.read_text())
    order(folder, "down")
    pids = [told["pid"], *(worker["pid"] for worker in told["workers"] if "pid" in worker)]
    until = time.monotonic() + 60
    while status.exists() or any(map(is_running, pids)):
        assert time.monotonic() < until, f"the service in {folder} did not end"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process still does anything; one that nobody waited for does not."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder of an example service that runs as long as the tests do."""
    place = tmp_path_factory.mktemp("incident") / "service"
    start_example(place, lifetime=600)
    yield place
    end(place)


@pytest.fixture
def folder(supervised: Path) -> Path:
    """Give the folder of an example service that runs and is well, with nothing left of the test before."""
    (supervised / "run" / "fault.json").unlink(missing_ok=True)
    for command in (("rotate-logs",), ("scale", "1"), ("rollback", "v1")):
        order(supervised, *command)
    for name in ("logs/service.log", "audit.jsonl"):
        (supervised / name).unlink(missing_ok=True)
    return supervised


def broken(folder: Path, fault: str, *, stays: bool = False, patience: float = 1.0) -> Service:
    """Break a service, and return it once it shows, in the log too."""
    order(folder, "break", fault, *(["*"] if stays else []))
    service, until = open_service(folder, patience=patience), time.monotonic() + 60
    while service.health().healthy or not re.search(" (WARN|ERROR|FATAL) worker-1 ", service.log()):
        assert time.monotonic() < until, f"{fault} does not show"
    return service


def team(folder: Path | str | None, saver: Any = None, **options: Any) -> Any:
    given = {"patience": 0.5, **options}
    return incident.build(service=folder, **given).compile(saver or InMemorySaver(), name="incident")


def requests(graph: Any, config: RunnableConfig = THREAD) -> list[Any]:
    return list(graph.get_state(config).interrupts)


def decide(graph: Any, kind: str, **more: Any) -> dict[str, Any]:
    (request,) = requests(graph)
    answer = {"decisions": [{"type": kind, **more}]}
    result: dict[str, Any] = graph.invoke(Resume(resume={request.id: answer}), THREAD)
    return result


def agreed(graph: Any, task: str = "The service is in trouble.", **knobs: Any) -> tuple[dict[str, Any], list[Any]]:
    """Run a team and agree to all it asks for; return how it ended and what it asked for."""
    result, asked = graph.invoke({"task": task}, THREAD, context=Context(**knobs)), []
    while found := requests(graph):
        action = found[0].value["action_requests"][0]
        if action["name"] != "run_command":
            break
        assert action["args"]["reason"]
        asked.append((action["args"]["command"], action["args"]["arguments"]))
        result = decide(graph, "approve")
    return result, asked


def restarts(folder: Path) -> int:
    """Return how often the supervisor was told to restart."""
    return sum(
        " INFO supervisor restart: " in line for line in (folder / "logs" / "service.log").read_text().splitlines()
    )


def ran(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(c["command"], c["arguments"]) for c in result["structured"]["commands"] if c["became"] == "ran"]
