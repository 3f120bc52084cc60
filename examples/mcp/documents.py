"""A shop's policies are read through an MCP server: another program has the documents, the agent has that program's tools.

The server here is ours, started with `python -m tools.mcp.server FOLDER`. Any other goes in the same way, by command or by url.
"""

import sys
from pathlib import Path

from graphs import single
from nodes import Agent
from tools.mcp import open_mcp

FOLDER = Path(__file__).resolve().parent.parent / "support" / "policies"
SERVERS = {"policies": {"command": sys.executable, "args": ["-m", "tools.mcp.server", str(FOLDER)]}}


def main() -> None:
    with open_mcp(SERVERS, only=["search_documents", "read_passage"], patience=60) as mcp:
        reader = Agent(
            "reader",
            "Answers questions from the documents.",
            "Answer from the documents only, in two sentences. Search first, and cite passages by their ids.",
            tools=mcp.tools,
        )
        graph = single.build(reader).compile(name="policy_desk")
        out = graph.invoke({"task": "Within how many days can something be returned?"})
        print(out["answer"] or out["reason"])
        for outcome in out["outcomes"]:
            print(f"- {outcome['id']}: {outcome['status']}, {outcome['usage']['tool_calls']} tool calls")


if __name__ == "__main__":
    main()
