"""The door of a server: who may come in, and from where. `orchestra.serving.guards` keeps it."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from state.errors import ConfigurationError

STUDIO = "https://smith.langchain.com"
LOCAL_PAGES = r"http://localhost(:\d{1,5})?"
"""Origins that need no option: a chat client that runs on this machine, on any port."""
EXPOSED = ("x-pagination-total", "x-pagination-next", "content-location")
"""Headers of the server that its clients in a browser have to read."""


@dataclass(frozen=True)
class Door:
    """Who may come in.

    Args:
        host: What the server is bound to: a name or an IPv4 address.
        port: Its port.
        token: What every request has to bring, or None where nothing is asked.
        origins: Pages that may send requests, besides Studio and those of `LOCAL_PAGES`, as `scheme://host[:port]`.
        on_open: Called once, when the server is up.
    """

    host: str
    port: int
    token: str | None = field(repr=False)
    origins: frozenset[str] = frozenset()
    on_open: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    @property
    def url(self) -> str:
        """Where the server is, for a client on this machine."""
        host = "127.0.0.1" if self.is_everywhere else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_everywhere(self) -> bool:
        """Whether it is bound to every address of the machine."""
        return self.host in ("0.0.0.0", "")  # noqa: S104  # compared, not bound

    def cors(self) -> dict[str, Any]:
        """Return what the pages that may come in are told, as arguments of a CORS middleware."""
        return {
            "allow_origins": sorted({STUDIO, *self.origins}),
            "allow_origin_regex": LOCAL_PAGES,
            "allow_methods": ["*"],
            "allow_headers": ["*"],
            "expose_headers": list(EXPOSED),
        }

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` header names this server. A page whose name was pointed here afterwards does not."""
        match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?", host.lower())
        if match is None or (match[2] or "80") != str(self.port):
            return False
        name = match[1]
        if name in {self.host.lower(), "localhost", "127.0.0.1", "[::1]"}:
            return True
        # Bound to every address, it answers to each of them; only a name can be pointed here by someone else.
        return self.is_everywhere and _is_address(name)

    def knows_origin(self, origin: str, host: str) -> bool:
        """Whether a page may send requests: a known one, or one that this server gave out."""
        origin = origin.lower()
        known = {STUDIO, *self.origins, f"http://{host.lower()}"}
        return origin in known or re.fullmatch(LOCAL_PAGES, origin) is not None

    def knows_token(self, value: bytes) -> bool:
        """Whether a text is the token, in the same time for every text of its length."""
        return self.token is not None and hmac.compare_digest(value, self.token.encode())


def read_origin(text: str) -> str:
    """Return an origin as browsers send it.

    Raises:
        ConfigurationError: It is none, or stands for all.
    """
    parts = urlsplit(text.strip().lower())
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port, parts = "", urlsplit("")
    given = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or "*" in parts.netloc or not given:
        raise ConfigurationError(
            f"expected an origin such as https://chat.example.com; got {text!r}. Name each page's scheme, host and port"
        )
    standard = {"http": ":80", "https": ":443"}[parts.scheme]
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}{'' if port == standard else port}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
