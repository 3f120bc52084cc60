"""Rights: what a tool needs before an agent may use it, and whether what it returns was written by somebody outside.

    @needs("network")
    def fetch(url: str) -> str:
        \"\"\"Fetch a page.\"\"\"

    @trusted
    @needs("read")
    def order(number: int) -> str:
        \"\"\"Look an order up in our own database.\"\"\"

An agent whose policy names what it is granted (`Policy.grants`) can use the tools that need no more than that. Whom it asks,
gives a task or hands over to can use no more than both are granted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool

from state.errors import ConfigurationError
from tools.marks import RIGHTS, TRUSTED, Right, marked_as, marks_of


def needs(*rights: Right) -> Callable[[BaseTool | Callable[..., Any]], BaseTool]:
    """Return a decorator that says what a tool needs: any of read, write, effect, network, code; nothing, without arguments.

    A tool that is marked with `effect` needs `effect` as well. One that says nothing needs everything.

    Raises:
        ConfigurationError: One of them is no right, or it is neither a tool nor a function.
    """
    check_rights("needs", rights)

    def marked(tool: BaseTool | Callable[..., Any]) -> BaseTool:
        return marked_as(tool, needs=frozenset(rights))

    return marked


def trusted(tool: BaseTool | Callable[..., Any]) -> BaseTool:
    """Mark a tool whose results nobody outside can have written, such as rows of one's own database.

    What any other tool returns taints whoever reads it: effects and approvals that follow show where it came from.

    Raises:
        ConfigurationError: It is neither a tool nor a function.
    """
    return marked_as(tool, source=TRUSTED)


def rights_of(tool: BaseTool | None) -> frozenset[Right]:
    """Return what a tool needs."""
    marks = marks_of(tool)
    if marks.needs is None:
        return RIGHTS
    return marks.needs | ({"effect"} if marks.effect is not None else frozenset())


def check_rights(where: str, rights: Any) -> None:
    """Refuse what is no right.

    Raises:
        ConfigurationError: Names it, and what there is.
    """
    unknown = [rights] if isinstance(rights, str) else sorted(set(rights) - RIGHTS)
    if unknown:
        raise ConfigurationError(f"{where}: expected some of {sorted(RIGHTS)}, got {unknown!r}")
