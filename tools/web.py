"""Web: a tool that fetches a page of the public internet and gives its text.

It reaches public addresses only, connects to the address it checked, checks again at each redirect, and carries nothing along:
no cookies, no credentials, no proxy of the environment. Whoever may call it can send what stands in a URL to anybody; where
that matters, name the hosts with `only_hosts`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import httpx
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field

from state.errors import ConfigurationError
from tools.addresses import Door, Resolve, open_door
from tools.errand import run_errand
from tools.rights import needs

SECONDS = 10.0
"""For one fetch, with all its redirects."""
MOST_BYTES = 2_000_000
"""Of a body, unpacked."""
MOST_CHARACTERS = 20_000
"""Of text that is given."""
MOST_REDIRECTS = 5
_LONGEST = 2_000
_REDIRECTS = (301, 302, 303, 307, 308)
_PLAIN = ("text/plain", "text/markdown", "text/csv", "application/json")
_HTML = ("text/html", "application/xhtml+xml")
_CHARSET_NAMES = """ascii us-ascii utf-8 utf8 utf-16 utf-16le utf-16be latin-1 big5 euc-jp euc-kr gb18030 gb2312 gbk koi8-r koi8-u
    shift_jis cp874 cp949 iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-9
    iso-8859-10 iso-8859-11 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 windows-1250 windows-1251 windows-1252
    windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258"""
_CHARSETS = frozenset(_CHARSET_NAMES.split())
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HEADERS = {
    "User-Agent": "orchestra",
    "Accept": "text/html,application/json,text/plain;q=0.9",
    "Accept-Encoding": "gzip",
    "Connection": "close",
}

Method = Literal["GET", "HEAD"]


class _Arguments(BaseModel):
    url: str = Field(description="Address of a page, beginning with http:// or https://.")
    method: Method = Field(default="GET", description="HEAD asks only whether it is there, and of what kind.")


def create_fetch_tool(
    *,
    allow_hosts: Iterable[str] = (),
    only_hosts: Iterable[str] = (),
    deny_hosts: Iterable[str] = (),
    ports: Iterable[int] = (80, 443),
    seconds: float = SECONDS,
    most_bytes: int = MOST_BYTES,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> BaseTool:
    """Create the tool `fetch_page`. Its results begin with `Source: ` and the address that answered in the end.

    Args:
        allow_hosts: `host:port` that may be fetched although they are not on the public internet, such as `localhost:8000`.
        only_hosts: Hosts, nothing else may be fetched: `example.org`, `*.example.org`. Empty: all that are public.
        deny_hosts: Hosts that may not be fetched.
        ports: That may be connected to.
        seconds: For one fetch, with all its redirects.
        most_bytes: Of a body, unpacked; what is longer is cut.
        resolve: What finds the addresses of a name; the system by default.
        tls: What certificates are checked with; the usual authorities by default.

    Raises:
        ConfigurationError: A host is not one, or a number is not above 0.
    """
    if seconds <= 0 or most_bytes <= 0:
        raise ConfigurationError(
            f"create_fetch_tool: expected seconds and most_bytes above 0, got {seconds!r}, {most_bytes!r}"
        )
    door = open_door(allow=allow_hosts, only=only_hosts, deny=deny_hosts, ports=ports, resolve=resolve)
    fetcher = _Fetcher(door, seconds, most_bytes, tls)

    async def fetch(url: str, method: Method = "GET") -> str:
        return await fetcher.fetch(url, method)

    def fetch_sync(url: str, method: Method = "GET") -> str:
        return _in_loop_of_its_own(fetcher, url, method)

    description = (
        "Fetch a page of the web and return its text. Pages, JSON and plain text can be read, other kinds not."
    )
    tool = StructuredTool.from_function(
        fetch_sync, coroutine=fetch, name="fetch_page", args_schema=_Arguments, description=description
    )
    return needs("network")(tool)


@dataclass(frozen=True)
class _Answer:
    """What a server said: status, headers, and the beginning of a body."""

    url: httpx.URL
    status: int
    headers: httpx.Headers
    body: bytes
    cut: bool

    @property
    def kind(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()


@dataclass(frozen=True)
class _Fetcher:
    door: Door
    seconds: float
    most_bytes: int
    tls: ssl.SSLContext | None

    async def fetch(self, url: str, method: Method) -> str:
        """Return the text of a page.

        Raises:
            ToolException: Says why not.
        """
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._follow(_parsed(url), method)
        except TimeoutError:
            raise ToolException(f"{url[:200]!r} gave no answer within {self.seconds:g} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise ToolException(
                f"{url[:200]!r} cannot be fetched: {type(error).__name__}: {str(error)[:200]}"
            ) from None
        return await _told(answer, method)

    async def _follow(self, url: httpx.URL, method: Method) -> _Answer:
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._ask(url, method)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                return answer
            following = _parsed(str(url.join(answer.headers["location"])))
            if url.scheme == "https" and following.scheme == "http":
                raise ToolException(
                    f"{str(url)!r} leads from https to http, which anybody on the way can read and change."
                )
            url = following
        raise ToolException(f"{str(url)[:200]!r} was reached by more than {MOST_REDIRECTS} redirects, and left.")

    async def _ask(self, url: httpx.URL, method: Method) -> _Answer:
        """Ask one server at the address that was checked; its name stays in the request and for its certificate."""
        port = url.port or (443 if url.scheme == "https" else 80)
        host, failed = url.raw_host.decode("ascii"), None
        for address in await self.door.addresses(host, port):
            try:
                return await self._ask_at(address, url, method)
            except httpx.ConnectError as error:
                failed = error
        raise failed or httpx.ConnectError("no address")

    async def _ask_at(self, address: str, url: httpx.URL, method: Method) -> _Answer:
        context = self.tls if self.tls is not None else _usual_authorities() if url.scheme == "https" else False
        pinned = url.copy_with(host=address, fragment=None)
        headers = {**_HEADERS, "Host": url.netloc.decode("ascii")}
        extensions = {"sni_hostname": url.raw_host.decode("ascii").removesuffix(".")}
        async with httpx.AsyncClient(
            verify=context, trust_env=False, follow_redirects=False, timeout=self.seconds
        ) as client:
            request = client.build_request(method, pinned, headers=headers, extensions=extensions)
            response = await client.send(request, stream=True)
            try:
                redirected = response.status_code in _REDIRECTS
                body, cut = (b"", False) if redirected or method == "HEAD" else await self._body(response)
            finally:
                await response.aclose()
        return _Answer(url, response.status_code, response.headers, body, cut)

    async def _body(self, response: httpx.Response) -> tuple[bytes, bool]:
        """Return the beginning of a body, unpacked piece by piece, as little can unpack to much."""
        body = bytearray()
        async for piece in _unpacked(response, self.most_bytes + 1):
            body += piece
            if len(body) > self.most_bytes:
                return bytes(body[: self.most_bytes]), True
        return bytes(body), False


async def _unpacked(response: httpx.Response, most: int) -> AsyncIterator[bytes]:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise ToolException(f"Expected a body that is packed with gzip or not at all, got {coding[:60]!r}.")
    unpack = zlib.decompressobj(wbits=31) if "gzip" in coding else None
    async for piece in response.aiter_raw():
        if unpack is None:
            yield piece
        elif not unpack.eof:
            try:
                yield unpack.decompress(piece, most)
            except zlib.error as error:
                raise ToolException(f"The body is damaged: {error}.") from None


def _parsed(url: str) -> httpx.URL:
    """Return a URL that says plainly where it leads.

    Raises:
        ToolException: It is none.
    """
    if len(url) > _LONGEST or not url.isprintable() or "\\" in url or " " in url.strip():
        raise ToolException(f"Expected a URL of at most {_LONGEST} plain characters, got {url[:80]!r}.")
    try:
        found = httpx.URL(url.strip())
        found.netloc.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise ToolException(f"Expected a URL such as https://example.org/page, got {url[:80]!r}: {error}") from None
    if found.scheme not in ("http", "https") or not found.host:
        raise ToolException(f"Expected a URL that begins with http:// or https://, got {url[:80]!r}.")
    if found.userinfo or "@" in found.netloc.decode("ascii"):
        raise ToolException("Expected a URL without a user name and password.")
    return found


async def _told(answer: _Answer, method: Method) -> str:
    """Return what a model is told of an answer."""
    source = f"Source: {answer.url}"
    if method == "HEAD":
        length = answer.headers.get("content-length", "unknown")[:20]
        return f"{source}\nStatus: {answer.status}\nType: {answer.kind[:80] or 'unknown'}\nLength: {length}"
    if not 200 <= answer.status < 300:
        raise ToolException(f"{str(answer.url)!r} answered with status {answer.status}.")
    if answer.kind not in (*_HTML, *_PLAIN) and not (
        answer.kind.startswith("application/") and answer.kind.endswith("+json")
    ):
        raise ToolException(f"Expected a page, JSON or plain text at {str(answer.url)!r}, got {answer.kind[:80]!r}.")
    text = _decoded(answer)
    if answer.kind in _HTML:
        given = {"text": text, "most": MOST_CHARACTERS + 1}
        text = await asyncio.to_thread(run_errand, "tools.pages:page_text", given, seconds=0.6)
    cut = answer.cut or len(text) > MOST_CHARACTERS
    note = "\n[... cut here, there is more ...]" if cut else ""
    return f"{source}\n\n{text[:MOST_CHARACTERS].strip() or 'The page has no text.'}{note}"


def _decoded(answer: _Answer) -> str:
    """Return a body as text; only in codings that are for text, as others can take forever."""
    told = [answer.headers.get("content-type", "").encode("ascii", "replace")]
    if answer.kind in _HTML:
        told.append(answer.body[:2048])  # the page may say it itself
    names = [found[1].decode("ascii", "replace").lower() for part in told if (found := _CHARSET.search(part))]
    known = next((name for name in names if name in _CHARSETS), "utf-8")
    return answer.body.decode(known, "replace").removeprefix("\ufeff")


@cache
def _usual_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _in_loop_of_its_own(fetcher: _Fetcher, url: str, method: Method) -> str:
    """Fetch in a thread of its own, so that it works where an event loop runs already, as in a notebook."""
    results: list[str] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(asyncio.run(fetcher.fetch(url, method)))
        except Exception as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    thread = threading.Thread(target=run, name="fetch", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
