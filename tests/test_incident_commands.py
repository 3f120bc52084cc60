"""The incident team's commands: which are run and which refused, how often, and how each is kept in bounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import ToolException

from broken_service import THREAD, broken, decide, is_running, ran, requests, restarts, team
from broken_service import folder as folder
from broken_service import supervised as supervised
from graphs.teams import incident
from nodes import ScriptedChatModel
from nodes.incident.diagnosis import Diagnosis, Remedy
from nodes.incident.responders import diagnosis_agent, remediation_agent
from nodes.scripted import call, calls
from state import ConfigurationError, Context, open_persistence
from tools import sandbox
from tools.sandbox import NoSandbox, confined
from tools.service.commands import CommandList, CommandTimeout, read_command
from tools.service.example import copy_example
from tools.service.service import open_service

# What may be run


def test_commands_outside_the_list_are_refused_and_written_down(folder: Path) -> None:
    broken(folder, "leak")
    wanted = [
        call("run_command", command="rm", arguments={"path": "/"}),
        calls(
            call("run_command", command="restart; curl evil", arguments={}),
            call("run_command", command="rollback", arguments={"version": "v1 && reboot"}),
            call("run_command", command="scale", arguments={"workers": 99}),
            call("run_command", command="restart", arguments={"signal": "KILL"}),
        ),
        "I could not do it.",
    ]
    model = ScriptedChatModel(wanted)
    eager = replace(remediation_agent(), model=model, role=None)
    graph = team(folder, settle=0, remediation=eager)
    with model:
        graph.invoke({"task": "Memory grows."}, THREAD, context=Context(max_rounds=1))
    result = decide(graph, "respond", message="Thanks.")
    found = result["structured"]
    assert ran(result) == []
    refused = {spelled["command"] for spelled in found["refused"]}
    assert refused == {"rm", "restart; curl evil", "rollback", "scale", "restart"}
    assert len(found["refused"]) == 5
    assert all("was not run" in each["said"] for each in found["refused"])
    assert restarts(folder) == 0
    told = [m.text for m in model.requests[1].messages if m.type == "tool"]
    assert "not on the list" in told[0]
    assert "There are: " in told[0]
    audit = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert [entry["what"] for entry in audit if entry["what"] in ("ran", "refused")] == ["refused"] * 5


def test_a_list_of_commands_that_is_changed_during_an_incident_is_not_used(tmp_path: Path) -> None:
    copy_example(tmp_path / "service")
    found = Diagnosis(fault="other", cause="?", remedies=[Remedy(command="restart")])
    graph = team(tmp_path / "service", diagnosis=replace(diagnosis_agent(), model=ScriptedChatModel([found])))
    graph.invoke({"task": "It is down."}, THREAD)
    description = tmp_path / "service" / "service.json"
    description.write_text(description.read_text().replace("control.py", "other.py"))
    with pytest.raises(ConfigurationError, match="was changed since the incident began"):
        decide(graph, "approve")
    assert not (tmp_path / "service" / "done").exists()


def test_the_same_command_twice_in_a_round_is_run_once(folder: Path) -> None:
    broken(folder, "leak")
    restart = call("run_command", command="restart", arguments={})
    model = ScriptedChatModel([restart, restart, "Restarted twice."])
    graph = team(folder, ask=(), remediation=replace(remediation_agent(), model=model))
    result = graph.invoke({"task": "Memory grows."}, THREAD)
    assert (result["status"], restarts(folder)) == ("completed", 1)


# A run that is killed

KILLED = """
import os, signal, sys
from langgraph.types import Command
from graphs.teams import incident
from state import open_persistence
from state.storage.ledger import Ledger
from tools.service.commands import CommandList

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

run = CommandList.run
where = {
    "before the command": lambda: setattr(CommandList, "run", die),
    "before the note": lambda: setattr(CommandList, "run", lambda *given: die(run(*given))),
    "before the result": lambda: setattr(Ledger, "settle", die),
}
with open_persistence("sqlite:///runs.db") as persistence:
    graph = incident.build(service=sys.argv[1], patience=0.5).compile(persistence.checkpointer, name="incident")
    config = {"configurable": {"thread_id": "t"}}
    graph.invoke({"task": "Memory grows."}, config)
    (request,) = graph.get_state(config).interrupts
    where[sys.argv[2]]()
    graph.invoke(Command(resume={request.id: {"decisions": [{"type": "approve"}]}}), config)
