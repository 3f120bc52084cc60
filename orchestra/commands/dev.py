"""`orchestra dev`: every graph over HTTP, for Studio and for clients, behind a door."""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import DEFAULT_DB, db_option
from state.errors import ConfigurationError

if TYPE_CHECKING:
    from orchestra.serving.door import Door
    from orchestra.serving.server import Project

TOKEN_VARIABLE = "ORCHESTRA_TOKEN"  # noqa: S105  # its name, not a token
TOKEN_LENGTH = 16
"""Fewest characters of a token that somebody chose."""
PORT = 2024
PORTS_TRIED = 100


@click.command()
@click.argument(
    "teams", nargs=-1, metavar="[TEAM_FILE]...", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--host", default="127.0.0.1", metavar="NAME", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help=f"[default: {PORT}, or the next free one]")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What to serve.  [default: the team files, or langgraph.json if there is one here, or every pattern and team]",
)
@db_option
@click.option("--open", "open_browser", is_flag=True, help="Show Studio in a browser.")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="A page that may send requests; repeatable.")
@click.option("--no-token", is_flag=True, help="Ask for no token: every program on this machine may do everything.")
def dev(
    teams: tuple[Path, ...],
    host: str,
    port: int | None,
    config: Path | None,
    db: str,
    open_browser: bool,
    origins: tuple[str, ...],
    no_token: bool,
) -> None:
    """Serve graphs over HTTP, teams of files too: for LangGraph Studio, chat clients and the SDK.

    Listens on this machine alone and asks every request for a token, which is new at each start unless
    ORCHESTRA_TOKEN has one (at least 16 characters). Other addresses need ORCHESTRA_TOKEN.
    """
    from orchestra.serving.server import require_server, serve

    require_server()
    from orchestra.commands.place import open_place
    from orchestra.serving.door import Door, read_origin

    allowed = frozenset(read_origin(origin) for origin in origins)
    chosen = os.environ.pop(TOKEN_VARIABLE, None)  # what runs below this process has no use for it
    token = choose_token(host, chosen, no_token=no_token)
    project = choose_project(config, teams)
    if project.checkpointer and db != DEFAULT_DB:
        raise ConfigurationError(f"{project.source} has a checkpointer of its own: remove that, or leave --db out")
    with open_place(db) as place:  # what is wrong with it is said now, in one line
        kept = "where the project's own checkpointer keeps them" if project.checkpointer else place.location
    bound = choose_port(host, port)

    def greet() -> None:
        _greet(door, project, kept, generated=chosen is None)

    door = Door(host, bound, token, allowed, greet)
    if port is None and bound != PORT:
        click.echo(f"Port {PORT} is taken; using {bound}.", err=True)
    click.echo(f"Starting the server of {project.source} ...", err=True)
    try:
        serve(project, door, db=db, open_browser=open_browser)
    except SystemExit as end:
        if end.code:
            click.echo("The server did not start; what went wrong is above.", err=True)
        raise
    click.echo("Stopped. Threads are kept; start again to go on.", err=True)


def choose_project(config: Path | None, teams: Sequence[Path]) -> Project:
    """Return what is served: team files and a `langgraph.json`, the one that is here, or what the package has.

    Raises:
        ConfigurationError: It cannot be served.
    """
    from orchestra.serving.server import Project, installed_project, read_project
    from orchestra.serving.teams import with_teams

    here = Path("langgraph.json")
    if config is None and not teams:
        return read_project(here) if here.is_file() else installed_project()
    project = read_project(config) if config else Project("", {})
    return with_teams(project, teams) if teams else project


def choose_token(host: str, chosen: str | None, *, no_token: bool) -> str | None:
    """Return the token that requests have to bring, or None for none.

    Raises:
        ConfigurationError: Other machines could come in without a token that somebody chose, or it is too weak.
    """
    local = is_loopback(host)
    if no_token:
        if not local:
            raise ConfigurationError(
                f"--no-token is for this machine alone, and {host!r} is open to others; leave it out"
            )
        if chosen:
            raise ConfigurationError(f"--no-token and {TOKEN_VARIABLE} contradict each other; leave one out")
        return None
    if chosen is None:
        if not local:
            raise ConfigurationError(
                f"{host!r} is open to other machines: set {TOKEN_VARIABLE} to at least {TOKEN_LENGTH} characters, "
                "or leave --host out to listen on this machine alone"
            )
        return secrets.token_urlsafe(32)
    if len(chosen) < TOKEN_LENGTH or not chosen.isascii() or not chosen.isprintable() or " " in chosen:
        raise ConfigurationError(
            f"{TOKEN_VARIABLE}: expected at least {TOKEN_LENGTH} printable ASCII characters without spaces; got "
            f'{len(chosen)} that do not fit. python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
        )
    return chosen


def is_loopback(host: str) -> bool:
    """Whether a server that is bound to this host can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def choose_port(host: str, port: int | None) -> int:
    """Return a port to listen on: the one that was asked for, or the first free one from the usual one on.

    Raises:
        ConfigurationError: It is taken, or the host is not one of this machine.
    """
    wanted = range(PORT, PORT + PORTS_TRIED) if port is None else (port,)
    for each in wanted:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, each))
            except socket.gaierror:
                raise ConfigurationError(
                    f"--host: expected an IPv4 address or name of this machine; got {host!r}"
                ) from None
            except PermissionError:
                raise ConfigurationError(
                    f"port {each} needs rights that you do not have; choose one above 1023"
                ) from None
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise ConfigurationError(
                    f"cannot listen on {host}:{each}: {error.strerror}; choose another --host"
                ) from None
            return each
    taken = f"port {port} is" if port else f"ports {PORT} to {PORT + PORTS_TRIED - 1} are"
    raise ConfigurationError(f"{taken} taken: stop what listens there, or give another --port")


def _greet(door: Door, project: Project, kept: str, *, generated: bool) -> None:
    from orchestra.serving.door import STUDIO

    told = "none is asked for"
    if door.token:
        told = door.token if generated else f"the one in {TOKEN_VARIABLE}"
    lines = [
        f"Server   {door.url}   ({len(project.graphs)} graphs of {project.source})",
        f"Token    {told}",
        f"Studio   {STUDIO}/studio/?baseUrl={door.url}",
        "Chat     agent-chat-ui, deep-agents-ui: this address, a graph's name, and the token as API key",
        f"Docs     {door.url}/docs",
        f"Threads  {kept}",
    ]
    if door.token:
        lines.append(
            "Every request brings the token as `x-api-key`: in Studio a custom header of the connection, in Python"
        )
        lines.append(f"langgraph_sdk.get_client(url={door.url!r}, api_key=...).")
    click.echo("\n".join(["", *(f"  {line}" for line in [*lines, "Ctrl-C stops."]), ""]))
