"""Parts of the documentation that are made from the code, between `<!-- part: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import inspect
import json
import re
import runpy
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import MISSING, Field, fields
from importlib import import_module
from io import StringIO
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any, get_origin

import click

import state.errors
from cases import script
from graphs.registry import REGISTRY, Entry
from nodes import Agent, HumanAgent, Policy
from nodes.calling import MODEL_LAYERS, TOOL_LAYERS
from orchestra.__main__ import command
from state import Budget, Context

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PART = re.compile(r"(<!-- part: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEADINGS = {"Use it when": "Use it when", "Costs": "Model calls", "Ends": "How it ends", "Source": "Source"}

CASES = {
    "single": "no tools",
    "sequential": "n = 2",
    "parallel": "n = 2, joined by a rule",
    "map_reduce": "k = 2, joined by a rule",
    "router": "k = 1",
    "supervisor": "2 decisions, 2 tasks",
    "hierarchical": "2 subtasks, each accepted at once",
    "review": "2 rounds, 1 critic",
    "group_chat": "6 turns, in turn",
    "handoff": "1 handoff",
    "debate": "2 debaters, 2 rounds",
    "plan_execute": "2 subtasks",
    "magentic": "2 steps, no new plan",
    "adaptive": "2 subtasks, one after the other",
}
"""What happens in the scripted run whose calls are counted, by pattern."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def patterns() -> Iterable[Entry]:
    """Return the entries of the registry that are no teams."""
    return [entry for entry in REGISTRY.values() if not entry.is_team]


def told(docstring: str | None, name: str) -> dict[str, str]:
    """Return the paragraph of each entry of a section of a docstring, such as `Args`, in one line."""
    _, _, rest = inspect.cleandoc(docstring or "").partition(f"{name}:\n")
    found: dict[str, str] = {}
    last = ""
    for line in rest.splitlines():
        if not line.strip() or not line.startswith("    "):
            break
        if entry := re.match(r"    (\w+): (.*)", line):
            last = entry[1]
            found[last] = entry[2]
        else:
            found[last] += f" {line.strip()}"
    return found


def facts(name: str) -> str:
    """Return what the docstring of a pattern's file says: wiring, use, cost, end and source."""
    text = inspect.cleandoc(REGISTRY[name].load().__doc__ or "")
    said = " ".join(line.strip() for line in re.findall(r"(?:^START|^ {6}-).*", text, re.MULTILINE))
    wiring = fill(said, width=88, subsequent_indent="      ", break_on_hyphens=False)
    rows = []
    for key, head in HEADINGS.items():
        found = re.search(rf"\b{key}: (.*?)(?=\b(?:{'|'.join(HEADINGS)}): |\n\n|\Z)", text, re.DOTALL)
        assert found, f"{name} does not say {key}"
        rows.append([head, " ".join(found[1].split())])
    rows.append(["File", f"`{REGISTRY[name].module.replace('.', '/')}.py`"])
    picture = f"![How {name} is wired](../pictures/patterns/{name}.svg)"
    return f'{picture}\n\n```text title="Wiring"\n{wiring}\n```\n\n{table(["", ""], rows)}'


def arguments(name: str) -> str:
    """Return the arguments of a pattern's `build`, with their defaults."""
    build = REGISTRY[name].load().build
    meaning = told(build.__doc__, "Args")
    rows = []
    for each in inspect.signature(build).parameters.values():
        default = repr(getattr(each.default, "__name__", each.default)).strip("'")
        default = f'"{default}"' if isinstance(each.default, str) else default
        rows.append([f"`{each.name}`", f"`{default}`", meaning[each.name]])
    return table(["argument of `build`", "default", "what it is"], rows)


def example(name: str) -> str:
    """Return the example of a pattern and what it prints."""
    path = EXAMPLES / f"{name}.py"
    with redirect_stdout(StringIO()) as printed:
        runpy.run_path(str(path), run_name="__main__")
    code = path.read_text(encoding="utf-8")
    return f'```python\n{code}```\n\nIt prints:\n\n```text title="prints"\n{printed.getvalue()}```\n'


def costs() -> str:
    """Return what each pattern costs, as a formula and as counted in a run with a scripted model."""
    rows = []
    for entry in patterns():
        context = Context(model=script(entry.name))
        result = entry.load().graph.invoke({"task": "x"}, context=context)
        counted = sum(outcome["usage"]["model_calls"] for outcome in result["outcomes"])
        link = f"[`{entry.name}`](patterns/{entry.name}.md)"
        rows.append([link, entry.cost.replace("*", "×"), CASES[entry.name], str(counted)])
    return table(["pattern", "model calls", "a run with", "calls"], rows)


def uses() -> str:
    """Return when to take which pattern."""
    rows = [[f"[`{entry.name}`](patterns/{entry.name}.md)", entry.use_when] for entry in patterns()]
    return table(["pattern", "take it when"], rows)


def teams() -> str:
    """Return the teams that come with the library."""
    rows = [
        [f"`{entry.name}`", entry.use_when, entry.cost.replace("*", "×")]
        for entry in REGISTRY.values()
        if entry.is_team
    ]
    return table(["team", "when", "model calls"], rows)


def _fields(kind: Any) -> str:
    meaning = told(kind.__doc__, "Args")
    rows = [[f"`{each.name}`", f"`{_default(each)}`", meaning[each.name]] for each in fields(kind)]
    return table(["field", "default", "what it is"], rows)


def _default(field: Field[Any]) -> str:
    if isinstance(field.default, Budget):
        return f"Budget({', '.join(f'{name}={limit}' for name, limit in field.default if limit is not None)})"
    if field.default is not MISSING:
        shown = repr(field.default)
        return f"{type(field.default).__name__}()" if len(shown) > 60 else shown
    return "required" if field.default_factory is MISSING else f"{type(field.default_factory()).__name__}()"


