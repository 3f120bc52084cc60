"""An MCP server of a folder of documents: any MCP client can search and read them.

    python -m tools.mcp.server handbook                  # for a client that starts it
    python -m tools.mcp.server --http 8700 handbook      # at http://127.0.0.1:8700/mcp

Over HTTP it listens on this machine only, and refuses requests that a web page of somebody else has sent (host and origin are
checked). With ORCHESTRA_MCP_TOKEN set it wants that as a bearer token; elsewhere than on this machine it insists on one.
"""

from __future__ import annotations

import hmac
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.tools import to_fastmcp
from mcp.server.fastmcp import FastMCP
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations

from state.errors import DocumentError
from tools.corpus import Corpus, open_corpus
from tools.corpus_tools import create_corpus_tools

TOKEN = "ORCHESTRA_MCP_TOKEN"  # noqa: S105  # the name of a variable
_HERE = ("127.0.0.1", "localhost", "::1")
_READS = ToolAnnotations(readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False)


def create_server(corpus: Corpus, *, host: str = "127.0.0.1", port: int = 8700, names: Sequence[str] = ()) -> FastMCP:
    """Create a server with the tools `search_documents`, `read_passage` and `list_documents`.

    Args:
        corpus: What they look into.
        host: Where it listens, over HTTP.
        port: Likewise.
        names: By which other names clients call the machine, such as `docs.example.org:443`, or `docs.example.org:*`.
    """
    tools = [_tool(tool) for tool in create_corpus_tools(corpus)]
    return FastMCP(
        "orchestra-documents",
        f"Search and read the {corpus.name}. Cite passages by their ids.",
        tools=tools,
        host=host,
        port=port,
        log_level="WARNING",
        transport_security=_only_from(names),
    )


def create_app(server: FastMCP, token: str = "") -> Any:
    """Return the ASGI app of a server; with a token it answers only those who show it."""
    app = server.streamable_http_app()
    return _Guarded(app, token) if token else app


class _Guarded:
    """Refuses requests without the bearer token, before anything of them is read."""

    def __init__(self, app: Any, token: str) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        shown = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(shown, self._expected):
            await self._app(scope, receive, send)
            return
        headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _tool(tool: BaseTool) -> Any:
    """Return a tool as the server takes it: what it cannot do is told as an error, not as a result."""
    made = to_fastmcp(tool.model_copy(update={"handle_tool_error": False}))
    return made.model_copy(update={"annotations": _READS})


def _only_from(names: Sequence[str]) -> TransportSecuritySettings:
    here = ["127.0.0.1:*", "localhost:*", "[::1]:*"]
    origins = [f"http://{name}" for name in here] + [f"{kind}://{name}" for name in names for kind in ("http", "https")]
    return TransportSecuritySettings(allowed_hosts=[*here, *names], allowed_origins=origins)


@click.command(help="Serve a folder of documents to MCP clients: through input and output, or with --http over HTTP.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--http", "port", type=click.IntRange(0, 65_535), help="Serve at this port instead; 0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--name", "names", multiple=True, help="A name by which clients call this machine, such as example.org:*."
)
def main(folder: Path, port: int | None, host: str, names: tuple[str, ...]) -> None:
    """Serve until the client leaves, or until it is interrupted."""
    token = os.environ.get(TOKEN, "")
    if port is not None and host not in _HERE and not token:
        raise click.UsageError(f"--host {host}: others can reach it, so expected a token in {TOKEN}, got none")
    try:
        corpus = open_corpus(folder)
    except DocumentError as error:
        raise click.ClickException(str(error)) from None
    with corpus:
        for note in corpus.report.notes:
            click.echo(note, err=True)
        if port is None:
            create_server(corpus).run("stdio")
        else:
            _serve(create_app(create_server(corpus, host=host, port=port, names=names), token), host, port)


def _serve(app: Any, host: str, port: int) -> None:
    import uvicorn

    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}, port {port}: {error.strerror}") from None
    with listening:  # who connects from here on is answered
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"http://{shown}:{listening.getsockname()[1]}/mcp", err=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    sys.exit(main())
