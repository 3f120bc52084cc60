"""Crews of CrewAI as team files: `agents.yaml` and `tasks.yaml` read, and everything listed that has no place in ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestra.teamfile.crew.agents import Notes, agents_of
from orchestra.teamfile.crew.files import CrewFile, LeftOut, read_crew_file
from orchestra.teamfile.crew.tasks import PERSON, Tasks
from orchestra.teamfile.crew.texts import Inputs, inputs_in
from orchestra.teamfile.reading import parse_team
from orchestra.teamfile.text import team_text
from orchestra.view.figures import one_line, visible
from state.errors import TeamFileError

Process = Literal["sequential", "hierarchical"]

_OF_AGENTS, _OF_TASKS = ("role", "goal", "backstory"), ("description", "expected_output")


@dataclass
class Imported:
    """A crew as a team.

    Args:
        text: Of the team file; its first lines say what was left out.
        left_out: The same, as data.
    """

    text: str
    left_out: list[LeftOut]


def import_crew(
    agents: Path,
    tasks: Path,
    *,
    name: str = "",
    process: Process = "sequential",
    tools: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
    agents_of_tasks: Mapping[str, str] | None = None,
    target: Path | None = None,
) -> Imported:
    """Return the team file of a crew.

    Args:
        agents: Its `agents.yaml`.
        tasks: Its `tasks.yaml`.
        name: What the team is called; the project's folder by default.
        process: How the crew works: its tasks in order, or led by a manager.
        tools: Tools of ours by the names of theirs: `corpus.search`, `package.module:name`.
        given: Values of placeholders.
        agents_of_tasks: Who does a task, by the names of tasks whose agent only the crew's code says.
        target: Where the file is going to be; imports of tools begin there.

    Raises:
        TeamFileError: Something is wrong with one of the files; it lists everything, by line and column.
        ConfigurationError: One of them cannot be read.
    """
    of_agents, of_tasks = read_crew_file(agents), read_crew_file(tasks)
    _refuse(of_agents, of_tasks)
    notes = Notes(tools or {}, Inputs({}))
    _at_inputs(of_agents, of_tasks, notes, given or {})
    people = agents_of(of_agents, notes)
    work = Tasks(of_tasks, people, notes, agents_of_tasks or {}, is_led=process == "hierarchical").read()
    _refuse(of_agents, of_tasks)
    team = (
        _led(people, work, of_tasks, notes) if process == "hierarchical" else _in_order(people, work, of_agents, notes)
    )
    head = [f"# Imported from {one_line(agents.name)} and {one_line(tasks.name)} of a CrewAI crew."]
    if notes.left_out:
        head += ["# Not carried over, or changed:", *(f"#   {one}" for one in notes.left_out)]
    text = "\n".join([*head, team_text({"name": name or _name_of(agents), **team})])
    parse_team(text, path=target or agents.with_name("team.yaml"))  # what is written can be read, or nothing is
    return Imported(text, notes.left_out)


def _refuse(*files: CrewFile) -> None:
    """Raise what is wrong with the first file that has something wrong.

    Raises:
        TeamFileError: Lists it.
    """
    for file in files:
        if problems := sorted(set(file.document.problems)):
            listed = [(one.place.line, one.place.column, visible(one.text)) for one in problems]
            raise TeamFileError(visible(str(file.path)), listed)


def _name_of(agents: Path) -> str:
    folder = agents.absolute().parent
    folder = folder.parent if folder.name == "config" else folder
    plain = "".join(letter if letter.isalnum() or letter in " ._-" else "-" for letter in folder.name)[:60]
    return plain if plain[:1].isalnum() else "crew"


def _at_inputs(agents: CrewFile, tasks: CrewFile, notes: Notes, given: Mapping[str, str]) -> None:
    """Decide what becomes of the placeholders, and note it."""
    in_agents, in_tasks = inputs_in(_texts(agents, _OF_AGENTS)), inputs_in(_texts(tasks, _OF_TASKS))
    asked = [one for one in dict.fromkeys([*in_tasks, *in_agents]) if one not in given]
    main = "task" if "task" in asked else asked[0] if len(asked) == 1 else ""
    notes.inputs = Inputs(given, main)
    for one in asked:
        parts = (
            [f"{'{task}, what the run is asked for,' if one == main else f'<{one}>'} in tasks"]
            if one in in_tasks
            else []
        )
        parts += [f"<{one}> in the texts of agents"] if one in in_agents else []
        file, keys = (tasks, _OF_TASKS) if one in in_tasks else (agents, _OF_AGENTS)
        place = next((found for found in _places(file, keys) if one in inputs_in([found[1]])), ((), ""))[0]
        remedy = f"became {' and '.join(parts)}; --set {one}=VALUE puts a value in its place"
        if parts != ["{task}, what the run is asked for, in tasks"] or one != "task":
            notes.leave(file, place, f"{{{one}}}", remedy)


def _places(file: CrewFile, keys: Sequence[str]) -> Iterable[tuple[tuple[str, str], str]]:
    for name, entry in file.entries.items():
        for key in keys:
            if isinstance(entry.get(key), str):
                yield (name, key), entry[key]


def _texts(file: CrewFile, keys: Sequence[str]) -> list[str]:
    return [text for _, text in _places(file, keys)]


def _in_order(
    agents: dict[str, dict[str, Any]], tasks: dict[str, dict[str, Any]], file: CrewFile, notes: Notes
) -> dict[str, Any]:
    """Return the team of a crew that does its tasks in order."""
    busy = {task["agent"] for task in tasks.values()}
    for name in file.entries:
        if name in agents and name not in busy:
            notes.leave(file, (name,), name, "no task is given to it, so it is left out")
    kept: dict[str, Any] = {name: agent for name, agent in agents.items() if name in busy}
    if PERSON in busy and PERSON not in kept:
        kept[PERSON] = {"human": True, "description": "Reads what the agents made and says what has to change."}
    return {"pattern": "sequential", "agents": kept, "tasks": tasks}


def _led(
    agents: dict[str, dict[str, Any]], tasks: dict[str, dict[str, Any]], file: CrewFile, notes: Notes
) -> dict[str, Any]:
    """Return the team of a crew that a manager leads: it knows the tasks, and gives them to whom it likes."""
    manager = "manager" if "manager" not in agents else "crew_manager"
    lines = [
        "You lead a crew. You plan who does what, judge each result, and answer from what you accepted.",
        "These are the tasks of the crew, for what you are asked:",
    ]
    for name, task in tasks.items():
        wanted = f" Expected output: {task['expected_output']}" if task.get("expected_output") else ""
        suits = f" {task['agent']} suits it." if task["agent"] else ""
        told = f"{task['description']}{wanted}{suits}".replace("{task}", "what you are asked")
        lines.append(f"- {name}: {' '.join(told.split())}")
    notes.leave(file, (), "tasks", f"became part of the prompt of {manager}, who gives them to the others")
    leader = {"description": "Leads the crew.", "prompt": "\n".join(lines)}
    return {"pattern": "hierarchical", "agents": {**agents, manager: leader}, "options": {"manager": manager}}
