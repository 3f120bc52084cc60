"""Code: tools that run Python and shell scripts that a model wrote, inside a sandbox and nowhere else."""

from __future__ import annotations

from pathlib import Path

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field

from state.errors import ConfigurationError
from tools.rights import needs
from tools.running import Ran, run_sealed
from tools.sandbox import Limits, NoSandbox, sealed

_LONGEST = 100_000  # bytes; one word of a command line holds 128 KB
_ABOUT = "It runs in a sandbox without a network, in a folder that stays between calls. Returns what it wrote and its exit code."


class _Python(BaseModel):
    code: str = Field(description="A Python program; print what you want to know.")


class _Shell(BaseModel):
    script: str = Field(description="A script for sh.")


def create_code_tools(
    folder: str | Path, *, limits: Limits | None = None, image: str | None = None
) -> tuple[BaseTool, BaseTool]:
    """Create the tools `run_python` and `run_shell`.

    They run by bubblewrap where it works, else in a container, else not at all. Nothing is repeated by itself after a crash;
    what a run changed in the folder stays there.

    Args:
        folder: The only one that code can change. All it may read beside it are the programs of the system and Python's.
        limits: On each run.
        image: Of a container with `python` and `sh`, already on this machine; for where there is no bubblewrap.

    Raises:
        ConfigurationError: It is no folder, or a limit is not above 0.
    """
    limits = limits or Limits()
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ConfigurationError(f"create_code_tools: expected a folder, got {str(folder)!r}")
    wrong = {name: value for name, value in vars(limits).items() if value <= 0}
    if wrong:
        raise ConfigurationError(f"create_code_tools: expected limits above 0, got {wrong!r}")
    path = path.resolve()

    def run_python(code: str) -> str:
        return _run(["python", "-B", "-c", _checked(code)], path, limits, image)

    def run_shell(script: str) -> str:
        return _run(["sh", "-c", _checked(script)], path, limits, image)

    marked = needs("code", "read", "write")
    describe = StructuredTool.from_function
    return (
        marked(describe(run_python, args_schema=_Python, description=f"Run a Python program. {_ABOUT}")),
        marked(describe(run_shell, args_schema=_Shell, description=f"Run a shell script. {_ABOUT}")),
    )


def _checked(code: str) -> str:
    try:
        size = len(code.encode("utf-8"))
    except UnicodeEncodeError:
        raise ToolException("It was not run: expected text, got half of a surrogate pair.") from None
    if "\0" in code or not code.strip():
        raise ToolException("It was not run: expected code without NUL characters, and some of it.")
    if size > _LONGEST:
        raise ToolException(
            f"It was not run: expected at most {_LONGEST} bytes, got {size}. Write a file and run that."
        )
    return code


def _run(argv: list[str], folder: Path, limits: Limits, image: str | None) -> str:
    """Run a command and say what came of it.

    Raises:
        ToolException: There is no sandbox; nothing was run.
    """
    try:
        return _said(run_sealed(sealed(argv, folder, limits=limits, image=image), limits))
    except (NoSandbox, OSError) as error:
        raise ToolException(f"It was not run: {error}.") from None


def _said(ran: Ran) -> str:
    ended = f"stopped: {ran.stopped}" if ran.stopped else f"exit code {ran.code}"
    return f"{ended}\n{ran.output}" if ran.output else f"{ended}, no output"
