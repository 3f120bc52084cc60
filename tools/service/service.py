"""A service that is looked after: its health and metrics over HTTP, its log, configuration and processes from its folder.

All of this reads and changes nothing; what may be done to a service is its list of commands, in `tools/service/commands.py`.
"""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, Field

from state.errors import ConfigurationError
from tools.rights import needs
from tools.sandbox import Need
from tools.service.case import case_here
from tools.service.commands import CommandList, read_command

PATIENCE = 1.0
"""Seconds that a healthy service may take to say so."""
DESCRIPTION = "service.json"
_TAIL = 64 * 1024
"""Bytes at the end of a log that are looked at, and of an answer that are read."""
_SAID = 1000
"""Characters of what a service says of its health that are kept."""


class Health(NamedTuple):
    """What a service said about itself at one moment."""

    healthy: bool
    said: str
    at: float
    milliseconds: float


@dataclass(frozen=True)
class Service:
    """One service. Where it has a folder, `service.json` there names its files and commands.

    Args:
        name: Of it.
        address: URL, when it is given; else the status file has it.
        folder: Of it; None when only the URL is known.
        files: `status`, `log` and `config`, as paths in the folder.
        commands: That may be run on it.
        audit: File of all commands that were asked for.
        mark: Of its description; differs once that is changed.
        patience: Seconds that a healthy service may take to say so.
    """

    name: str
    address: str
    folder: Path | None
    files: Mapping[str, str]
    commands: CommandList | None
    audit: Path
    mark: str = ""
    patience: float = PATIENCE

    @property
    def url(self) -> str:
        """Return where it is; it may have moved since the last look."""
        return self.address or str(self.status().get("url", ""))

    def status(self) -> dict[str, Any]:
        """Return what its supervisor wrote down; nothing where there is none."""
        try:
            found = json.loads(self._text("status"))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def health(self) -> Health:
        """Ask it how it is."""
        began = time.monotonic()
        try:
            code, said = self._get("/health")
        except (OSError, ValueError) as error:
            timed_out = isinstance(error, TimeoutError) or "timed out" in str(error)
            why = f"no answer within {self.patience:g} s" if timed_out else f"no answer ({error})"
            return Health(False, why, time.time(), (time.monotonic() - began) * 1000)
        return Health(code == 200, said[:_SAID], time.time(), (time.monotonic() - began) * 1000)

    def metrics(self) -> str:
        """Return its figures, one a line."""
        try:
            return self._get("/metrics")[1]
        except (OSError, ValueError) as error:
            return f"no metrics ({error})"

    def log(self, lines: int = 40) -> str:
        """Return the end of its log."""
        return "\n".join(self._text("log").splitlines()[-lines:])

    def config(self) -> str:
        """Return its configurations, each under its name, the one in use first."""
        if self.folder is None or "config" not in self.files:
            return ""
        folder, current = self.folder / self.files["config"], str(self.status().get("version", ""))
        found = sorted(folder.glob("*.json"), key=lambda path: (path.stem != current, path.name))
        return "\n\n".join(
            f"{path.name}{' (in use)' if path.stem == current else ''}:\n{path.read_text(encoding='utf-8').strip()}"
            for path in found
        )

    def _text(self, what: str) -> str:
        """Return the end of one of its files; nothing where there is none."""
        if self.folder is None or what not in self.files:
            return ""
        try:
            with open(self.folder / self.files[what], "rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _get(self, path: str) -> tuple[int, str]:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("it does not run" if not self.url else f"{self.url!r} is no HTTP address")
        # The header says when the request was sent, so that the service knows how long it waited.
        asking = urllib.request.Request(self.url + path, headers={"X-Request-Start": f"{time.time():.4f}"})  # noqa: S310
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(asking, timeout=self.patience) as answer:
                return answer.status, answer.read(_TAIL).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(_TAIL).decode("utf-8", "replace")


def open_service(where: str | Path, *, sandbox: Need = "when_present", patience: float = PATIENCE) -> Service:
    """Return a service by its folder, or by its URL alone, where there is no log to read and nothing can be done.

    Raises:
        ConfigurationError: It is neither, or its description cannot be used.
    """
    if str(where).startswith(("http://", "https://")):
        audit = Path(".orchestra", "incident", "audit.jsonl")
        audit.parent.mkdir(parents=True, exist_ok=True)
        return Service(str(where), str(where).rstrip("/"), None, {}, None, audit.absolute(), patience=patience)
    folder = Path(where).absolute()
    try:
        text = (folder / DESCRIPTION).read_text(encoding="utf-8")
        told = json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"service: expected a URL, or a folder with {DESCRIPTION}, got {str(where)!r} ({error})"
        ) from None
    commands = {name: read_command(name, given) for name, given in (told.get("commands") or {}).items()}
    listed = CommandList(commands, folder, tuple(told.get("result") or ()), sandbox)
    files = {name: str(told[name]) for name in ("status", "log", "config") if told.get(name)}
    name, address = str(told.get("name") or folder.name), str(told.get("url") or "").rstrip("/")
    mark, audit = hashlib.sha256(text.encode()).hexdigest()[:16], folder / "audit.jsonl"
    return Service(name, address, folder, files, listed if commands else None, audit, mark, patience)


class _Lines(BaseModel):
    lines: int = Field(default=40, ge=1, le=400, description="How many of the last lines.")


def create_monitor_tools() -> list[BaseTool]:
    """Create the tools that watch: `check_health`, `read_metrics`, `read_log`."""
    return [
        _tool(check_health, "Ask the service how it is. Says how long it took to answer."),
        _tool(read_metrics, "Read the figures of the service: memory, data, waits, requests."),
        _tool(read_log, "Read the end of the service's log.", _Lines),
    ]


def create_diagnosis_tools() -> list[BaseTool]:
    """Create the tools that look closer: `read_log`, `read_config`, `inspect_process`."""
    return [
        _tool(read_log, "Read the end of the service's log.", _Lines),
        _tool(read_config, "Read the configurations of the service; says which one is in use."),
        _tool(inspect_process, "Say which workers run, since when, and which version they run."),
    ]


def check_health() -> str:
    """Ask the service how it is."""
    return describe_health(case_here().service.health())


def describe_health(health: Health) -> str:
    """Say how a service is, in a line."""
    return f"{'healthy' if health.healthy else 'NOT healthy'} after {health.milliseconds:.0f} ms: {health.said}"


def read_metrics() -> str:
    """Read the figures of the service."""
    return case_here().service.metrics()


def read_log(lines: int = 40) -> str:
    """Read the end of the log."""
    return case_here().service.log(lines) or "there is no log"


def read_config() -> str:
    """Read the configurations."""
    return case_here().service.config() or "there is no configuration to read"


def inspect_process() -> str:
    """Say which workers run."""
    status = case_here().service.status()
    if not status:
        return "nothing is known of its processes"
    head = (
        f"version {status.get('version')} in use, {status.get('previous')} before it; start {status.get('generation')}; "
        f"{status.get('wanted')} workers wanted"
    )
    return "\n".join(
        [head, *(", ".join(f"{k} {v}" for k, v in worker.items()) for worker in status.get("workers", ()))]
    )


def _tool(function: Any, description: str, arguments: type[BaseModel] | None = None) -> BaseTool:
    return needs("read")(StructuredTool.from_function(function, args_schema=arguments, description=description))
