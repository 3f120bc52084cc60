"""The runbook: what is wrong with a service and what to do about it, by rules.

They know the five ways in which services of this kind break: one rule each, the first that fits. They stand in for a language
model where none is configured, and where one fails in the middle of an incident.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable

from nodes.incident.diagnosis import Argument, Diagnosis, Reading, Remedy

MOST_TRIES = 2
"""Times that the same remedies are tried in one incident."""
_MOST_WORKERS = 8
_MARKS = {
    "config": r"\bconfiguration: |ended with exit code",
    "disk": r"quota|no space left|read-only",
    "leak": r"\bmemory: ",
    "hang": r"\block: |no answer",
    "load": r"\bqueue: ",
}
_TROUBLE = re.compile(r" (?:WARN|ERROR|FATAL) ")


def read_symptoms(health: str, figures: str, log: str) -> Reading:
    """Return what a monitor sees in the service's own words."""
    healthy = health.startswith("healthy")
    symptoms = [] if healthy else reasons_in(health) or [health]
    if not healthy and (wait := figures_in(figures).get("queue_wait_ms", 0.0)):
        symptoms.append(f"Requests wait {wait:.0f} ms for a free thread.")
    return Reading(healthy=healthy, symptoms=symptoms, evidence=[] if healthy else recent_trouble(log.splitlines()))


def diagnose(health: str, figures: str, log: str, process: str, tried: str = "") -> Diagnosis:
    """Return what is wrong and what to do; no remedy where the rules know none, or where theirs did not help.

    Args:
        health: What the service said of itself, or that it did not answer.
        figures: One a line, `name value`.
        log: Its end.
        process: Which workers run, and which version.
        tried: What was done so far, one line for each command.
    """
    fault = fault_of(health, process, log)
    remedies = remedies_for(fault, figures, process)
    if remedies and sum(f"{remedies[-1].command} " in line for line in tried.splitlines()) >= MOST_TRIES:
        remedies = []
    evidence = [line for line in log.splitlines() if fault in _MARKS and re.search(_MARKS[fault], line)]
    return Diagnosis(
        fault=fault,  # type: ignore[arg-type]  # a key of `_MARKS`, or "other"
        cause=_cause(fault, health, evidence),
        evidence=recent_trouble(evidence),
        remedies=remedies,
    )


def fault_of(health: str, process: str, log: str) -> str:
    """Return which of the faults it is, or `other`."""
    if "given up" in process:
        return "config"
    latest = (log.strip().splitlines() or [""])[-1]
    if "no answer" in health and re.search(_MARKS["load"], latest):
        return "load"  # too busy to say so in time
    said = " ".join(reasons_in(health)) or health
    for fault in ("disk", "leak", "load", "hang"):
        if re.search(_MARKS[fault], said, re.IGNORECASE):
            return fault if fault != "hang" or "running" in process else "other"
    return "other"


def remedies_for(fault: str, figures: str, process: str) -> list[Remedy]:
    """Return what helps against a fault."""
    restart = Remedy(command="restart", reason="Only a new process lets go of it.")
    if fault in ("leak", "hang"):
        return [restart]
    if fault == "disk":
        return [
            Remedy(command="rotate_logs", reason="Debug logs have filled the quota."),
            Remedy(command="restart", reason="It stays read-only until it is started again."),
        ]
    if fault == "config" and (before := version_before(process)):
        arguments = [Argument(name="version", value=before)]
        return [Remedy(command="rollback", arguments=arguments, reason="It ran with that version.")]
    if fault == "load":
        workers = Argument(name="workers", value=str(workers_needed(figures, process)))
        return [Remedy(command="scale", arguments=[workers], reason="There are more requests than free threads.")]
    return []


def workers_needed(figures: str, process: str) -> int:
    """Return how many workers take the load: as many more as a request waits longer than it works."""
    known, now = figures_in(figures), len(re.findall(r"state running", process)) or 1
    work, wait = known.get("work_ms", 0.0), known.get("queue_wait_ms", 0.0)
    needed = math.ceil(now * (1 + wait / work)) if work else 2 * now
    return min(_MOST_WORKERS, max(now + 1, needed))


def version_before(process: str) -> str:
    """Return the version that ran before the one in use, if there was another."""
    found = re.search(r"version (\S+) in use, (\S+) before it", process)
    return found[2] if found and found[1] != found[2] else ""


def figures_in(text: str) -> dict[str, float]:
    """Return figures by name."""
    return {name: float(value) for name, value in re.findall(r"^(\w+) ([\d.]+)$", text, re.MULTILINE)}


def reasons_in(health: str) -> list[str]:
    """Return the reasons that a service gives for not being well."""
    try:
        told = json.loads(health[health.index("{") :])
        return [str(reason) for reason in told.get("reasons", ())]
    except (ValueError, AttributeError, TypeError):
        return []


def recent_trouble(lines: Iterable[str], most: int = 3) -> list[str]:
    """Return the last lines that warn of something."""
    return [line for line in lines if _TROUBLE.search(line)][-most:]


def _cause(fault: str, health: str, evidence: list[str]) -> str:
    found = "; ".join(reasons_in(health)) or health.partition(": ")[2] or health
    causes = {
        "leak": f"Memory is taken and not given back ({found}).",
        "hang": f"Its processes run and do not answer ({found}).",
        "disk": f"The quota of its data is used up ({found}).",
        "load": f"More requests come in than its workers can take ({found}).",
        "config": "It does not start with its configuration.",
    }
    named = [line.partition("configuration: ")[2] for line in evidence if "configuration: " in line]
    last = f" {named[-1].rstrip('.')}." if fault == "config" and named else ""
    return causes.get(fault, f"The rules do not know this: {found}.") + last
