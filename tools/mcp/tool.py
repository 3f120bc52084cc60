"""A LangChain tool for a tool of an MCP server; `langchain-mcp-adapters` makes it, this gives it our session, text and marks."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.tools import BaseTool, StructuredTool
from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool
from mcp import ClientSession
from mcp.types import CallToolResult

from tools.mcp.content import as_text, joined
from tools.mcp.definition import Definition
from tools.mcp.loop import LoopThread
from tools.mcp.marking import Marking, may_be_repeated
from tools.mcp.session import Session


def tool_of(definition: Definition, session: Session, loop: LoopThread, marking: Marking) -> BaseTool:
    """Return a tool that calls its server from any thread and any event loop, sync or async."""
    caller = _Caller(definition, session, loop)
    converted = convert_mcp_tool_to_langchain_tool(
        cast(ClientSession, caller), definition.shown, handle_tool_errors=False
    )
    assert isinstance(converted, StructuredTool)
    made = converted.coroutine
    assert made is not None

    async def call(**arguments: Any) -> tuple[str, Any]:
        content, artifact = await made(**arguments)
        return joined(content), artifact

    def call_and_wait(**arguments: Any) -> tuple[str, Any]:
        waiting = loop.submit(call(**arguments))
        try:
            return waiting.result()
        except BaseException:
            waiting.cancel()
            raise

    tool = converted.model_copy(
        update={"coroutine": call, "func": call_and_wait, "metadata": None, "handle_tool_error": True}
    )
    marked = marking.of(tool, definition.hints, definition.server)
    caller.repeatable = may_be_repeated(marked)
    return marked


class _Caller:
    """What the adapters take for a session: it calls under the tool's own name, wherever the session lives."""

    def __init__(self, definition: Definition, session: Session, loop: LoopThread) -> None:
        self._definition, self._session, self._loop = definition, session, loop
        self.repeatable = False

    async def call_tool(self, _: str, arguments: dict[str, Any], **__: Any) -> CallToolResult:
        """Call the tool; its result is one text."""
        renamed = self._definition.renamed
        told = {renamed.get(name, name): value for name, value in arguments.items()}
        return await self._loop.run(self._call(told))

    async def _call(self, arguments: dict[str, Any]) -> CallToolResult:
        name = self._definition.original
        return as_text(await self._session.call(name, arguments, repeatable=self.repeatable))
