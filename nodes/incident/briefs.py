"""An incident as the team keeps it, and what each responder is told of it."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from nodes.incident.diagnosis import Diagnosis, feasible
from nodes.incident.postmortem import Action, Moment, facts_of, spell, why_handed_over
from nodes.node import Brief
from state.envelope import Envelope
from state.task import TaskState
from tools.service.service import Health


class IncidentState(TaskState, total=False):
    """Adds the incident: how the service is, what is known, and what was done."""

    service: str
    """Folder or URL."""
    mark: str
    """Of its description, as it was when the incident began."""
    commands: dict[str, str]
    """What may be run on it: name to description."""
    round: int
    """Of diagnosis and remedy, from 1."""
    healthy: bool
    health: str
    """What the service said last, in a line."""
    figures: str
    symptoms: list[str]
    diagnosis: dict[str, Any]
    evidence: list[str]
    """Lines that stand in the service's log."""
    actions: list[Action]
    """All commands so far."""
    moments: list[Moment]
    """What else happened, and when."""
    opened: float
    resolved: float
    """When it was found well; 0 until then."""


def took(state: IncidentState, who: str, health: Health) -> dict[str, Any]:
    """Return the update that a look at the service makes."""
    said = f"{'healthy' if health.healthy else 'NOT healthy'} after {health.milliseconds:.0f} ms: {health.said}"
    moment = Moment(at=health.at, who=who, what=said)
    update = {"healthy": health.healthy, "health": said, "moments": [*state["moments"], moment]}
    return {**update, "resolved": health.at} if health.healthy and not state["resolved"] else update


def brief_monitor(recipient: str) -> Brief:
    """Return the brief that sends the monitor to the service."""

    def brief(state: IncidentState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        task = f"Say how the service is. It was reported: {state['goal']}"
        return Envelope(sender="intake", recipient=recipient, task=task)

    return brief


def brief_diagnosis(recipient: str) -> Brief:
    """Return the brief of the diagnosis: what was measured and seen, what was tried, and which commands there are."""

    def brief(state: IncidentState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        tried = [
            f"- round {a['round']}: {spell(a['command'], a['arguments'])} : {a['became']}, {a['said']}"
            for a in state["actions"]
        ]
        context = {
            "Health": state["health"],
            "Figures": state["figures"].strip(),
            "Symptoms": "\n".join(f"- {line}" for line in state["symptoms"]),
            "Tried": "\n".join(tried),
            "Commands": "\n".join(f"- {line}" for line in state["commands"].values()),
        }
        return Envelope(
            sender="monitor", recipient=recipient, task="Find out what is wrong with the service.", context=context
        )

    return brief


def brief_remediation(recipient: str) -> Brief:
    """Return the brief that sends the remedies to be carried out, and nothing to look further with."""

    def brief(state: IncidentState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        remedies = feasible(Diagnosis.model_validate(state["diagnosis"]), state["commands"])
        context = {
            "Cause": state["diagnosis"]["cause"],
            "Remedies": "\n".join(remedy.line() for remedy in remedies),
            "Commands": "\n".join(f"- {line}" for line in state["commands"].values()),
        }
        task = f"Put the service right. It is round {state['round']}."
        return Envelope(sender="diagnosis", recipient=recipient, task=task, context=context)

    return brief


def brief_notification(recipient: str) -> Brief:
    """Return the brief of the ticket: how it ended, and the facts."""

    def brief(state: IncidentState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        ended = "healthy again" if state["healthy"] else f"a person is needed: {why_handed_over(state)}"
        context = {
            "Title": f"{state['diagnosis'].get('fault', 'incident')}: {ended}",
            "Facts": "\n".join([*facts_of(state), *state["evidence"]]),
        }
        return Envelope(
            sender="verify", recipient=recipient, task="Write the ticket of this incident.", context=context
        )

    return brief


def brief_person(recipient: str) -> Brief:
    """Return the brief of the person: everything that is known, since they have seen nothing of it."""

    def brief(state: IncidentState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        context = {
            "Why you": why_handed_over(state),
            "Facts": "\n".join(f"- {fact}" for fact in facts_of(state)),
            "Evidence": "\n".join(f"> {line}" for line in state["evidence"]),
            "Figures": state["figures"].strip(),
        }
        task = f"The service does not do what it should: {state['goal']}"
        return Envelope(sender="notification", recipient=recipient, task=task, context=context)

    return brief
