"""The builder that every pattern returns, and the compiled graph it makes: safe whichever way it is called.

A `Pattern` is a `CompiledStateGraph` with one door. All of `invoke`, `stream`, `ainvoke` and `astream` come through
`astream` below, so that a graph called directly from Python has what the command gives: durable steps, a checked thread,
one budget for the whole tree.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs, var_child_runnable_config
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import GraphDrained, GraphInterrupt
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl, Runtime
from langgraph.types import Command, Overwrite, StateSnapshot

from state.admission import admitted, refuse_changed
from state.context import Context, check_context, context_of, with_defaults
from state.errors import ConfigurationError, Halted, InvalidThreadId
from state.halting import halted_by_signal
from state.loop import iterate_sync, run_sync
from state.made import Made
from state.observers import observed
from state.outcome import Outcome, merge_outcomes, total_usage
from state.prompts import Prompt, prompts_of, with_fields, without_fields
from state.recording import recorded
from state.requests import note_requests
from state.run import BEGUN_KEY, Run, run_here, run_of, start_run, with_run
from state.storage.locks import thread_held
from state.storage.place import on_behalf_of
from state.storage.requests import book_of
from state.storage.savers import as_async_saver
from state.storage.signals import signals_of
from state.task import TaskInput, TaskState
from state.tracer import guard_traces
from state.turns import TURN, turn_of

# What LangGraph hands to a nested graph: whether the graph around it is resumed, and its checkpointer.
_RESUMING, _CHECKPOINTER = "__pregel_resuming", "__pregel_checkpointer"
_RUNTIME = "__pregel_runtime"
"""Where LangGraph keeps the runtime of a node or router."""


class PatternBuilder(StateGraph[Any, Context, Any, Any]):
    """An uncompiled pattern: a `StateGraph` with our context, input and compiled form."""

    def __init__(self, state: type = TaskState) -> None:
        super().__init__(state, context_schema=Context, input_schema=TaskInput)
        self.levels = 0
        """How many teams of teams are nested in it, where the pattern counts them."""
        self.made: Made | None = None
        """Of what its `build` made it; None when no pattern did."""
        self.description = ""
        """What it is for, in a line: those that choose among teams read it."""
        self.knobs: Mapping[str, Any] = {}
        """Fields of the context of its runs, where a run is given none."""

    def add_node(self, node: Any, action: Any = None, **options: Any) -> Self:
        """Add a node, as `StateGraph` does; what it takes from the state is said by its own annotations.

        Raises:
            ConfigurationError: Another node or a channel of the state has that name, or it is reserved.
        """
        try:
            return super().add_node(node, action, **options)
        except ValueError as error:
            raise ConfigurationError(f"name {node!r} cannot be used here, choose another: {error}") from None

    def compile(self, checkpointer: Any = None, **options: Any) -> Pattern:
        """Compile to a `Pattern`. Any LangGraph checkpointer works, sync ones too; arguments are those of `StateGraph`."""
        if isinstance(checkpointer, BaseCheckpointSaver):
            checkpointer = as_async_saver(checkpointer)
        compiled = super().compile(checkpointer, **options)
        compiled.__class__ = Pattern  # the base names its own class; the layout is the same
        assert isinstance(compiled, Pattern)
        return compiled


class Pattern(CompiledStateGraph[Any, Context, Any, Any]):
    """A compiled pattern. Every call, sync or async, is one run through `astream`."""

    builder: PatternBuilder

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **options: Any
    ) -> AsyncGenerator[Any, None]:
        """Run the graph and yield what the stream modes ask for; arguments are those of `CompiledStateGraph.astream`.

        Raises:
            ConfigurationError: The context is neither a `Context` nor a mapping of its fields.
            InvalidThreadId: There is a checkpointer, and the thread id is not a non-empty string.
            ThreadBusy: Another run has the thread.
            InvalidAnswer: It resumes without the id of a request; `UnknownRequest` where nothing of that id is asked.
            GraphChanged: The graph lacks what its unfinished thread goes on with.
            Halted: Somebody asked it to stop. Everything is kept.
        """
        run, saver, mine = _run_here(config), None, options.get("control") is None
        outermost = run is None
        async with AsyncExitStack() as held:
            if run is None:
                run = self._start(merge_configs(self.config, config), options)
                if isinstance(self.checkpointer, BaseCheckpointSaver):
                    held.enter_context(on_behalf_of(run.thread))
                    await held.enter_async_context(thread_held(self.checkpointer, run.thread))
                    input = await admitted(self, input, merge_configs(self.config, config))
                    run.saver, run.turn = (
                        self.checkpointer,
                        await turn_of(self, input, merge_configs(self.config, config)),
                    )
                    config, saver = merge_configs(config, {"metadata": {TURN: run.turn}}), self.checkpointer
                    if (begun := ((config or {}).get("configurable") or {}).get(BEGUN_KEY)) is not None:
                        await begun()
                    await held.enter_async_context(recorded(run, self.get_name(), input, config))
                    options["control"] = control = options.get("control") or RunControl()
                    await held.enter_async_context(halted_by_signal(signals_of(saver), run.thread, control))
            here = run.on_this_loop()
            config = with_run(config, here)
            whole = self._parts(input, config, here, options)
            if outermost:
                whole = self._observed(whole, input, config, run)
            parts = await held.enter_async_context(aclosing(whole))
            try:
                async for part in parts:
                    yield part
            except GraphDrained as drained:
                if saver is None or not mine:
                    raise
                raise _halted(run.thread, drained.reason) from None
            if saver is not None:
                await note_requests(book_of, saver, run.thread, answered=isinstance(input, Command))

    @property
    def prompts(self) -> dict[str, Prompt]:
        """What the agents of this graph are told, by name; also of those in graphs that work for it."""
        runnables = {name: spec.runnable for name, spec in self.builder.nodes.items()}
        return prompts_of(
            {name: getattr(each, "afunc", None) or getattr(each, "func", None) for name, each in runnables.items()}
        )

    def default_context(self) -> Context:
        """Return the context of a run that is given none."""
        return Context(**self.builder.knobs)

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """Return the schema of the context as a form shows it: the knobs, and the prompt of each agent at its nodes."""
        schema = super().get_context_jsonschema()
        return schema and with_fields(with_defaults(schema, self.builder.knobs), self.prompts)

    def get_state(self, config: RunnableConfig, **options: Any) -> StateSnapshot:
        """Return the state of a thread; arguments are those of `CompiledStateGraph.get_state`.

        Raises:
            InvalidThreadId: The thread id is not a non-empty string. LangGraph would take 5 for "5".
        """
        self._check_thread_of(config)
        return super().get_state(config, **options)

    async def aget_state(self, config: RunnableConfig, **options: Any) -> StateSnapshot:
        """Return the state of a thread; see `get_state`."""
        self._check_thread_of(config)
        return await super().aget_state(config, **options)

    def _check_thread_of(self, config: RunnableConfig) -> None:
        if isinstance(self.checkpointer, BaseCheckpointSaver):
            _check_thread(merge_configs(self.config, config))

    async def aupdate_state(self, config: RunnableConfig, *given: Any, **options: Any) -> RunnableConfig:
        """Change the state of a thread that nobody runs; arguments are those of `CompiledStateGraph.aupdate_state`.

        Raises:
            ThreadBusy: The thread is being run: the change would be lost.
        """
        if (run := _run_here(config)) is not None or not isinstance(self.checkpointer, BaseCheckpointSaver):
            context = run.context if run is not None else self.default_context()
            return await super().aupdate_state(with_context(config, context), *given, **options)
        async with thread_held(self.checkpointer, _check_thread(merge_configs(self.config, config))):
            return await super().aupdate_state(self._as_in_a_run(config), *given, **options)

    def _as_in_a_run(self, config: RunnableConfig) -> RunnableConfig:
        """Return a configuration by which the routers behind a changed node decide as they do in a run of this thread."""
        config = with_context(config, self.default_context())
        config["configurable"].setdefault(_CHECKPOINTER, self.checkpointer)
        context = context_of(config["configurable"][_RUNTIME])
        return with_run(config, run_here(config, context, name=self.get_name()))

    def update_state(self, config: RunnableConfig, *given: Any, **options: Any) -> RunnableConfig:
        """Change the state of a thread from sync code; see `aupdate_state`."""
        return run_sync(self.aupdate_state(config, *given, **options), beside=_loop_of(_run_here(config)))

    async def _parts(
        self, input: Any, config: RunnableConfig, run: Run, options: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        whole = merge_configs(self.config, config)
        if self._is_taken_up(input, whole):
            await refuse_changed(self, whole)
            run.account.adopt(total_usage(await self._saved_turn(whole)))
        parts = cast(AsyncGenerator[Any, None], super().astream(input, config, **options))
        try:
            async with aclosing(parts):
                async for part in parts:
                    yield part
        except (
            GraphInterrupt
        ) as pause:  # only a nested graph raises it; a task and the node that called it name one twice
            requests = {request.id: request for request in (pause.args or ((),))[0]}
            raise GraphInterrupt(tuple(requests.values())) from None

    def _observed(
        self, parts: AsyncGenerator[Any, None], input: Any, config: RunnableConfig, run: Run
    ) -> AsyncGenerator[Any, None]:
        """Return the parts of a run; observers are told where it begins and how it ends."""

        async def stand() -> Mapping[str, Any]:
            if not isinstance(self.checkpointer, BaseCheckpointSaver):
                return {}
            snapshot = await self.aget_state({"configurable": {"thread_id": run.thread}})
            if snapshot.tasks:
                return {"status": "waiting" if snapshot.interrupts else "unfinished"}
            return cast(Mapping[str, Any], snapshot.values)

        resumed = self._is_taken_up(input, merge_configs(self.config, config))
        return observed(parts, run, graph=self.get_name(), given=input, resumed=resumed, stand=stand)

    def stream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Generator[Any, None, None]:
        """Run the graph from sync code and yield what the stream modes ask for."""
        return iterate_sync(self.astream(input, config, **options), beside=_loop_of(_run_here(config)))

    def invoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:
        """Run the graph from sync code and return its final state."""
        return run_sync(self.ainvoke(input, config, **options), beside=_loop_of(_run_here(config)))

    def _start(self, config: RunnableConfig, options: dict[str, Any]) -> Run:
        """Return the run that a call from outside of any starts, with the options set to what makes it safe."""
        if isinstance(self.checkpointer, BaseCheckpointSaver):
            _check_thread(config)
            options["durability"] = options.get("durability") or "sync"
        context, knobs = options.get("context"), self.builder.knobs
        if isinstance(context, Mapping):
            context = {**knobs, **without_fields(context, self.prompts)}
        if context is not None or knobs:
            options["context"] = context = check_context(knobs if context is None else context)
        run = start_run(config, context or Context(), name=self.get_name())
        guard_traces(run.context.redact)
        return run

    def _is_taken_up(self, input: Any, config: RunnableConfig) -> bool:
        """Whether a call goes on with what a thread has already."""
        configurable = config.get("configurable") or {}
        if not (input is None or isinstance(input, Command) or configurable.get(_RESUMING)):
            return False
        return isinstance(configurable.get(_CHECKPOINTER, self.checkpointer), BaseCheckpointSaver)

    async def _saved_turn(self, config: RunnableConfig) -> list[Outcome]:
        """Return the outcomes that a turn which is taken up again has already, of its unfinished step too."""
        snapshot = await self.aget_state(config)
        outcomes: list[Outcome] = snapshot.values.get("outcomes") or []
        for task in snapshot.tasks:
            new = (task.result or {}).get("outcomes") or []
            outcomes = new.value if isinstance(new, Overwrite) else merge_outcomes(outcomes, [new])
        return outcomes


def with_context(config: RunnableConfig, context: Context) -> RunnableConfig:
    """Return a copy of the configuration of a change of state with what its routers read, unless it has that.

    LangGraph asks the router behind a changed node where to go on, and gives it no runtime.
    """
    configurable = {_RUNTIME: Runtime(context=context), **(config.get("configurable") or {})}
    return RunnableConfig(**{**config, "configurable": configurable})


def can_ask_people(config: RunnableConfig | None) -> bool:
    """Whether a node may pause for a person itself: its graph is the outermost, and what waits is kept by a checkpointer."""
    run, configurable = run_of(config), (config or {}).get("configurable") or {}
    return run is not None and not run.parent and isinstance(configurable.get(_CHECKPOINTER), BaseCheckpointSaver)


def _halted(thread: str, reason: str) -> Halted:
    remedy = "go on with invoke(None, config), or `orchestra resume`"
    return Halted(f"thread {thread!r} was halted ({reason}); {remedy}", thread=thread, reason=reason)


def _run_here(config: RunnableConfig | None) -> Run | None:
    """Return the run that a call belongs to, by its configuration or by what it was made from."""
    return run_of(config) or run_of(var_child_runnable_config.get())


def _loop_of(run: Run | None) -> AbstractEventLoop | None:
    return run.loop if run is not None else None


def _check_thread(config: RunnableConfig) -> str:
    thread = (config.get("configurable") or {}).get("thread_id")
    if not isinstance(thread, str) or not thread.strip():
        message = f"thread id: expected a non-empty string, got {thread!r}; "
        raise InvalidThreadId(message + 'pass config={"configurable": {"thread_id": "..."}}', thread=thread)
    return thread
