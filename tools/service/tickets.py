"""Tickets: the message that an incident leaves behind, as a file in the service's folder."""

from __future__ import annotations

import time
from pathlib import Path

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, Field

from tools.effects import effect, effect_key
from tools.rights import needs
from tools.service.case import Case, case_here


class _Ticket(BaseModel):
    title: str = Field(min_length=3, max_length=200, description="What happened, in a line.")
    text: str = Field(min_length=3, description="What whoever reads it has to know.")


def create_ticket_tool() -> BaseTool:
    """Create the tool `write_ticket`: one file in a round, however often it is called with the same."""
    tool = StructuredTool.from_function(
        write_ticket, args_schema=_Ticket, description="Write the ticket of the incident."
    )
    return effect(needs("write")(tool), key=lambda **_: [case_here().round], reconcile=_found)


def write_ticket(title: str, text: str) -> str:
    """Write the ticket as a file that appears whole."""
    case, path = case_here(), ticket_path(case_here(), effect_key())
    path.parent.mkdir(parents=True, exist_ok=True)
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    draft = path.with_suffix(".draft")
    draft.write_text(f"# {title}\n\n{case.service.name}, {now}\n\n{text.strip()}\n", encoding="utf-8")
    draft.replace(path)
    case.note("ticket", path=str(path))
    return f"Written to {path}."


def ticket_path(case: Case, key: str) -> Path:
    """Return where a ticket lies."""
    return case.service.audit.parent / "tickets" / f"{key[:12]}.md"


def _found(key: str) -> str | bool:
    path = ticket_path(case_here(), key)
    return f"Written to {path}." if path.is_file() else False