def context_fields() -> str:
    """Return the knobs of a run."""
    hints = Context.__annotations__
    rows = [[f"`{each.name}`", f"`{_default(each)}`", _described(hints[each.name])] for each in fields(Context)]
    return table(["field", "default", "what it is"], rows)


def _described(hint: Any) -> str:
    """Return the description in an annotation, wherever it is nested."""
    for more in getattr(hint, "__metadata__", ()):
        if getattr(more, "description", None):
            return str(more.description)
        if getattr(more, "json_schema", None):
            return str(more.json_schema["description"])
    return next(filter(None, map(_described, getattr(hint, "__args__", ()))), "")


def budget_fields() -> str:
    """Return the limits of a budget."""
    rows = [[f"`{name}`", each.description or ""] for name, each in Budget.model_fields.items()]
    return table(["limit", "what it counts"], rows)


def team_file() -> str:
    """Return what a team file may say, by kind of entry."""
    from orchestra.teamfile.model import AgentEntry, PersonEntry, TaskEntry, TeamEntry, TeamFile

    parts = []
    for kind in (TeamFile, AgentEntry, PersonEntry, TeamEntry, TaskEntry):
        rows = [[f"`{name}`", each.description or ""] for name, each in kind.model_fields.items()]
        parts.append(f"{_first_line(kind)}\n\n{table(['key', 'what it says'], rows)}")
    return "\n".join(parts)


def tool_names() -> str:
    """Return the ready tools that a team file names."""
    from orchestra.teamfile.toolsets import BARE, PARTS

    rows = [
        [f"`{name}`", ", ".join(f"`{name}.{part}`" for part in parts), "no" if name in BARE else "yes"]
        for name, parts in PARTS.items()
    ]
    return table(["toolset", "tools", "needs settings under `tools:`"], rows)


def notebooks() -> str:
    """Return the notebooks, with the title of each."""
    rows = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        rows.append([f"`{path.name}`", "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")])
    return table(["notebook", "what it is about"], rows)


def errors() -> str:
    """Return the tree of errors."""
    text = inspect.cleandoc(state.errors.__doc__ or "")
    tree = "\n".join(line.strip("\n") for line in text.splitlines()[2:] if line.startswith("    "))
    return f"```text\n{inspect.cleandoc(tree)}\n```\n"


def commands() -> str:
    """Return every command with its arguments and options."""
    return "\n".join(_command(name, each) for name, each in command.commands.items())


def _command(name: str, found: click.Command) -> str:
    words = [name, *(f"{each.human_readable_name}" for each in found.params if isinstance(each, click.Argument))]
    lines = [f"### orchestra {name}\n", inspect.cleandoc(found.help or "").split("\n\n")[0].replace("\n", " ") + "\n"]
    if isinstance(found, click.Group):
        for sub, each in found.commands.items():
            first = inspect.cleandoc(each.help or "").split("\n\n")[0].replace("\n", " ")
            lines.append(f"- `orchestra {name} {sub}`: {first}")
        return "\n".join(lines) + "\n"
    lines.append(f"`orchestra {' '.join(words)}`\n")
    rows = []
    for option in found.params:
        if isinstance(option, click.Option) and not option.hidden:
            rows.append([f"`{', '.join(option.opts)}`", " ".join((option.help or "").split())])
    return "\n".join(lines) + "\n" + (table(["option", "what it does"], rows) if rows else "")


def public_names(package: str) -> str:
    """Return the public names of a package with the first line of what each says of itself."""
    module = import_module(package)
    rows = [[f"`{name}`", _first_line(getattr(module, name))] for name in sorted(_exported(module), key=str.lower)]
    return table(["name", "what it is"], rows)


def _exported(module: Any) -> list[str]:
    """Return what a package gives lazily, with what it took over from its own errors."""
    errors_too = [name for name in state.errors.__dict__ if isinstance(getattr(state.errors, name), type)]
    return [*module._HOME, *(errors_too if module.__name__ == "state" else [])]


def _first_line(found: Any) -> str:
    if get_origin(found) is Annotated:
        return "The channel of a conversation: messages, of which only what is new is stored with each step."
    text = inspect.cleandoc(getattr(found, "__doc__", "") or "")
    return text.partition("\n\n")[0].replace("\n", " ")


def layers() -> str:
    """Return the layers around model and tool calls, outermost first, with the first line of each."""
    rows = []
    for kind, found in (("model", MODEL_LAYERS), ("tool", TOOL_LAYERS)):
        for layer in found:
            file = f"`{layer.__module__.replace('.', '/')}.py`"
            rows.append([kind, f"`{layer.__name__}`", _first_line(layer), file])
    return table(["call", "layer", "what it does", "file"], rows)


PARTS: dict[str, Callable[..., str]] = {
    "facts": facts,
    "arguments": arguments,
    "example": example,
    "costs": costs,
    "uses": uses,
    "teams": teams,
    "agent": lambda: _fields(Agent),
    "person": lambda: _fields(HumanAgent),
    "policy": lambda: _fields(Policy),
    "context": context_fields,
    "budget": budget_fields,
    "team_file": team_file,
    "tool_names": tool_names,
    "notebooks": notebooks,
    "errors": errors,
    "commands": commands,
    "names": public_names,
    "layers": layers,
}


def with_parts(text: str) -> str:
    """Return a page with its parts as the code has them now."""

    def made(found: re.Match[str]) -> str:
        words = found["name"].split()
        return f"{found[1]}\n{PARTS[words[0]](*words[1:])}\n{found[3]}"

    return PART.sub(made, text)
