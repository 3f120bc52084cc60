"""Authority: what an agent may do, and how it shrinks as work is passed on.

An agent that works for another one may do what both may: what one of them is denied is denied, what one of them has to ask for is
asked for. That holds for whom it asks, gives a task or hands over to, for a manager's workers, and for teams within teams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from nodes.policy import Policy
from nodes.spec import Agent, AnyAgent, name_of
from tools.marks import RIGHTS, Right

Tainted = Literal["allow", "approve", "deny"]
_STRICTER: tuple[Tainted, ...] = ("allow", "approve", "deny")


@dataclass(frozen=True)
class Authority:
    """What an agent may do here.

    Args:
        holder: The agent, for what a refusal says.
        grants: Rights that its tools may need.
        allow: Names of the only tools that may execute; None for all.
        approve: Names of tools that a person has to agree to.
        deny: Names of tools that may not execute.
        tainted: What becomes of a call that could do harm, once content from outside is in the agent's context.
        above: Those it works for, nearest first.
    """

    holder: str = ""
    grants: frozenset[Right] = RIGHTS
    allow: frozenset[str] | None = None
    approve: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    tainted: Tainted = "allow"
    above: tuple[Authority, ...] = ()

    def within(self, other: Authority | None) -> Authority:
        """Return what both allow; laws: associative, idempotent, never more than either."""
        if other is None or other.is_open:
            return self
        allow = self.allow if other.allow is None else other.allow if self.allow is None else self.allow & other.allow
        return Authority(
            holder=self.holder,
            grants=self.grants & other.grants,
            allow=allow,
            approve=self.approve | other.approve,
            deny=self.deny | other.deny,
            tainted=max(self.tainted, other.tainted, key=_STRICTER.index),
            above=(*self.above, replace(other, above=()), *other.above),
        )

    @property
    def is_open(self) -> bool:
        """Whether it limits nothing."""
        return self == Authority(holder=self.holder)

    def why_not(self, tool: str, needs: Iterable[Right]) -> str:
        """Return why a tool may not execute, in words for whoever asked for it; nothing when it may."""
        if tool in self.deny or (self.allow is not None and tool not in self.allow):
            return f"{self._limited_by(tool)} may not use {tool}."
        if missing := sorted(set(needs) - self.grants):
            return f"{tool} needs {', '.join(missing)}, which {self.holder} was not granted."
        return ""

    def _limited_by(self, tool: str) -> str:
        """Return who is denied a tool: the agent itself, or it for whoever it works for."""
        for one in reversed(self.above):  # the limits of those further up are among those of the nearer ones
            if tool in one.deny or (one.allow is not None and tool not in one.allow):
                return f"{one.holder}, for whom {self.holder} works,"
        return self.holder


def led_by(leader: AnyAgent) -> Callable[[Any], Authority]:
    """Return what says, of any state, that an agent works for a leader."""
    authority = authority_of(leader)
    return lambda state: authority  # noqa: ARG005  # the shared signature


def authority_of(agent: AnyAgent) -> Authority:
    """Return what an agent's own policy allows; of what has no policy, everything."""
    return authority_by(agent.policy, name_of(agent)) if isinstance(agent, Agent) else Authority(name_of(agent))


def authority_by(policy: Policy, holder: str) -> Authority:
    """Return what a policy allows."""
    return Authority(
        holder,
        RIGHTS if policy.grants is None else frozenset(policy.grants),
        None if policy.allow is None else frozenset(policy.allow),
        frozenset(policy.approve),
        frozenset(policy.deny),
        policy.tainted,
    )
