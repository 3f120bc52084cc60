"""A small handbook that the extractive engine is tested with, and a run of the engine over its tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool

from nodes import ExtractiveChatModel
from nodes.engine.words import plain
from tools import create_corpus_tools, open_corpus
from tools.passage import CITATION, Passage, parse_passages, render_passages

LEAVE = """# Leave policy

Employees receive 28 days of paid leave per calendar year. Leave that is not taken by 31 March of the following year expires.

## Requesting leave

Submit a request in the portal at least two weeks before the first day of leave. Your manager approves or declines it within
three working days.

## Sick leave

Report sick leave by phone before 9 a.m. on the first day. A medical certificate is required from the third day of illness.
"""
EXPENSES = """# Travel expenses

Book trains in second class. Flights are allowed only when the train takes longer than six hours.

To claim expenses:

- hand in receipts within 30 days after the trip,
- fill in the travel form.

```
portal submit --trip ID
```
"""


def passage(number: int, source: str, heading: str, text: str) -> Passage:
    """Make a passage with a readable id: `p:0000000001`."""
    return Passage(id=f"p:{number:010x}", source=source, heading=heading, place="lines 1-9", text=text)


SQLITE = passage(
    1,
    "db.md",
    "SQLite",
    "SQLite is an embedded database. It needs no server and stores everything in one file. Only one writer is allowed at a time.",
)
POSTGRES = passage(
    2, "db.md", "PostgreSQL", "PostgreSQL is a database server. It allows 100 concurrent connections by default."
)
PASSAGES = "\n\nPassages:\n" + render_passages([SQLITE, POSTGRES])


def handbook_tools(folder: Path) -> list[BaseTool]:
    """Write the handbook to a folder and give the tools that search it."""
    folder.mkdir(exist_ok=True)
    (folder / "leave.md").write_text(LEAVE)
    (folder / "expenses.md").write_text(EXPENSES)
    return list(create_corpus_tools(open_corpus(folder, index=folder / "index.db")))


def converse(question: str, tools: Sequence[BaseTool], *, system: str = "", turns: int = 10) -> list[BaseMessage]:
    """Let the engine work on a question until it answers; at most `turns` replies."""
    model = ExtractiveChatModel().bind_tools(tools)
    named = {tool.name: tool for tool in tools}
    messages: list[BaseMessage] = [*([SystemMessage(system)] if system else []), HumanMessage(question)]
    for _ in range(turns):
        reply = model.invoke(messages)
        messages.append(reply)
        if not reply.tool_calls:
            return messages
        messages += [named[call["name"]].invoke(call) for call in reply.tool_calls]
    raise AssertionError(f"no answer after {turns} replies")


def calls_in(messages: Sequence[BaseMessage]) -> list[tuple[str, dict[str, object]]]:
    """List the tool calls of a conversation, in order."""
    return [(call["name"], call["args"]) for m in messages if isinstance(m, AIMessage) for call in m.tool_calls]


def quotes_in(answer: str) -> list[tuple[str, str]]:
    """List `(quote, passage id)` of an answer: the text before each citation, list marks and fences left out."""
    found, start = [], 0
    for match in CITATION.finditer(answer):
        text = plain(answer[start : match.start()].replace("```", " ")).removeprefix("- ")
        found.append((text.strip(), match[1]))
        start = match.end()
    return found


def retrieved(messages: Sequence[BaseMessage]) -> dict[str, str]:
    """Map the id of each passage that a tool returned to its text, white space collapsed."""
    results = [message.text for message in messages if isinstance(message, ToolMessage)]
    return {p.id: plain(p.text) for text in results for p in parse_passages(text)}
