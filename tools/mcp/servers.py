"""Where a server of tools is: a program that we start and speak to through its input and output, or an address.

Both can be written as they are in the JSON files of other MCP clients: `{"command": ..., "args": [...], "env": {...}}` and
`{"url": ..., "headers": {...}}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from state.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True)
class StdioServer:
    """A program that is started here, and ended when the tools are closed.

    Args:
        command: The program, by path or as it is found in PATH.
        args: What it is started with.
        env: Its environment, besides HOME, LOGNAME, PATH, SHELL, TERM and USER of ours. It sees no other variable of ours; values
            are taken as they are, and nothing in them is replaced.
        cwd: The folder it is started in; ours by default.
    """

    command: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be started."""
        if not _is_text(self.command) or not self.command.strip():
            raise ConfigurationError(f"command: expected the name or path of a program, got {self.command!r}")
        if isinstance(self.args, str) or not all(map(_is_text, self.args)):
            raise ConfigurationError(f"args of {self.command}: expected a list of texts")
        if not _are_texts(self.env):
            raise ConfigurationError(f"env of {self.command}: expected texts by name, such as {{'TOKEN': '...'}}")
        if self.cwd is not None and not Path(self.cwd).is_dir():
            raise ConfigurationError(f"cwd of {self.command}: expected an existing folder, got {str(self.cwd)!r}")

    @property
    def place(self) -> str:
        """What to call it in a message: without arguments, which may hold a key."""
        return f"the program {self.command!r}"


@dataclass(frozen=True)
class HttpServer:
    """A server that runs already, at an address that speaks streamable HTTP.

    Args:
        url: Of its endpoint, such as `https://example.org/mcp`.
        headers: Sent with every request, such as `{"Authorization": "Bearer ..."}`. Never to another host: a redirect to one
            is not followed.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except (ValueError, TypeError, AttributeError):
            good = False
        if not good:
            raise ConfigurationError("url: expected an address such as 'https://example.org/mcp', got something else")
        if parts.username or parts.password:
            raise ConfigurationError("url: expected no name and password in it; put them into headers")
        if not _are_texts(self.headers):
            raise ConfigurationError("headers: expected texts by name, such as {'Authorization': 'Bearer ...'}")

    @property
    def place(self) -> str:
        """What to call it in a message: without a query, which may hold a key."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


Server = StdioServer | HttpServer


def check_servers(servers: Any) -> dict[str, Server]:
    """Return servers by name.

    Raises:
        ConfigurationError: Says which of them cannot be one, and why.
    """
    if not isinstance(servers, Mapping) or not servers:
        expected = "servers by name, such as {'docs': {'command': 'my-server'}}"
        raise ConfigurationError(f"open_mcp: expected {expected}, got {type(servers).__name__}")
    return {_checked_name(name): _checked(name, server) for name, server in servers.items()}


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"name of a server: expected 1 to 32 letters, digits, '_' and '-', got {name!r}")
    return name


def _checked(name: str, server: Any) -> Server:
    if isinstance(server, StdioServer | HttpServer):
        return server
    told = (
        {key: value for key, value in server.items() if key not in ("type", "transport")} if _is_plain(server) else {}
    )
    for kind in (StdioServer, HttpServer):
        known = [one.name for one in fields(kind)]
        if known[0] in told:
            if unknown := sorted(set(told) - set(known)):
                raise ConfigurationError(f"server {name}: expected some of {known}, got {unknown} too")
            try:
                return kind(**told)
            except ConfigurationError as error:
                raise ConfigurationError(f"server {name}: {error}") from None
    raise ConfigurationError(f"server {name}: expected StdioServer, HttpServer, or a dict with 'command' or 'url'")


def _is_plain(server: Any) -> bool:
    return isinstance(server, Mapping) and all(isinstance(key, str) for key in server)


def _are_texts(pairs: Any) -> bool:
    return isinstance(pairs, Mapping) and all(_is_text(name) and name and _is_text(pairs[name]) for name in pairs)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not set("\0\r\n") & set(value)
