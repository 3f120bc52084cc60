"""Scopes: what somebody may do with tools, and how two of them are compared and joined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from state.audit import storable
from state.errors import ConfigurationError


@dataclass(frozen=True)
class Scope:
    """What somebody may do.

    Args:
        rights: Rights that a tool may need; None sets no limit.
        allow: Names of the only tools; None allows any.
        deny: Names of tools that may not be used, whatever `allow` says.
        approve: Names of tools that a person has to agree to.
    """

    rights: frozenset[str] | None = None
    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()
    approve: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Take any collection of names.

        Raises:
            ConfigurationError: One is a single text, or holds what is no text.
        """
        for name in ("rights", "allow", "deny", "approve"):
            value = getattr(self, name)
            if value is None and name in ("rights", "allow"):
                continue
            if (
                isinstance(value, str)
                or not isinstance(value, Iterable)
                or not all(isinstance(one, str) for one in value)
            ):
                raise ConfigurationError(f"Scope.{name}: expected a collection of names, got {value!r}")
            object.__setattr__(self, name, frozenset(map(storable, value)))

    def permits(self, tool: str, needs: Iterable[str] = ()) -> bool:
        """Whether a tool that needs these rights may be used; whether a person has to agree first is another matter."""
        allowed = self.allow is None or tool in self.allow
        return allowed and tool not in self.deny and (self.rights is None or self.rights.issuperset(needs))

    def beyond(self, other: Scope) -> str:
        """Return what it permits that `other` does not, to read; nothing when it permits no more."""
        for name in ("rights", "allow"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None and (mine is None or mine - theirs):
                return f"{name} {'without a limit' if mine is None else _listed(mine - theirs)}"
        for name in ("deny", "approve"):
            if missing := getattr(other, name) - getattr(self, name):
                return f"no {name} of {_listed(missing)}"
        return ""

    def meet(self, other: Scope) -> Scope:
        """Return what both permit."""
        return Scope(
            _both(self.rights, other.rights),
            _both(self.allow, other.allow),
            self.deny | other.deny,
            self.approve | other.approve,
        )


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