"""


@pytest.mark.parametrize(
    ("where", "before"), [("before the command", 0), ("before the note", 1), ("before the result", 1)]
)
def test_a_run_that_is_killed_around_a_restart_has_restarted_once_when_it_ends(
    where: str, before: int, folder: Path
) -> None:
    broken(folder, "leak")
    environment = {**os.environ, "PYTHONPATH": str(Path(incident.__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), where], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert restarts(folder) == before
    with open_persistence("sqlite:///runs.db") as persistence:
        graph = team(folder, persistence.checkpointer)
        result = graph.invoke(None, THREAD)
        assert requests(graph) == []
    assert (result["status"], restarts(folder)) == ("completed", 1)
    (command,) = result["structured"]["commands"]
    assert (command["became"], command["approved"].startswith("a person (asked")) == ("ran", True)
    assert ("found done" in command["said"]) == bool(before)


def test_a_command_goes_on_when_whoever_asked_is_gone_and_its_result_is_found(folder: Path) -> None:
    commands = open_service(folder).commands
    assert commands is not None
    name = uuid.uuid4().hex
    assert commands.find(name) is None
    (folder / f"{name}.json").write_text(json.dumps({"command": "restart", "args": []}))
    (folder / f"{name}.json").rename(folder / "spool" / f"{name}.json")
    code, said = commands.find(name) or (-1, "")
    assert (code, "1 of 1 workers run" in said) == (0, True)
    assert commands.run("restart", {}, name) == (code, said)
    assert restarts(folder) == 1


# Commands


def listed(folder: Path, argv: list[str], **options: Any) -> CommandList:
    return CommandList({"go": read_command("go", {"does": "It goes.", "argv": argv})}, folder, **options)


def test_a_command_is_given_words_a_fixed_environment_and_a_fixed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    show = "import os, sys; print(sys.argv[1:], sorted(os.environ), os.getcwd())"
    code, said = listed(tmp_path, ["{python}", "-c", show, "$HOME; ls", "{id}"]).run("go", {}, "k1")
    assert code == 0
    assert said.startswith("['$HOME; ls', 'k1'] ")
    assert "SECRET" not in said
    assert said.endswith(str(tmp_path))


def test_a_command_that_writes_too_much_is_clipped_and_one_that_hangs_is_ended_with_its_children(
    tmp_path: Path,
) -> None:
    code, said = listed(tmp_path, ["{python}", "-c", "print('a' * 10**6 + 'end')"]).run("go", {}, "k")
    assert (code, len(said) < 5000, said.endswith("end")) == (0, True, True)
    assert "bytes left out" in said
    child = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); open('child', 'w').write(str(p.pid)); p.wait()"
    )
    with pytest.raises(CommandTimeout, match="no end after"):
        listed(tmp_path, ["{python}", "-c", child], time_limit=1.0).run("go", {}, "k")
    pid = int((tmp_path / "child").read_text())
    for _ in range(200):
        if not is_running(pid):
            break
        time.sleep(0.01)
    assert not is_running(pid)


def test_where_a_sandbox_is_required_and_there_is_none_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    commands = listed(tmp_path, ["{python}", "-c", "open('made', 'w')"], sandbox="required")
    with pytest.raises(ToolException, match=r"was not run: a sandbox is required, and bubblewrap .* is not installed"):
        commands.run("go", {}, "k")
    assert not (tmp_path / "made").exists()
    assert replace(commands, sandbox="when_present").run("go", {}, "k")[0] == 0


@pytest.fixture
def bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for bubblewrap: write down what it was asked for, and run what comes after `--`."""
    program = tmp_path / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" >> "$(dirname "$0")/asked"\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    sandbox.why_useless.cache_clear()
    return program


def test_in_a_sandbox_only_the_folder_can_be_changed_and_there_is_no_network(tmp_path: Path, bwrap: Path) -> None:
    code, said = listed(tmp_path, ["{python}", "-c", "print('in')"], sandbox="required").run("go", {}, "k")
    assert (code, said) == (0, "in")
    asked = (bwrap.parent / "asked").read_text().split()
    assert "--unshare-all" in asked
    assert asked[asked.index("--bind") :][:5] == ["--bind", str(tmp_path), str(tmp_path), "--chdir", str(tmp_path)]


def test_a_sandbox_that_does_not_work_here_is_none(tmp_path: Path, bwrap: Path) -> None:
    bwrap.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    with pytest.raises(NoSandbox, match="No permissions to create new namespace"):
        confined(["true"], tmp_path, "required")
    assert confined(["true"], tmp_path, "when_present") == ["true"]
    assert confined(["true"], tmp_path, "none") == ["true"]


@pytest.mark.parametrize(
    "given",
    [
        {"argv": "restart"},
        {"argv": []},
        {"argv": ["x"], "arguments": {"path": {}}},
        {"argv": ["x"], "arguments": {"path": {"minimum": 1}}},
    ],
)
def test_a_command_that_leaves_anything_open_is_refused_when_the_list_is_read(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="command 'x'"):
        read_command("x", given)
