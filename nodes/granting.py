"""Granting: the grants of a step's run, and the scope of what an agent may do, for those that pass work on."""

from __future__ import annotations

import time
from functools import cache

from nodes.authority import Authority
from nodes.step import Step
from state.errors import GrantRefused
from state.grants import Grants
from state.registers import Grant
from state.scopes import Scope
from state.storage.grants import AsyncGrants, grants_of, process_key

LASTS = 86_400.0
"""Seconds that a grant lasts in a run without a deadline. A step that is taken up again is given a new one."""


async def grants_in(step: Step) -> AsyncGrants:
    """Return the grants of a step's run: of its checkpointer's database, without one of this process.

    Raises:
        ConfigurationError: The key is too short, or can be read by others.
        PersistenceError: The database or its key can be neither read nor made.
    """
    run = step.run
    return await grants_of(run.saver) if run.saver is not None else _of_process()


async def pass_on(step: Step, holder: str) -> Grant:
    """Return the grant by which a colleague works for a step: what the step may do, for a while, and no deeper than it may go.

    Raises:
        GrantRefused: The step's own grant does not let it.
        PersistenceError: The register cannot be read or written.
    """
    run, grants, now = step.run, await grants_in(step), time.time()
    expires, scope = step.context.deadline or now + LASTS, scope_of(step.authority)
    if step.grant is None:
        token = grants.issue(
            None,
            issuer=step.agent,
            holder=holder,
            thread=run.thread,
            turn=run.turn,
            scope=scope,
            depth=step.context.max_depth,
            expires=expires,
            now=now,
        )
    else:
        token = grants.narrow(step.grant, holder=holder, scope=scope, expires=expires, now=now)
    return await grants.redeem(token, holder=holder, thread=run.thread, turn=run.turn, now=now)


async def why_ended(step: Step) -> str:
    """Return why the grant that a step works by no longer holds; nothing when it does, or the step works by none."""
    if step.grant is None:
        return ""
    try:
        await (await grants_in(step)).check(step.grant, time.time())
    except GrantRefused as refused:
        return f"{refused}."
    return ""


def scope_of(authority: Authority) -> Scope:
    """Return what an authority allows as the scope of a grant."""
    return Scope(frozenset(authority.grants), authority.allow, authority.deny, authority.approve)


@cache
def _of_process() -> AsyncGrants:
    return AsyncGrants(Grants(process_key()))
