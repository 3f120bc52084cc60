"""A starter project: its files, filled in for a name and a pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_TEMPLATES = Path(__file__).parent
_ENDING = ".in"
_HIDDEN = {"gitignore": ".gitignore", "env.example": ".env.example"}
"""Files whose names begin with a dot in a project, so that they mean nothing to the tools that look at this folder."""


@dataclass(frozen=True)
class _Wiring:
    """How the three agents work together.

    Args:
        drawing: The wiring, as the docstring has it.
        steps: What each agent says in the tests, as lines of Python; `DONE` is the reply.
        build: Arguments of `build` after the agents.
    """

    drawing: str
    steps: tuple[str, ...]
    build: str = ""


_CANCEL = '"clerk": [call("cancel_order", order=1043), "It is cancelled."],'
_WRITE, _CHECK = '"writer": [DONE],', '"checker": [DONE],'

_WIRINGS = {
    "sequential": _Wiring("clerk -> writer -> checker", (_CANCEL, _WRITE, _CHECK)),
    "supervisor": _Wiring(
        "supervisor -> {clerk, writer, checker} -> supervisor",
        (
            '"supervisor": [',
            '    {"agent": "clerk", "task": "Cancel order 1043.", "reason": "It is asked for."},',
            '    {"agent": "writer", "task": "Tell the customer.", "reason": "It is done."},',
            '    {"agent": "checker", "task": "Check the reply.", "reason": "It is written."},',
            '    {"answer": DONE},',
            "],",
            _CANCEL,
            _WRITE,
            _CHECK,
        ),
    ),
    "handoff": _Wiring(
        "clerk -> writer -> checker, each when the one before hands over",
        (
            '"clerk": [',
            '    call("cancel_order", order=1043),',
            '    call("transfer_to_writer", reason="It is done."),',
            "],",
            '"writer": [call("transfer_to_checker", reason="It is written.")],',
            _CHECK,
        ),
        ', entry="clerk"',
    ),
    "router": _Wiring(
        "router -> one of {clerk, writer, checker}",
        (
            '"router": [{"agents": ["clerk"], "confidence": 0.9, "reason": "It is about an order."}],',
            '"clerk": [call("cancel_order", order=1043), DONE],',
        ),
    ),
    "plan_execute": _Wiring(
        "planner -> {clerk, writer, checker}, in the order of the plan -> synthesizer",
        (
            '"planner": [',
            "    {",
            '        "subtasks": [',
            '            {"id": "cancel", "task": "Cancel order 1043.", "agent": "clerk"},',
            "            {",
            '                "id": "reply",',
            '                "task": "Tell the customer.",',
            '                "agent": "writer",',
            '                "depends_on": ["cancel"],',
            "            },",
            "        ]",
            "    }",
            "],",
            _CANCEL,
            '"writer": ["It is cancelled."],',
            '"synthesizer": [DONE],',
        ),
    ),
}


def write_project(folder: Path, name: str, pattern: str, *, kind: str = "python") -> list[str]:
    """Write the files of a project into a folder, which is made if it is missing; return their names.

    Args:
        folder: Empty, or not there yet.
        name: Of the project.
        pattern: How its agents work together.
        kind: Which templates: `python` or `yaml`.
    """
    words = _words(name, pattern)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for template in sorted((_TEMPLATES / kind).glob(f"*{_ENDING}")):
        plain = template.name.removesuffix(_ENDING)
        target = folder / _HIDDEN.get(plain, plain)
        text = template.read_text(encoding="utf-8")
        target.write_text(re.sub(r"%(\w+)%", lambda found: words[found[1]], text), encoding="utf-8")
        written.append(target.name)
    return written


def _words(name: str, pattern: str) -> dict[str, str]:
    """Return what stands for each `%word%` of a template."""
    wiring, graph = _WIRINGS[pattern], re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return {
        "title": " ".join(re.split(r"[ _.-]+", name)).capitalize(),
        "project": graph.replace("_", "-"),
        "name": graph,
        "pattern": pattern,
        "drawing": wiring.drawing,
        "build": f"{pattern}.build([clerk, writer, checker]{wiring.build})",
        "options": "options: {entry: clerk}\n" if pattern == "handoff" else "",
        "steps": "\n".join(f"    {line}" for line in wiring.steps),
    }
