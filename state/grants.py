"""Grants: what one agent lets another do for it, signed, for a while, and never more than it may do itself.

    grants = Grants(key)
    first = grants.issue(None, issuer="run", holder="lead", thread="t", scope=Scope(rights=frozenset({"read", "effect"})),
                         depth=2, expires=now + 600, now=now)
    lead = grants.redeem(first, holder="lead", thread="t", now=now)
    second = grants.narrow(lead, holder="worker", scope=Scope(rights=frozenset({"read", "code"})), expires=now + 60, now=now)
    worker = grants.redeem(second, holder="worker", thread="t", now=now)  # may read

A grant travels as a token: its fields as canonical JSON, and an HMAC-SHA256 over exactly that text. It is redeemed once, by the
one it was issued to; a revoked one takes all below it along. Every point in time is an argument: seconds since 1970.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import secrets
from collections.abc import Mapping
from typing import Any

from state.audit import canonical, storable
from state.errors import ConfigurationError, GrantRefused
from state.registers import Grant, Known, MemoryRegister, Register
from state.scopes import Scope

KEY_BYTES = 32
"""Fewest bytes of a key."""
MOST_DEPTH = 32
"""Most delegations below one grant."""
_MOST_TOKEN = 64_000
_PURPOSE = b"orchestra grant 1\x00"
"""Signed along, so that nothing else that the same key signs is taken for a grant."""


class Grants:
    """Issues grants and redeems them.

    Args:
        key: Secret that signs them; whoever has it can issue any grant.
        register: Which were used and revoked; in this process's memory by default.

    Raises:
        ConfigurationError: The key is too short.
    """

    def __init__(self, key: bytes, register: Register | None = None) -> None:
        if len(key) < KEY_BYTES:
            raise ConfigurationError(f"grants: expected a key of at least {KEY_BYTES} bytes, got {len(key)}")
        self._key, self._register = bytes(key), register if register is not None else MemoryRegister()

    def __repr__(self) -> str:
        return "Grants()"  # never the key

    def issue(
        self,
        parent: Grant | None,
        *,
        holder: str,
        scope: Scope,
        expires: float,
        now: float,
        depth: int | None = None,
        issuer: str = "",
        thread: str = "",
        turn: str = "",
    ) -> str:
        """Return the token of a new grant.

        Args:
            parent: The issuer's own grant, redeemed; None for the first one, whose scope is what the run may do.
            holder: Who may redeem it.
            scope: What the holder may do.
            expires: When it ends.
            now: The time.
            depth: How many further delegations may follow below it; one less than the parent's by default, 0 without one.
            issuer: Who issues the first one; the parent's holder issues those below.
            thread: Of the first one; the parent's holds below.
            turn: Likewise.

        Raises:
            GrantRefused: It would be wider than the parent, or the parent is forged, expired, or may not be passed on.
            ConfigurationError: Nobody is named, or the depth or time is none.
        """
        _check(holder, depth, expires, now)
        if parent is None:
            grant = Grant(
                _new_id(),
                storable(issuer),
                storable(holder),
                storable(thread),
                storable(turn),
                scope,
                depth or 0,
                expires,
            )
            return self._signed(grant)
        self._believe(parent)
        depth = parent.depth - 1 if depth is None else depth
        self._refuse_wider(parent, scope, depth, expires, now)
        if issuer not in ("", parent.holder):
            text = f"expected {parent.holder!r} to pass grant {parent.id} on, got {issuer!r}"
            raise GrantRefused("wrong_holder", text, grant=parent.id)
        if (thread or parent.thread) != parent.thread or (turn or parent.turn) != parent.turn:
            text = f"grant {parent.id} holds for turn {parent.turn!r} of thread {parent.thread!r} only"
            raise GrantRefused("widened", text, grant=parent.id)
        chain = parent.lineage
        return self._signed(
            Grant(_new_id(), parent.holder, storable(holder), parent.thread, parent.turn, scope, depth, expires, chain)
        )

    def narrow(
        self, parent: Grant, *, holder: str, scope: Scope, expires: float, now: float, depth: int | None = None
    ) -> str:
        """Return the token of a grant for as much of `scope`, depth and time as the parent permits.

        Raises:
            GrantRefused: The parent is forged, expired, or may not be passed on.
        """
        self._believe(parent)
        most = max(parent.depth - 1, 0)
        return self.issue(
            parent,
            holder=holder,
            scope=parent.scope.meet(scope),
            expires=min(expires, parent.expires),
            now=now,
            depth=most if depth is None else min(depth, most),
        )

    def redeem(self, token: str, *, holder: str, thread: str, now: float, turn: str | None = None) -> Grant:
        """Return the grant of a token, which is used up by that.

        Args:
            token: As `issue` returned it.
            holder: Who redeems it.
            thread: Thread that it is redeemed in.
            now: The time.
            turn: Turn that it is redeemed in; any by default.

        Raises:
            GrantRefused: It is not to be believed, somebody else's, of another thread, expired, revoked or used.
        """
        grant = self.read(token)
        if (grant.holder, grant.thread) != (storable(holder), storable(thread)):
            text = f"grant {grant.id} is for {grant.holder!r} in thread {grant.thread!r}, got {holder!r} in {thread!r}"
            raise GrantRefused("wrong_holder", text, grant=grant.id)
        if turn is not None and grant.turn != storable(turn):
            text = f"grant {grant.id} is for turn {grant.turn!r} of thread {grant.thread!r}, got turn {turn!r}"
            raise GrantRefused("wrong_holder", text, grant=grant.id)
        _refuse_expired(grant, now)
        refused = self._register.use(grant, now)
        if refused == "revoked":
            raise GrantRefused("revoked", f"grant {grant.id} of {grant.holder!r} was revoked", grant=grant.id)
        if refused == "replayed":
            raise GrantRefused("replayed", f"grant {grant.id} of {grant.holder!r} was redeemed before", grant=grant.id)
        return grant

    def check(self, grant: Grant, now: float) -> None:
        """Return if a redeemed grant still holds: for the moment when a tool executes.

        Raises:
            GrantRefused: It is not what was signed, has expired, or it or one above it was revoked meanwhile.
        """
        self._believe(grant)
        _refuse_expired(grant, now)
        if self._register.is_revoked(grant.lineage):
            raise GrantRefused("revoked", f"grant {grant.id} of {grant.holder!r} was revoked", grant=grant.id)

    def revoke(self, grant: str, now: float) -> bool:
        """End a grant and all that were issued below it; return False if it was revoked already."""
        return self._register.revoke(grant, now)

    def known(self, thread: str | None = None) -> list[Known]:
        """Return the grants that were used or revoked, the first one used first."""
        return self._register.known(thread)

    def read(self, token: str) -> Grant:
        """Return the grant of a token whose signature is right. It is not used up, and may have expired.

        Raises:
            GrantRefused: It is not to be believed.
        """
        try:
            body, _, signature = token.partition(".")
            # Texts are compared, not the bytes that they stand for: several texts stand for the same bytes.
            right = len(token) <= _MOST_TOKEN and hmac.compare_digest(self._signature(body), signature.encode("ascii"))
            if right:
                return _grant_of(json.loads(_bytes(body)), token)
        except (ValueError, TypeError, KeyError, AttributeError):  # not ours, whatever it is: nothing of it is repeated
            pass
        raise GrantRefused("forged", "expected a grant as it was issued, got one with another signature or none")

    def _believe(self, grant: Grant) -> None:
        """Return if a grant is what was signed: an object in memory is easily made."""
        if self.read(grant.token) != grant:
            raise GrantRefused("forged", "expected a grant as it was issued, got one whose fields were changed")

    def _refuse_wider(self, parent: Grant, scope: Scope, depth: int, expires: float, now: float) -> None:
        _refuse_expired(parent, now)
        if parent.depth < 1:
            text = f"grant {parent.id} of {parent.holder!r} may not be passed on"
            raise GrantRefused("too_deep", text, grant=parent.id)
        beyond = scope.beyond(parent.scope)
        if depth > parent.depth - 1:
            beyond = beyond or f"depth {depth}, at most {parent.depth - 1}"
        if expires > parent.expires:
            beyond = beyond or "a later end"
        if beyond:
            text = f"expected no more than grant {parent.id} of {parent.holder!r} permits, got {beyond}"
            raise GrantRefused("widened", text, grant=parent.id)

    def _signed(self, grant: Grant) -> str:
        body = _text(canonical(_plain(grant)))
        if len(body) > _MOST_TOKEN - 64:
            raise ConfigurationError(f"grants: expected a grant of at most {_MOST_TOKEN} characters, got {len(body)}")
        return f"{body}.{self._signature(body).decode()}"

    def _signature(self, body: str) -> bytes:
        signed = hmac.digest(self._key, _PURPOSE + body.encode("ascii"), hashlib.sha256)
        return _text(signed).encode()


def read_key(text: str, where: str) -> bytes:
    """Return the key that a text stands for, in hexadecimal or base64.

    Args:
        text: The key.
        where: Where it comes from, for the message.

    Raises:
        ConfigurationError: It is neither, or too short. The text is not repeated.
    """
    text = text.strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        try:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
    if len(key) < KEY_BYTES:
        raise ConfigurationError(
            f"{where}: expected at least {KEY_BYTES} bytes in hexadecimal or base64, got {len(text)} characters that give "
            f"{len(key)}; make one: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return key


def _check(holder: str, depth: int | None, expires: float, now: float) -> None:
    if not holder:
        raise ConfigurationError(f"grants: expected the name of a holder, got {holder!r}")
    if depth is not None and not 0 <= depth <= MOST_DEPTH:
        raise ConfigurationError(f"grants: expected a depth from 0 to {MOST_DEPTH}, got {depth!r}")
    if not math.isfinite(expires) or not math.isfinite(now):
        raise ConfigurationError(f"grants: expected times in seconds since 1970, got {expires!r} and {now!r}")


def _refuse_expired(grant: Grant, now: float) -> None:
    if now >= grant.expires:
        text = f"grant {grant.id} of {grant.holder!r} ended {now - grant.expires:.0f} s ago"
        raise GrantRefused("expired", text, grant=grant.id)


def _plain(grant: Grant) -> dict[str, Any]:
    scope = grant.scope
    return {
        **{name: getattr(grant, name) for name in ("id", "issuer", "holder", "thread", "turn", "depth", "expires")},
        "chain": list(grant.chain),
        "rights": None if scope.rights is None else sorted(scope.rights),
        "allow": None if scope.allow is None else sorted(scope.allow),
        "deny": sorted(scope.deny),
        "approve": sorted(scope.approve),
    }


def _grant_of(plain: Mapping[str, Any], token: str) -> Grant:
    told = {name: str(plain[name]) for name in ("id", "issuer", "holder", "thread", "turn")}
    scope = Scope(plain["rights"], plain["allow"], plain["deny"], plain["approve"])
    depth, expires, chain = int(plain["depth"]), float(plain["expires"]), tuple(plain["chain"])
    return Grant(**told, scope=scope, depth=depth, expires=expires, chain=chain, token=token)


def _new_id() -> str:
    return secrets.token_hex(8)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
