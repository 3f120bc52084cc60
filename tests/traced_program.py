"""A program whose runs are sent to LangSmith, by its variables alone. Its first run comes before they are set."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers.langchain import wait_for_all_tracers
from langgraph.checkpoint.memory import InMemorySaver
from langsmith.utils import get_env_var

from cases import says
from graphs import sequential, single
from nodes import Agent, ScriptedChatModel
from nodes.scripted import call
from state import Context

SECRET = os.environ["SERVICE_API_KEY"]


@tool
def look(place: str) -> str:
    """Look."""
    return f"In {place} is {SECRET}."


def main() -> None:
    """Run a silent graph, then a team within a team on a thread, async code, and a graph below something of LangChain's."""
    single.build(says("nobody", "done")).compile(name="silent").invoke({"task": "Go."})

    os.environ["LANGSMITH_TRACING"] = "true"
    get_env_var.cache_clear()  # type: ignore[attr-defined]  # it is cached, and not typed so
    RunnableLambda(len, name="langchain").invoke("makes the client before any run of ours")
    seer = Agent("seer", tools=[look], model=ScriptedChatModel([call("look", place="the hall"), "seen"]))
    team = sequential.build([seer, says("teller", "told", "again")]).compile(name="team")
    graph = single.build(team).compile(InMemorySaver(), name="outer")
    config = RunnableConfig(configurable={"thread_id": "thread-1"})
    task = f"The key is {SECRET}, and the address is ada@example.com."
    graph.invoke({"task": task}, config, context=Context(redact=("email",)))

    asked = single.build(says("answerer", "done")).compile(name="asked")
    asyncio.run(asked.ainvoke({"task": "Go."}))
    RunnableLambda(call_graph, name="mine").invoke("Go.")
    wait_for_all_tracers()


def call_graph(task: str) -> Any:
    """Run a graph from sync code within a runnable."""
    return single.build(says("inner", "done")).compile(name="called").invoke({"task": task})


main()
