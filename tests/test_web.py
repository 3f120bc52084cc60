"""Fetching pages: text of what is public, and nothing from inside, however the address is written, resolved or redirected to."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import pytest
from langchain_core.tools import BaseTool, ToolException

from hostile import LOCATIONS, RESOLVED, URLS, within_the_limit
from state.errors import ConfigurationError
from tools.addresses import is_public
from tools.rights import rights_of
from tools.web import MOST_CHARACTERS, create_fetch_tool

PUBLIC = "93.184.216.34"
Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """A server on loopback; what it answers is set by path."""

    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def says(self, path: str, body: bytes | str, kind: str = "text/plain", status: int = 200, **headers: str) -> str:
        data = body.encode() if isinstance(body, str) else body

        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(data)

        self.replies[path] = reply
        return self.url + path


@pytest.fixture(scope="module")
def _sites() -> Iterator[list[Site]]:
    sites, servers = [Site(), Site()], []
    for site in sites:

        class Handler(BaseHTTPRequestHandler):
            here = site

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.here.requests.append((self.command, self.path, headers))
                with suppress(OSError):
                    self.here.replies.get(self.path, self.here.replies.get("*", lambda handler: None))(self)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
    yield sites
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def front(_sites: list[Site]) -> Site:
    """Give a site that may be fetched."""
    _sites[0].replies.clear()
    _sites[0].requests.clear()
    return _sites[0]


@pytest.fixture
def inside(_sites: list[Site]) -> Site:
    """Give a site that nothing may reach."""
    _sites[1].replies.clear()
    _sites[1].requests.clear()
    _sites[1].says("*", "the secret inside")
    return _sites[1]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, front: Site) -> list[tuple[str, int]]:
    """Write down where connections go to; those to the public internet end up at `front`, so that tests stay offline."""
    seen: list[tuple[str, int]] = []
    connect = anyio.connect_tcp

    async def recorded(remote_host: str, remote_port: int, **options: Any) -> Any:
        seen.append((remote_host, remote_port))
        to = ("127.0.0.1", front.port) if is_public(remote_host) else (remote_host, remote_port)
        return await connect(to[0], to[1], **options)

    monkeypatch.setattr(anyio, "connect_tcp", recorded)
    return seen


def known(host: str, port: int) -> list[str]:
    return RESOLVED.get(host, [PUBLIC] if host == "public.example" else [])


def fetcher(*allowed: str, **options: Any) -> BaseTool:
    return create_fetch_tool(**{"allow_hosts": allowed, "seconds": 0.8, "resolve": known, **options})


def fetch(tool: BaseTool, url: str, **more: str) -> str:
    return str(tool.invoke({"url": url, **more}))


@pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))
def test_no_url_reaches_what_is_inside(url: str, front: Site, inside: Site, connected: list[tuple[str, int]]) -> None:
    front.says("*", "public")
    said = ""
    with within_the_limit(), suppress(ToolException):
        said = fetch(fetcher(), url.replace("{port}", str(inside.port)))
    assert not inside.requests
    assert {host for host, _ in connected} <= {PUBLIC}
    assert {port for _, port in connected} <= {80, 443}
    assert said in ("", f"Source: {said.partition(chr(10))[0][8:]}\n\npublic")


@pytest.mark.parametrize("location", LOCATIONS, ids=range(len(LOCATIONS)))
def test_no_redirect_leads_inside(location: str, front: Site, inside: Site, connected: list[tuple[str, int]]) -> None:
    filled = location.replace("{port}", str(inside.port))
    front.says("/loop", "", status=302, Location=filled)
    with within_the_limit(), pytest.raises(ToolException):
        fetch(fetcher(front.host), f"{front.url}/loop")
    assert not inside.requests
    assert set(connected) == {("127.0.0.1", front.port)}


@pytest.mark.parametrize(
    "second", ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
)
def test_a_name_that_means_another_address_the_second_time_is_connected_to_only_where_it_was_checked(
    second: str, front: Site, connected: list[tuple[str, int]]
) -> None:
    answers = iter([[PUBLIC], [second], [second]])
    front.says("/", "", status=302, Location="http://public.example/again")
    front.says("/again", "got in")
    with within_the_limit(), pytest.raises(ToolException, match="not on the public internet"):
        fetch(fetcher(resolve=lambda host, port: next(answers)), "http://public.example/")
    assert connected == [(PUBLIC, 80)]


def test_the_name_stays_in_the_request_and_the_address_that_was_checked_is_connected_to(
    front: Site, connected: list[tuple[str, int]]
) -> None:
    front.says("/a?b=c", "hello")
    assert fetch(fetcher(), "http://Public.Example/a?b=c#d").endswith("\n\nhello")
    assert connected == [(PUBLIC, 80)]
    assert front.requests[0][2]["host"] == "public.example"


def test_nothing_is_carried_along_but_what_the_request_needs(
    front: Site, monkeypatch: pytest.MonkeyPatch, inside: Site
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, inside.url)
    front.says("/", "", status=302, Location="/next", Set_Cookie="session=1")
    front.says("/next", "hello", Set_Cookie="session=2")
    tool = fetcher(front.host)
    assert fetch(tool, f"{front.url}/") == f"Source: {front.url}/next\n\nhello"
    fetch(tool, f"{front.url}/next")
    assert not inside.requests
    for _, _, headers in front.requests:
        assert set(headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_a_page_is_given_as_text_with_its_source(front: Site) -> None:
    page = """<html><head><title>Books</title><script>steal()</script></head><body><nav>menu</nav>
    <h1>Novels</h1><p>Dune &amp; Emma</p></body></html>"""
    said = fetch(fetcher(front.host), front.says("/p", page, "text/html; charset=utf-8"))
    assert said == f"Source: {front.url}/p\n\nTitle: Books\n\n# Novels\n\nDune & Emma"


@pytest.mark.parametrize("kind", ["application/json", "application/ld+json", "text/plain", "text/csv; header=present"])
def test_json_and_plain_text_are_given_as_they_stand(front: Site, kind: str) -> None:
    assert fetch(fetcher(front.host), front.says("/d", '{"a": "<b>"}', kind)).endswith('\n\n{"a": "<b>"}')


@pytest.mark.parametrize(
    "kind", ["image/png", "application/pdf", "application/octet-stream", "text/html-x", "", "x/+json"]
)
def test_other_kinds_are_refused(front: Site, kind: str) -> None:
    with pytest.raises(ToolException, match="Expected a page, JSON or plain text"):
        fetch(fetcher(front.host), front.says("/d", b"\x89PNG", kind))


def test_a_text_is_read_in_the_coding_that_it_names_and_only_in_one_for_text(front: Site) -> None:
    tool = fetcher(front.host)
    assert fetch(tool, front.says("/1", "é".encode("latin-1"), "text/plain; charset=ISO-8859-1")).endswith("é")
    page = '<meta charset="windows-1251"><p>Привет</p>'.encode("cp1251")
    assert fetch(tool, front.says("/2", page, "text/html")).endswith("Привет")
    for odd in ("idna", "punycode", "unicode_escape", "zlib", "nothing"):
        assert fetch(tool, front.says("/3", "\\u0041", f"text/plain; charset={odd}")).endswith("\\u0041")


def test_head_tells_status_type_and_length_alone(front: Site) -> None:
    said = fetch(fetcher(front.host), front.says("/h", "hello", "image/png"), method="HEAD")
    assert said == f"Source: {front.url}/h\nStatus: 200\nType: image/png\nLength: 5"
    assert front.requests[0][0] == "HEAD"


def test_a_status_that_is_no_success_and_too_many_redirects_are_refused(front: Site) -> None:
    with pytest.raises(ToolException, match="answered with status 404"):
        fetch(fetcher(front.host), front.says("/gone", "x", status=404))
    for number in range(7):
        front.says(f"/{number}", "", status=307, Location=f"/{number + 1}")
    front.says("/7", "here")
    assert fetch(fetcher(front.host), f"{front.url}/2").endswith("here")
    with pytest.raises(ToolException, match="more than 5 redirects"):
        fetch(fetcher(front.host), f"{front.url}/1")


def test_little_that_unpacks_to_much_is_cut_and_so_is_a_body_without_an_end(front: Site) -> None:
    bomb = gzip.compress(b"a" * 200_000_000, 1)
    with within_the_limit():
        said = fetch(fetcher(front.host), front.says("/bomb", bomb, Content_Encoding="gzip"))
    assert said.count("a") < MOST_CHARACTERS + 100
    assert said.endswith("[... cut here, there is more ...]")
    for coding in ("gzip, gzip", "br", "zstd"):
        with pytest.raises(ToolException, match="packed with gzip"):
            fetch(fetcher(front.host), front.says("/twice", bomb, Content_Encoding=coding))
    with pytest.raises(ToolException, match="damaged"):
        fetch(fetcher(front.host), front.says("/bad", b"no gzip", Content_Encoding="gzip"))

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        while True:
            handler.wfile.write(b"b" * 65536)

    front.replies["/endless"] = endless
    with within_the_limit():
        assert "there is more" in fetch(fetcher(front.host), f"{front.url}/endless")


@pytest.mark.parametrize("where", ["headers", "body", "silence", "name"])
def test_a_server_or_a_name_server_that_takes_its_time_is_left(front: Site, where: str) -> None:
    done = threading.Event()

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        if where != "silence":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + b"\r\n" * (where == "body"))
        while where != "silence" and not done.wait(0.02):
            handler.wfile.write(b"x" if where == "body" else b"X: y\r\n")
        done.wait(5)

    def hanging(host: str, port: int) -> list[str]:
        done.wait(5)
        return []

    front.replies["/slow"] = slowly
    url = "http://slow.example/" if where == "name" else f"{front.url}/slow"
    with within_the_limit(), pytest.raises(ToolException, match=r"no answer within 0.3 s"):
        fetch(fetcher(front.host, seconds=0.3, resolve=hanging), url)
    done.set()


@pytest.mark.parametrize(
    "page",
    [
        "<!--" * 50_000,
        "<a " * 100_000,
        "<b>x</b>" * 100_000,
        "<div>" * 200_000,
        "&#" * 200_000,
        "<![CDATA[" * 50_000,
        "</" * 200_000,
    ],
    ids=["comments", "attributes", "inline", "nested", "references", "sections", "ends"],
)
def test_a_page_that_is_made_to_be_slow_is_left(front: Site, page: str) -> None:
    with within_the_limit(), suppress(ToolException):
        assert fetch(fetcher(front.host), front.says("/page", page, "text/html")).startswith("Source:")


def test_it_works_in_an_event_loop_both_ways_and_lets_others_go_on(front: Site) -> None:
    url = front.says("/", "hello")

    async def both() -> list[str]:
        tool = fetcher(front.host)
        return [await tool.ainvoke({"url": url}), tool.invoke({"url": url})]

    assert asyncio.run(both()) == [f"Source: {url}\n\nhello"] * 2


def test_hosts_can_be_limited_and_denied_also_behind_redirects(front: Site, connected: list[tuple[str, int]]) -> None:
    front.says("/", "hello")
    front.says("/away", "", status=302, Location="http://other.example/")

    def resolve(host: str, port: int) -> list[str]:
        return [PUBLIC]

    only = fetcher(only_hosts=["*.good.example"], deny_hosts=["bad.good.example"], resolve=resolve)
    assert fetch(only, "http://www.good.example/").endswith("hello")
    assert fetch(only, "http://www.GOOD.example./").endswith("hello")
    for url in (
        "http://good.example.evil/",
        "http://evilgood.example/",
        "http://bad.good.example./",
        "http://www.good.example/away",
    ):
        with pytest.raises(ToolException, match=r"can be fetched|may not be fetched"):
            fetch(only, url)


def test_what_is_allowed_is_one_port_of_one_name(front: Site, inside: Site) -> None:
    front.says("/", "hello")
    tool = fetcher(f"localhost:{front.port}")
    assert fetch(tool, f"http://localhost:{front.port}/").endswith("hello")
    for url in (f"http://127.0.0.1:{front.port}/", f"http://localhost:{inside.port}/", "http://localhost/"):
        with pytest.raises(ToolException):
            fetch(tool, url)


def test_a_page_is_not_left_for_one_that_anybody_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from httpx import URL, Headers

    from tools import web

    async def asked(self: object, url: URL, method: str) -> web._Answer:
        return web._Answer(url, 302, Headers({"location": "http://public.example/"}), b"", False)

    monkeypatch.setattr(web._Fetcher, "_ask", asked)
    with pytest.raises(ToolException, match="from https to http"):
        fetch(fetcher(), "https://public.example/")


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8", "2001:4860:4860::8888"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "options",
    [
        {"allow_hosts": ["localhost"]},
        {"allow_hosts": "localhost:80"},
        {"allow_hosts": ["x:99999"]},
        {"only_hosts": ["http://x/"]},
        {"deny_hosts": "x"},
        {"seconds": 0},
        {"most_bytes": 0},
    ],
)
def test_wrong_arguments_are_refused_when_the_tool_is_created(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        create_fetch_tool(**options)


def test_it_needs_the_network() -> None:
    assert rights_of(create_fetch_tool()) == {"network"}


def test_looking_up_a_name_that_hangs_keeps_no_process_from_ending() -> None:
    answered = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        answered.wait(5)
        return []

    with pytest.raises(ToolException, match="no answer"):
        fetch(fetcher(seconds=0.1, resolve=hanging), "http://x.example/")
    left = [thread.daemon for thread in threading.enumerate() if thread.name == "look-up"]
    answered.set()
    assert left
    assert all(left)
