"""Addresses: which hosts a tool may connect to, so that a URL cannot reach what is inside.

Every address a name stands for has to be public, and the connection is made to the address that was checked.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from langchain_core.tools import ToolException

from state.errors import ConfigurationError

Resolve = Callable[[str, int], Sequence[str]]
"""What a name and a port stand for: addresses as text. It may block; it runs in a thread."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_PUBLIC_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_CLOSED_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "3ffe::/16", "5f00::/16")))
_CLOSED_V4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24")))
_ISATAP = (0x00005EFE, 0x02005EFE)
_MOST = 16  # addresses of one name


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, also where it carries another one inside."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return _is_public_v4(found) if isinstance(found, IPv4Address) else _is_public_v6(found)


def _is_public_v4(address: IPv4Address) -> bool:
    closed = address.is_multicast or address.is_reserved or any(address in network for network in _CLOSED_V4)
    return address.is_global and not closed


def _is_public_v6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        return _is_public_v4(inner)
    if address not in _PUBLIC_V6 or any(address in network for network in _CLOSED_V6):
        return False  # 6to4 and Teredo among them: they tunnel to an address inside
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return _is_public_v4(inner)
    return address.is_global


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses of a name as the system knows them.

    Raises:
        OSError: It knows none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Door:
    """Which hosts and ports may be connected to.

    Args:
        allow: `host:port` that may be reached although they are not public, exactly as they stand in a URL.
        only: Patterns of host names, such as `*.example.org`; nothing else may be reached. Empty: no such limit.
        deny: Patterns of host names that may not be reached.
        ports: That may be reached.
        resolve: What finds the addresses of a name.
    """

    allow: frozenset[tuple[str, int]] = frozenset()
    only: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset((80, 443))
    resolve: Resolve = resolve_by_system

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to.

        Raises:
            ToolException: The host may not be reached, or is not known.
        """
        name = host.lower().removesuffix(".")
        self._check_name(name)
        allowed = (name, port) in self.allow
        if not allowed and port not in self.ports:
            raise ToolException(f"Expected port {' or '.join(map(str, sorted(self.ports)))}, got {port} of {name!r}.")
        found = [name] if _is_address(name) else await self._look_up(_checked_name(name), port)
        if not allowed and not all(map(is_public, found)):
            raise ToolException(f"{name!r} is not on the public internet, and cannot be fetched.")
        return found[:_MOST]

    def _check_name(self, name: str) -> None:
        if self.only and not any(fnmatchcase(name, pattern) for pattern in self.only):
            raise ToolException(f"Only {', '.join(self.only)} can be fetched, got {name!r}.")
        if any(fnmatchcase(name, pattern) for pattern in self.deny):
            raise ToolException(f"{name!r} may not be fetched.")

    async def _look_up(self, name: str, port: int) -> list[str]:
        try:
            found = await _in_daemon(lambda: list(self.resolve(name, port)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise ToolException(f"There is no host {name!r}.")
        return found


def open_door(
    *,
    allow: Iterable[str] = (),
    only: Iterable[str] = (),
    deny: Iterable[str] = (),
    ports: Iterable[int] = (80, 443),
    resolve: Resolve | None = None,
) -> Door:
    """Return what decides which hosts may be connected to; see `Door`.

    Raises:
        ConfigurationError: An entry of `allow` is not `host:port`, or one of `only` and `deny` is not a host.
    """
    allowed = []
    for entry in _listed("allow_hosts", allow):
        host, _, port = entry.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ConfigurationError(f"allow_hosts: expected host:port, such as 'localhost:8000', got {entry!r}")
        allowed.append((host.lower().removeprefix("[").removesuffix("]"), int(port)))
    patterns = {}
    for what, given in (("only_hosts", only), ("deny_hosts", deny)):
        patterns[what] = tuple(entry.lower().removesuffix(".") for entry in _listed(what, given))
        wrong = [entry for entry in patterns[what] if not entry or "/" in entry or " " in entry]
        if wrong:
            raise ConfigurationError(f"{what}: expected names of hosts, such as '*.example.org', got {wrong!r}")
    return Door(
        frozenset(allowed),
        patterns["only_hosts"],
        patterns["deny_hosts"],
        frozenset(ports),
        resolve or resolve_by_system,
    )


def _listed(what: str, given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise ConfigurationError(f"{what}: expected a list, got {given!r}")
    return list(given)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _checked_name(name: str) -> str:
    """Return a name of a host; refuse numbers in other than the usual form, which systems read as addresses."""
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ToolException(f"Expected the name of a host, got {name[:80]!r}.")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise ToolException(f"Expected a name or an address such as 93.184.216.34, got {name!r}.")
    return name


async def _in_daemon(work: Callable[[], list[str]]) -> list[str]:
    """Return what a function gives, from a thread that nobody has to wait for: looking up a name cannot be stopped."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[list[str]] = loop.create_future()

    def settle(result: list[str] | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result or [])

    def run() -> None:
        result, wrong = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  # handed to whoever waits
            wrong = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, wrong)

    threading.Thread(target=run, name="look-up", daemon=True).start()
    return await done
