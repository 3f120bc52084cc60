"""The builder that every pattern returns, and the compiled graph it makes: safe whichever way it is called.

A `Pattern` is a `CompiledStateGraph` with one door. All of `invoke`, `stream`, `ainvoke` and `astream` come through
`astream` below, so that a graph called directly from Python has what the command gives: durable steps, a checked thread,
one budget for the whole tree.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs, var_child_runnable_config
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from state.context import Context, context_of
from state.errors import InvalidThreadId
from state.loop import iterate_sync, run_sync
from state.run import run_of, start_run, with_run
from state.storage.savers import as_async_saver
from state.task import TaskInput, TaskState


class PatternBuilder(StateGraph[Any, Context, Any, Any]):
    """An uncompiled pattern: a `StateGraph` with our context, input and compiled form."""

    def __init__(self, state: type = TaskState) -> None:
        super().__init__(state, context_schema=Context, input_schema=TaskInput)

    def add_node(self, node: Any, action: Any = None, **options: Any) -> Self:  # type: ignore[override]
        """Add a node, as `StateGraph` does; what it takes from the state is said by its own annotations."""
        return super().add_node(node, action, **options)

    def compile(self, checkpointer: Any = None, **options: Any) -> Pattern:  # type: ignore[override]  # options are the base's own
        """Compile to a `Pattern`. Any LangGraph checkpointer works, sync ones too; arguments are those of `StateGraph`."""
        if isinstance(checkpointer, BaseCheckpointSaver):
            checkpointer = as_async_saver(checkpointer)
        compiled = super().compile(checkpointer, **options)
        compiled.__class__ = Pattern  # the base names its own class; the layout is the same
        assert isinstance(compiled, Pattern)
        return compiled


class Pattern(CompiledStateGraph[Any, Context, Any, Any]):
    """A compiled pattern. Every call, sync or async, is one run through `astream`."""

    async def astream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        """Run the graph and yield what the stream modes ask for; arguments are those of `CompiledStateGraph.astream`.

        Raises:
            InvalidThreadId: There is a checkpointer, and the thread id is not a non-empty string.
        """
        if run_of(config) is None and run_of(var_child_runnable_config.get()) is None:
            saver = self.checkpointer
            if isinstance(saver, BaseCheckpointSaver):
                _check_thread(merge_configs(self.config, config))
                options["durability"] = options.get("durability") or "sync"
            if isinstance(options.get("context"), dict):
                options["context"] = Context(**options["context"])
            context = options.get("context") or context_of(None)
            config = with_run(config, start_run(merge_configs(self.config, config), context, name=self.get_name()))
        async for part in super().astream(input, config, **options):
            yield part

    def stream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Iterator[Any]:  # type: ignore[override]
        """Run the graph from sync code and yield what the stream modes ask for."""
        return iterate_sync(self.astream(input, config, **options))

    def invoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:  # type: ignore[override]
        """Run the graph from sync code and return its final state."""
        return run_sync(self.ainvoke(input, config, **options))


def _check_thread(config: RunnableConfig) -> None:
    thread = (config.get("configurable") or {}).get("thread_id")
    if not isinstance(thread, str) or not thread.strip():
        message = f"thread id: expected a non-empty string, got {thread!r}; "
        raise InvalidThreadId(message + 'pass config={"configurable": {"thread_id": "..."}}', thread=thread)
