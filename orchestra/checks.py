"""Check what a run stands on, one thing at a time: what is there, and what to do about what is not."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from nodes.models import ENGINE, default_model, describe_model, load_model, network_models_forbidden
from state.errors import OrchestraError
from state.persistence import open_persistence
from tools.corpus import open_corpus

_PACKAGE = "orchestra-agents"
_SECONDS = 5.0
"""To wait for a model server."""
_MOST_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        name: What was looked at.
        ok: Whether a run can rely on it.
        found: What is there.
        remedy: What to do; empty when nothing has to be done.
        details: More lines, such as the files that were skipped.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    details: tuple[str, ...] = ()


def check_python() -> Finding:
    """Check the version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding("python", ok, f"{version}, {sys.executable}", "" if ok else "use Python 3.11, 3.12 or 3.13")


def check_packages() -> Finding:
    """Check that everything Orchestra needs is installed in a version that it works with."""
    from packaging.requirements import Requirement

    wrong, shown = [], []
    for text in metadata.requires(_PACKAGE) or ():
        needed = Requirement(text)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(version, prereleases=True):
            wrong.append(f"{needed.name} {version}, expected {needed.specifier}")
        elif needed.name in ("langgraph", "langchain", "langchain-core"):
            shown.append(f"{needed.name} {version}")
    found = "; ".join(wrong) or f"{_PACKAGE} {metadata.version(_PACKAGE)}, {', '.join(shown)}"
    return Finding("packages", not wrong, found, f"pip install -U {_PACKAGE}" if wrong else "")


def check_model(model: str | None = None) -> Finding:
    """Check which model would answer, why this one, and whether its server can be reached."""
    name = model or default_model()
    found = f"{describe_model(name)}, {'asked for' if model else _reason(name)}"
    try:
        load_model(name)
    except OrchestraError as error:
        return Finding("model", False, found, str(error))
    if name == ENGINE:
        hint = "" if model or network_models_forbidden() else "for a language model set OPENAI_API_KEY, or name one"
        return Finding("model", True, found, hint)
    problem = _server_problem(name.partition(":")[2]) if name.startswith("openai:") else ""
    return Finding("model", not problem, found, problem)


def check_database(url: str) -> Finding:
    """Check that threads can be kept; makes no database where there is none."""
    place = open_persistence(url)
    path = Path(place.location)
    is_file = not url.startswith(("postgres:", "postgresql:"))
    if is_file and not path.exists():
        folder = next(parent for parent in path.parents if parent.exists())
        if os.access(folder, os.W_OK):
            return Finding("database", True, f"{place.location}, made by the first run")
        return Finding("database", False, f"{place.location} cannot be made", f"make {folder} writable, or give --db")
    try:
        with place:
            count = len(place.threads())
    except OrchestraError as error:
        return Finding("database", False, "cannot be used", str(error))
    return Finding("database", True, f"{place.location}, {count} thread{'' if count == 1 else 's'}")


def check_health(url: str, *, seconds: float = 3600.0) -> Finding:
    """Check how models and tools did lately, by what the runs of this database recorded."""
    place = open_persistence(url)
    if not url.startswith(("postgres:", "postgresql:")) and not Path(place.location).exists():
        return Finding("health", True, "nothing was run yet")
    try:
        with place:
            events = place.records.recent(since=time.time() - seconds)
    except OrchestraError:
        return Finding("health", True, "not known: see database")
    calls, errors = Counter[str](), dict[str, Counter[str]]()
    for event in events:
        data = event["data"]
        name = data.get("model") if event["kind"] == "model_called" else data.get("tool")
        if event["kind"] not in ("model_called", "tool_called") or not name:
            continue
        calls[str(name)] += 1
        if error := data.get("error") or ("failed" if data.get("status") == "error" else ""):
            errors.setdefault(str(name), Counter())[str(error)] += 1
    failing = [name for name, kinds in errors.items() if calls[name] >= 5 and kinds.total() * 2 >= calls[name]]
    told = tuple(
        f"{name}: {kinds.total()} of {calls[name]} failed ({', '.join(kinds)})"
        for name, kinds in sorted(errors.items())
    )
    hours = f"in the last {seconds / 3600:g} h"
    found = f"{calls.total()} calls {hours}, {sum(kinds.total() for kinds in errors.values())} failed"
    remedy = f"look after {', '.join(failing)}; give their agents a fallback" if failing else ""
    return Finding("health", not failing, found, remedy, told)


def check_search() -> Finding:
    """Check that this Python's SQLite can search in full text."""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError:
        remedy = "use a Python whose SQLite has FTS5, as those of python.org, Debian and conda do"
        return Finding("search", False, f"SQLite {sqlite3.sqlite_version} without FTS5", remedy)
    return Finding("search", True, f"SQLite {sqlite3.sqlite_version} with FTS5")


def check_corpus(folder: str) -> Finding:
    """Check the documents: how many there are, and what cannot be read."""
    name = folder or "Python's language reference"
    try:
        with open_corpus(folder or None) as corpus:
            report = corpus.report
    except OrchestraError as error:
        return Finding("corpus", False, name, str(error))
    found = f"{name}: {report.documents:,} documents, {report.passages:,} passages, {len(report.skipped):,} skipped"
    skipped = tuple(f"{source}: {reason}" for source, reason in report.skipped)
    return Finding("corpus", True, found, "; ".join(report.notes), skipped)


def _reason(name: str) -> str:
    """Say why a model is the default."""
    if network_models_forbidden():
        return "because ORCHESTRA_OFFLINE is set"
    if os.environ.get("ORCHESTRA_MODEL", "").strip():
        return "because ORCHESTRA_MODEL says so"
    if name == ENGINE:
        return "because neither OPENAI_API_KEY nor OPENAI_BASE_URL is set"
    return f"because {'OPENAI_API_KEY' if os.environ.get('OPENAI_API_KEY') else 'OPENAI_BASE_URL'} is set"


def _server_problem(name: str) -> str:
    """Return what is wrong with the server behind an OpenAI model, or nothing. Asks for its list of models."""
    import httpx

    base = os.environ.get("OPENAI_API_BASE") or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY') or 'not-needed'}"}
    where = base.split("@")[-1]  # never a password
    try:
        response = httpx.get(f"{base.rstrip('/')}/models", headers=headers, timeout=_SECONDS)
    except httpx.HTTPError as error:
        return f"{where} cannot be reached ({type(error).__name__}): check OPENAI_BASE_URL, and that the server runs"
    if response.status_code in (401, 403):
        return f"{where} refuses the key ({response.status_code}): check OPENAI_API_KEY"
    if response.status_code == 404:
        return f"{where} answers, but not as an OpenAI-compatible server (404): the address mostly ends in /v1"
    if response.is_error:
        return f"{where} answers with an error ({response.status_code}): look at the server's log"
    return _missing(name, response, where)


def _missing(name: str, response: Any, where: str) -> str:
    try:
        known = [str(model["id"]) for model in response.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return f"{where} answers, but not as an OpenAI-compatible server: the address mostly ends in /v1"
    if not known or name in known:
        return ""
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    return f"{where} has no model {name!r}; it has {', '.join(known[:_MOST_NAMED])}{more}"
