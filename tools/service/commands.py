"""Commands: a list of the only ones an agent may run, each with typed arguments, and the tool that runs them.

No shell: a command is a list of words, in which `{name}` stands for an argument. The environment and the working directory are
fixed, time is limited, output is clipped. What is not on the list is refused, and everything asked for is in the audit file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from state.errors import ConfigurationError
from tools.effects import effect, effect_key, requires_approval
from tools.rights import needs
from tools.sandbox import Need, NoSandbox, confined
from tools.service.case import case_here

TIME_LIMIT = 20.0
"""Seconds for one command; below the 30 s that an agent waits for a tool."""
MOST_OUTPUT = 4000
"""Characters of output that are kept: the beginning and the end."""
UNKNOWN = 3
"""Exit code with which the command that tells of earlier ones says that it knows nothing of one."""
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class CommandTimeout(Exception):
    """A command took too long; what became of it is not known."""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Command:
    """One command that may be run.

    Args:
        name: That agents call it by.
        does: One sentence.
        argv: Its words; `{python}`, `{id}` (of this very call) and `{argument}` are filled in, each a whole word or part of one.
        arguments: Their types.
        destructive: Whether something may be lost by it.
    """

    name: str
    does: str
    argv: tuple[str, ...]
    arguments: type[BaseModel] = _Arguments
    destructive: bool = False

    def describe(self) -> str:
        """Return one line: name, arguments, what it does."""
        told = ", ".join(f"{name}: {_range(field)}" for name, field in self.arguments.model_fields.items())
        return f"{self.name}({told}): {self.does}"


def _range(info: Any) -> str:
    """Return what an argument may be."""
    schema = create_model("_One", value=(info.annotation, info)).model_json_schema()["properties"]["value"]
    if "enum" in schema or "const" in schema:
        return " or ".join(map(str, schema.get("enum", [schema.get("const")])))
    return f"{schema.get('minimum', '')} to {schema.get('maximum', '')}"


def read_command(name: str, given: Mapping[str, Any]) -> Command:
    """Return a command as a file describes it: `does`, `argv`, `arguments` with `enum` or `minimum` and `maximum`.

    Raises:
        ConfigurationError: The description is not complete, or leaves an argument open.
    """
    argv = given.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        raise ConfigurationError(f"command {name!r}: expected argv as a list of words, got {argv!r}")
    fields: dict[str, Any] = {}
    for key, kind in (given.get("arguments") or {}).items():
        if kind.get("enum"):
            fields[key] = (Literal[tuple(kind["enum"])], ...)
        elif {"minimum", "maximum"} <= kind.keys():
            fields[key] = (int, Field(ge=kind["minimum"], le=kind["maximum"]))
        else:
            raise ConfigurationError(f"command {name!r}: {key}: expected enum, or minimum and maximum, got {kind!r}")
    arguments = create_model(f"{name}_arguments", __base__=_Arguments, **fields)
    return Command(name, str(given.get("does", "")), tuple(argv), arguments, bool(given.get("destructive", False)))


@dataclass(frozen=True)
class CommandList:
    """The commands of one service, and how they run.

    Args:
        commands: By name.
        folder: That they run in.
        result: Words of the command that says what became of an earlier one, by `{id}`; it exits with 3 when it knows nothing.
        sandbox: Whether they run in one.
        time_limit: Seconds for each.
    """

    commands: Mapping[str, Command]
    folder: Path
    result: tuple[str, ...] = ()
    sandbox: Need = "when_present"
    time_limit: float = TIME_LIMIT
    environment: Mapping[str, str] = field(default_factory=lambda: dict(_ENVIRONMENT))

    def check(self, name: Any, arguments: Any) -> tuple[Command, dict[str, Any]]:
        """Return a command and its arguments if it is on the list and they fit.

        Raises:
            ToolException: Says why not, and what there is.
        """
        command = self.commands.get(name) if isinstance(name, str) else None
        if command is None:
            raise ToolException(
                f"{name!r} is not on the list of commands and was not run. There are: {self.describe()}"
            )
        try:
            found = command.arguments.model_validate(arguments or {})
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
            raise ToolException(f"{name} was not run: {wrong}. It is {command.describe()}") from None
        return command, found.model_dump()

    def describe(self) -> str:
        """Return the commands, one a line."""
        return "\n".join(f"- {command.describe()}" for command in self.commands.values())

    def run(self, name: Any, arguments: Any, key: str) -> tuple[int, str]:
        """Run a command and return its exit code and output.

        Raises:
            ToolException: It is not on the list, or no sandbox is there that has to be: nothing was run.
            CommandTimeout: It took too long and was ended.
        """
        command, found = self.check(name, arguments)
        try:
            return self._execute(command.argv, {**found, "id": key})
        except NoSandbox as error:
            raise ToolException(f"{name} was not run: {error}.") from None

    def find(self, key: str) -> tuple[int, str] | None:
        """Return exit code and output of an earlier command; None when it was not run.

        Raises:
            LookupError: Nobody can tell.
        """
        if not self.result:
            raise LookupError("no command tells of earlier ones")
        code, output = self._execute(self.result, {"id": key})
        if code not in (0, 1):
            if code == UNKNOWN:
                return None
            raise LookupError(output)
        return code, output

    def _execute(self, argv: Sequence[str], values: Mapping[str, Any]) -> tuple[int, str]:
        filled = {"python": sys.executable, **values}
        words = confined([_filled(word, filled) for word in argv], self.folder, self.sandbox)
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(self.time_limit)
            except subprocess.TimeoutExpired:
                raise CommandTimeout(f"no end after {self.time_limit:g} s") from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            return code, _clipped(output)


def _filled(word: str, values: Mapping[str, Any]) -> str:
    for name, value in values.items():
        word = word.replace("{" + name + "}", str(value))
    return word


def _clipped(output: Any) -> str:
    """Return what a command wrote; of much, the beginning and the end."""
    size, half = output.seek(0, os.SEEK_END), MOST_OUTPUT // 2
    output.seek(0)
    if size <= MOST_OUTPUT:
        return str(output.read().decode("utf-8", "replace")).strip()
    first = output.read(half).decode("utf-8", "replace")
    output.seek(size - half)
    last = output.read().decode("utf-8", "replace")
    return f"{first}\n[... {size - MOST_OUTPUT} bytes left out ...]\n{last}".strip()


class _Call(BaseModel):
    command: str = Field(description="Name of a command on the list.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Its arguments by name, such as {'workers': 4}."
    )
    reason: str = Field(default="", description="Why, in a sentence, for whoever has to agree.")


def create_command_tool() -> BaseTool:
    """Create the tool `run_command`: it runs commands of the case's service, once in a round, some with a person's approval."""
    description = (
        "Run one command of the list you were given, by its name and with its arguments. Nothing else can be run."
    )
    tool = needs("code")(StructuredTool.from_function(run_command, args_schema=_Call, description=description))
    return requires_approval(effect(tool, key=_told_apart, reconcile=_found), when=needs_approval)


def run_command(command: str, arguments: dict[str, Any] | None = None, reason: str = "") -> str:
    """Run a command of the list and say what it said; note it, and what was refused."""
    case, given = case_here(), {"command": command, "arguments": arguments or {}, "why": reason}
    began = time.time()
    try:
        code, output = _commands().run(command, arguments, effect_key())
    except ToolException as error:
        case.note("refused", **given, reason=str(error).partition("\n")[0])
        raise
    except CommandTimeout as error:
        case.note("in doubt", **given, reason=str(error))
        raise
    case.note("ran", **given, exit_code=code, output=output, began=began, seconds=round(time.time() - began, 3))
    return _said(command, code, output)


def needs_approval(call: Mapping[str, Any]) -> bool:
    """Whether a person has to agree to a call; nobody is asked about what is refused anyway."""
    case, name, arguments = case_here(), call.get("command"), call.get("arguments") or {}
    try:
        _commands().check(name, arguments)
    except ToolException:
        return False
    if name not in case.ask:
        return False
    case.asked.append({"command": name, "arguments": arguments})
    return True


def _told_apart(**call: Any) -> Any:
    return [call.get("command"), call.get("arguments") or {}, case_here().round]


def _found(args: Mapping[str, Any], key: str) -> str | bool:
    """Say what became of a command that was begun before the process died."""
    earlier = _commands().find(key)
    if earlier is None:
        return False
    code, output = earlier
    given = {"command": args.get("command"), "arguments": args.get("arguments") or {}}
    case_here().note("found done", **given, exit_code=code, output=output)
    return _said(str(args.get("command")), code, output)


def _said(command: str, code: int, output: str) -> str:
    return f"{command} {'succeeded' if code == 0 else f'failed with exit code {code}'}: {output or 'no output'}"


def _commands() -> CommandList:
    commands = case_here().service.commands
    if commands is None:
        raise ToolException("This service has no list of commands: nothing can be run.")
    return commands
