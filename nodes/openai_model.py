"""ChatOpenAI for OpenAI and compatible servers, usable from any event loop.

Imported when such a model is first loaded: that takes half a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from weakref import ref

import openai
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from state.errors import ModelError

_OPENAI_URL = "https://api.openai.com/v1"
_PLACEHOLDER_KEY = "not-needed"
"""The client insists on a key; a local server does not."""
_ALIASES = {
    "model_name": "model",
    "openai_api_base": "base_url",
    "openai_api_key": "api_key",
    "request_timeout": "timeout",
}


class SyncClient(openai.DefaultHttpxClient):
    """A client that closes its idle connections when the model that uses it is gone."""

    def __del__(self) -> None:
        """Close."""
        with suppress(Exception):  # half built, or the interpreter is ending
            self.close()


class LoopClient(openai.DefaultAsyncHttpxClient):
    """An async client with a pool of connections for each event loop, closed together with the loop.

    A pool belongs to the loop that opened it: used from the next `asyncio.run`, its idle connections are those of a
    closed loop, and the request fails or is sent twice. `ChatOpenAI` shares one pool among all models of a URL.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pool_options = options
        self._pools: dict[asyncio.AbstractEventLoop, openai.DefaultAsyncHttpxClient] = {}

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request over the running loop's own pool."""
        if self.is_closed:
            raise RuntimeError("the client has been closed")
        pool = await self._pool_of_this_loop()
        return await pool.send(request, **options)

    async def aclose(self) -> None:
        """Close the running loop's pool; those of other loops close with their loops."""
        if (pool := self._pools.pop(asyncio.get_running_loop(), None)) is not None:
            await pool.aclose()
        await super().aclose()

    async def _pool_of_this_loop(self) -> openai.DefaultAsyncHttpxClient:
        loop = asyncio.get_running_loop()
        if loop not in self._pools:
            for closed in [known for known in list(self._pools) if known.is_closed()]:
                self._pools.pop(closed, None)
            self._pools[loop] = pool = openai.DefaultAsyncHttpxClient(**self._pool_options)
            await _close_with_loop(pool, self)
        return self._pools[loop]


_keepers: dict[asyncio.AbstractEventLoop, dict[AsyncGenerator[None], ref[LoopClient]]] = {}
"""What closes the pools of each loop, and the client of each.

Held here, because what is collected before its loop has ended is closed by a task that the loop may not run any more.
"""


async def _close_with_loop(pool: openai.DefaultAsyncHttpxClient, client: LoopClient) -> None:
    """Have a pool closed with the running loop, or before, once its client is gone and another one comes."""
    for closed in [known for known in list(_keepers) if known.is_closed()]:
        _keepers.pop(closed, None)
    keepers = _keepers.setdefault(asyncio.get_running_loop(), {})
    for keeper in [keeper for keeper, owner in keepers.items() if owner() is None]:
        if keepers.pop(keeper, None) is not None:
            await keeper.aclose()
    keeper = _keeper(pool)
    keepers[keeper] = ref(client)
    await anext(keeper)


async def _keeper(pool: openai.DefaultAsyncHttpxClient) -> AsyncGenerator[None]:
    """Close a pool when the running loop ends: a loop's last act is to close the generators begun on it."""
    try:
        yield
    finally:
        await pool.aclose()


def create_openai_model(name: str, **overrides: Any) -> BaseChatModel:
    """Return `ChatOpenAI` with usage in streams, and without retries: they would multiply with those of the step.

    Raises:
        ModelError: No key and no server of one's own, or one of them cannot be right.
    """
    options = {_ALIASES.get(option, option): value for option, value in overrides.items()}
    # The precedence of the library: argument, its own variable, then that of the OpenAI client.
    base_url = options.get("base_url") or os.environ.get("OPENAI_API_BASE") or os.environ.get("OPENAI_BASE_URL")
    if base_url:
        options["base_url"] = _checked_url(base_url)
    elif "OPENAI_BASE_URL" in os.environ:
        options["base_url"] = _OPENAI_URL  # set but empty, which the client would take for an address
    if not options.get("api_key"):
        options["api_key"] = _key_from_environment(name, base_url)
    proxy = options.pop("openai_proxy", None) or os.environ.get("OPENAI_PROXY") or None
    client_options: dict[str, Any] = {"timeout": options.get("timeout"), "proxy": proxy}
    defaults = {
        "max_retries": 0,
        "stream_usage": True,
        "http_client": SyncClient(**client_options),
        "http_async_client": LoopClient(**client_options),
        "openai_proxy": None,  # the clients have it
        "http_socket_options": (),  # for clients that the library would build
    }
    try:
        return ChatOpenAI(model=name, **{**defaults, **options})
    except openai.OpenAIError as error:
        raise ModelError(f"model openai:{name} cannot be created: {error}") from error


def _checked_url(url: str) -> str:
    """Return the URL. It is not shown when it is wrong: it may hold a password, or be a key in the wrong variable."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ModelError(
            "OPENAI_BASE_URL (or base_url): expected an http:// or https:// address such as http://127.0.0.1:8000/v1"
        )
    return url


def _key_from_environment(name: str, base_url: str | None) -> str | None:
    key = os.environ.get("OPENAI_API_KEY", "")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ModelError("OPENAI_API_KEY: holds a space, a line break or a character that no key has")
    if key:
        return key
    if base_url:
        return _PLACEHOLDER_KEY
    if os.environ.get("LANGSMITH_GATEWAY"):
        return None  # the library takes the gateway's own
    raise ModelError(
        f"model openai:{name}: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, or use 'extractive'"
    )
