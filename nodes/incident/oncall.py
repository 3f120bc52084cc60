"""On call: which service a run looks after, and what the tools of its agents work on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig

from nodes.threads import in_thread
from state.errors import ConfigurationError
from state.run import run_of
from tools.sandbox import Need
from tools.service.case import Case
from tools.service.example import FAULTS, fault_in, place_of, start_example
from tools.service.service import DESCRIPTION, Health, Service, open_service

SHOWS_WITHIN = 10.0
"""Seconds in which a fault of the example shows."""
LIFETIME = 900.0
"""Seconds after which the example ends by itself when nothing is asked of it; longer than a pause for an approval."""
IDLE_LIFETIME = 60.0
"""The same where it was not broken."""
_PAUSE = 0.1


class OnCall:
    """Knows the service of each run.

    Args:
        where: URL or folder of the service; None is a copy of the example for each thread, which is broken first.
        fault: How the example is broken; by default as the task says.
        ask: Commands that a person has to agree to; None is those marked as destructive.
        sandbox: Whether commands run in one.
        patience: Seconds that a healthy service may take to say so.
        settle: Seconds that a service is given to recover after a remedy.
    """

    def __init__(
        self,
        where: str | Path | None,
        fault: str,
        ask: Sequence[str] | None,
        sandbox: Need,
        patience: float,
        settle: float,
    ) -> None:
        if fault and fault not in FAULTS:
            raise ConfigurationError(f"fault: expected one of {', '.join(FAULTS)}, got {fault!r}")
        if fault and where is not None:
            raise ConfigurationError("fault: only the example can be broken; leave out `service` or `fault`")
        if settle < 0 or patience <= 0:
            raise ConfigurationError(f"expected settle from 0 and patience above 0, got {settle!r} and {patience!r}")
        self._where, self._fault, self._ask, self._sandbox = where, fault, ask, sandbox
        self._patience, self._settle = patience, settle

    async def arrive(self, task: str, config: RunnableConfig) -> str:
        """Return where the service is; the example is started and broken, once in a turn."""
        if self._where is not None:
            await in_thread(self.service, str(self._where))
            return str(self._where)
        thread, turn = _turn_of(config)
        folder = await in_thread(lambda: place_of(thread).absolute())
        fault, order = self._fault or fault_in(task), f"break-{turn}"[:64]
        lifetime = LIFETIME if fault else IDLE_LIFETIME
        await in_thread(start_example, folder, fault=fault, order=order, lifetime=lifetime)
        if fault:
            await self._wait_for(await in_thread(self.service, str(folder)), healthy=False, seconds=SHOWS_WITHIN)
        return str(folder)

    def hints(self, task: str, where: str) -> list[str]:
        """Return what is left for the reader to know."""
        if self._where is not None:
            return []
        if not (self._fault or fault_in(task)):
            named = ", ".join(FAULTS)
            return [
                f"This is the example service, and the task tells of no trouble, so it was not broken: name one of {named}."
            ]
        return [f"The example service runs on for a while; `python control.py down .` in {where} ends it."]

    def service(self, where: str) -> Service:
        """Return the service at a place."""
        return open_service(where, sandbox=self._sandbox, patience=self._patience)

    def asked(self, service: Service) -> tuple[str, ...]:
        """Return the commands of a service that a person has to agree to."""
        if self._ask is not None:
            return tuple(self._ask)
        commands = service.commands.commands if service.commands is not None else {}
        return tuple(name for name, command in commands.items() if command.destructive)

    def case(self, state: Mapping[str, Any], config: RunnableConfig, agent: str) -> Case:
        """Return what an agent's tools work on.

        Raises:
            ConfigurationError: The service's list of commands is another one than when the incident began.
        """
        service, (thread, turn) = self.service(state["service"]), _turn_of(config)
        if service.mark != state["mark"]:
            raise ConfigurationError(
                f"service: {DESCRIPTION} in {state['service']!r} was changed since the incident began; put it back as it was, or "
                "start anew"
            )
        return Case(service, thread, turn, state["round"], agent, self.asked(service))

    async def health(self, where: str) -> Health:
        """Return how the service is now."""
        return await in_thread(lambda: self.service(where).health())

    async def recovery(self, where: str) -> Health:
        """Return how the service is once it has recovered, or when the time for that is over."""
        return await self._wait_for(await in_thread(self.service, where), healthy=True, seconds=self._settle)

    async def _wait_for(self, service: Service, *, healthy: bool, seconds: float) -> Health:
        """Return the first of two looks in a row that find it so, or the last look of all."""
        until, before = time.monotonic() + seconds, await in_thread(service.health)
        while True:
            await asyncio.sleep(_PAUSE)
            now = await in_thread(service.health)
            if before.healthy == now.healthy == healthy or time.monotonic() > until:
                return now
            before = now


def _turn_of(config: RunnableConfig) -> tuple[str, str]:
    """Return thread and turn of a run; without a checkpointer it is one of its own."""
    run = run_of(config)
    if run is None:
        return "run", "1"
    return run.thread or run.id, run.turn or run.id
