"""The `orchestra` command: `python -m orchestra` is the same."""

from __future__ import annotations

import os
from typing import Any

import click

from orchestra.commands.audit import audit
from orchestra.commands.chat import chat
from orchestra.commands.completion import completion
from orchestra.commands.delete import delete
from orchestra.commands.dev import dev
from orchestra.commands.doctor import doctor
from orchestra.commands.draw import draw
from orchestra.commands.fork import fork
from orchestra.commands.grants import grants, revoke
from orchestra.commands.history import history
from orchestra.commands.inject import halt, inject
from orchestra.commands.list import list_patterns
from orchestra.commands.new import new
from orchestra.commands.prune import prune
from orchestra.commands.report import report
from orchestra.commands.requests import requests
from orchestra.commands.resume import approve, edit, reject, respond, resume
from orchestra.commands.run import run
from orchestra.commands.stats import stats
from orchestra.commands.team import team
from orchestra.commands.threads import show, threads
from orchestra.commands.trace import trace
from state.errors import ConfigurationError, DocumentError, OrchestraError, TeamFileError


class FrontDoor(click.Group):
    """Commands in the order of their use; what goes wrong is said in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the commands as they were added, not by the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what goes wrong into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            raise click.exceptions.Exit(130) from None
        except Exception as error:
            if os.environ.get("ORCHESTRA_DEBUG", "0") not in ("", "0"):
                raise
            raise _OneLine(error) from error


class _OneLine(click.ClickException):
    """An error as its message."""

    def __init__(self, error: Exception) -> None:
        from state.redaction import redact  # here: help imports none of what it needs

        text = redact(error.listed() if isinstance(error, TeamFileError) else " ".join(str(error).split()))
        if not isinstance(error, OrchestraError | OSError):
            text = f"{type(error).__name__}: {text} (unexpected; ORCHESTRA_DEBUG=1 shows where it comes from)"
        super().__init__(text)
        wrong_arguments = isinstance(error, ConfigurationError | DocumentError)
        self.exit_code = 2 if wrong_arguments else 1  # type: ignore[misc]  # click's own way, declared for classes


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="orchestra-agents", message="orchestra %(version)s")
def command() -> None:
    """Run teams of agents as durable graphs.

    Every run is a thread: it can be stopped, looked at, resumed and answered by its name.
    """


for each in (
    list_patterns,
    new,
    run,
    chat,
    threads,
    show,
    requests,
    inject,
    halt,
    resume,
    approve,
    edit,
    reject,
    respond,
    history,
    trace,
    report,
    stats,
    fork,
    delete,
    prune,
    audit,
    grants,
    revoke,
    draw,
    team,
    dev,
    doctor,
    completion,
):
    command.add_command(each)


def main() -> None:
    """Run the command that the process was called with."""
    if "_ORCHESTRA_COMPLETE" in os.environ:  # a shell asks what can come next
        from orchestra.commands.candidates import offer

        offer(command)
    command(prog_name="orchestra")


if __name__ == "__main__":
    main()
