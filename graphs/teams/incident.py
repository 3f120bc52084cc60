"""Incident: a service is in trouble; a team finds out why, puts it right with commands from a list, and says what happened.

START -> begin -> intake -> monitor -> (diagnosis | notification | finish)
      -> diagnosis -> (remediation | notification) -> remediation -> verify -> (monitor | notification)
      -> notification -> (person | finish) -> person -> finish -> END

`monitor` and `diagnosis` only read. `remediation` runs commands of the service's list, without a shell; the destructive ones once
a person has agreed, each at most once in a round, also when the run is killed in between. Whether the service is well is
measured, never taken from a model: behind the monitor, in `verify`, and at the end. What does not help goes back to the monitor,
and after the last round to a person, with the facts. `finish` writes the post-mortem by rules, from what was noted. Without a
language model the four agents go by the rules of `nodes/incident/runbook.py`, which also stand in for a model that fails.

Use it when: a service has a health check, a log, and a list of commands that put it right.
Costs: r * 4 + t model calls for r rounds, with the tool calls of each agent one more, t = 2 for the ticket.
Ends: at most `Context.max_rounds` rounds, then a person.
Source: the runbooks and the blameless post-mortems of "Site Reliability Engineering" (Beyer et al., 2016), chapters 14 and 15.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.decisions import read_decision, with_shape
from nodes.incident.briefs import (
    IncidentState,
    brief_diagnosis,
    brief_monitor,
    brief_notification,
    brief_person,
    brief_remediation,
    took,
)
from nodes.incident.diagnosis import Diagnosis, Reading, as_state, borne_out, feasible
from nodes.incident.oncall import OnCall
from nodes.incident.postmortem import Moment, actions_from, conclude_incident
from nodes.incident.responders import (
    diagnosis_agent,
    for_run,
    monitor_agent,
    notification_agent,
    on_call_person,
    remediation_agent,
)
from nodes.node import Brief, Node, agent_node
from nodes.spec import AnyAgent, HumanAgent, check_agents, name_of, prompts_among
from nodes.threads import in_thread
from nodes.turn import begin_node, conclude
from state.context import context_of
from state.graph import PatternBuilder, can_ask_people
from state.outcome import Outcome, node_of
from state.prompts import tell_prompts
from state.task import RunStatus
from tools.sandbox import Need
from tools.service.case import attending
from tools.service.service import PATIENCE


def responder(
    oncall: OnCall, agent: AnyAgent, brief: Brief, keep: Callable[[Outcome, Any], dict[str, Any]] | None = None
) -> Node:
    """Return the node of an agent whose tools work on the case."""
    name = name_of(agent)

    async def node(state: IncidentState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        chosen = for_run(agent, context_of(runtime))
        work = agent_node(chosen, brief, keep=keep)
        case = await in_thread(oncall.case, state, config, name)
        try:
            with attending(case):
                return await work(state, runtime, config)
        finally:  # a pause too leaves this way
            await in_thread(case.note_asked)

    tell_prompts(node, prompts_among([agent]))
    return node


def intake_node(oncall: OnCall) -> Any:
    """Return the node that opens the incident."""

    async def intake(state: IncidentState, config: RunnableConfig) -> dict[str, Any]:
        """Find the service; start and break the example where none is given."""
        where = await oncall.arrive(state["goal"], config)
        now, service = time.time(), await in_thread(oncall.service, where)
        listed = service.commands
        commands = {name: one.describe() for name, one in listed.commands.items()} if listed is not None else {}
        moment = Moment(at=now, who="user", what=state["goal"])
        return {"service": where, "mark": service.mark, "opened": now, "commands": commands, "moments": [moment]}

    return intake


def monitor_node(oncall: OnCall, agent: AnyAgent) -> Node:
    """Return the node that watches: what the agent saw, beside what was measured."""
    name = name_of(agent)
    watch = responder(oncall, agent, brief_monitor(name), take_reading)

    async def node(state: IncidentState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        begun: IncidentState = {**state, "round": state["round"] + 1}
        seen = await watch(begun, runtime, config)
        service = await in_thread(oncall.service, state["service"])
        health, figures = await in_thread(service.health), await in_thread(service.metrics)
        log = await in_thread(service.log, 400)
        evidence = [*state["evidence"], *borne_out(seen.pop("claimed", []), log)]
        return {**seen, **took(state, name, health), "figures": figures, "round": begun["round"], "evidence": evidence}

    return node


def take_reading(outcome: Outcome, state: IncidentState) -> dict[str, Any]:  # noqa: ARG001  # one signature
    """Take what the monitor saw, and the lines it says show it."""
    reading = read_decision(outcome, Reading) or Reading(healthy=False)
    return {"symptoms": reading.symptoms, "claimed": reading.evidence}


def diagnosis_node(oncall: OnCall, agent: AnyAgent) -> Node:
    """Return the node that says what is wrong; of its evidence it keeps what stands in the log."""
    name = name_of(agent)
    work = responder(oncall, agent, brief_diagnosis(name), take_diagnosis)

    async def node(state: IncidentState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        update = await work(state, runtime, config)
        service, found = await in_thread(oncall.service, state["service"]), update["diagnosis"]
        log = await in_thread(service.log, 400)
        moment = Moment(at=time.time(), who=name, what=f"{found['fault']}: {found['cause']}")
        evidence = list(dict.fromkeys([*state["evidence"], *borne_out(found["evidence"], log)]))
        return {**update, "evidence": evidence, "moments": [*state["moments"], moment]}

    return node


def take_diagnosis(outcome: Outcome, state: IncidentState) -> dict[str, Any]:  # noqa: ARG001  # one signature
    """Take what the agent found, which may be nothing."""
    return {"diagnosis": as_state(read_decision(outcome, Diagnosis))}


def verify_node(oncall: OnCall) -> Any:
    """Return the node that looks whether it helped."""

    async def verify(state: IncidentState, config: RunnableConfig) -> dict[str, Any]:
        """Write down what was done, and wait for the service to recover if anything was."""
        case = await in_thread(oncall.case, state, config, "verify")
        actions = actions_from(await in_thread(case.notes), case.ask)
        tried = any(action["round"] == state["round"] and action["became"] == "ran" for action in actions)
        where = state["service"]
        health = await (oncall.recovery(where) if tried else oncall.health(where))
        return {"actions": actions, **took(state, "verify", health)}

    return verify


def finish_node(oncall: OnCall, person: str) -> Any:
    """Return the last node."""

    async def finish(state: IncidentState, config: RunnableConfig) -> dict[str, Any]:
        """Look once more, and write what happened."""
        case = await in_thread(oncall.case, state, config, "finish")
        notes, before = await in_thread(case.notes), state["moments"]
        looked = took(state, "postmortem", await oncall.health(state["service"]))
        latest: IncidentState = {**state, **looked, "actions": actions_from(notes, case.ask)}  # type: ignore[typeddict-item]
        if latest["healthy"] and state["healthy"]:
            latest["moments"] = before  # nothing new
        tickets = [
            Moment(at=n["at"], who=n["agent"], what=f"ticket {n['path']}") for n in notes if n["what"] == "ticket"
        ]
        answered = [o["output"] for o in state["outcomes"] if node_of(o) == person and o["status"] == "ok"]
        said = [Moment(at=time.time(), who=person, what=output) for output in answered]
        answer, structured, why = conclude_incident(
            latest, [*tickets, *said], oncall.hints(state["goal"], state["service"])
        )
        status: RunStatus = "completed" if latest["healthy"] else "partial"
        return {**looked, **conclude(state, answer, status=status, reason=why, structured=structured)}

    return finish


def route_health(diagnosis: str, notification: str) -> Callable[[IncidentState], str]:
    """Return the router behind the monitor: to the diagnosis, unless the service is well."""

    def route(state: IncidentState) -> str:
        if not state["healthy"]:
            return diagnosis
        return notification if state["actions"] else "finish"

    return route


def route_remedies(remediation: str, notification: str) -> Callable[[IncidentState], str]:
    """Return the router behind the diagnosis: to whoever acts when the list has a remedy, else on to a person."""

    def route(state: IncidentState) -> str:
        found = Diagnosis.model_validate(state["diagnosis"])
        return remediation if feasible(found, state["commands"]) else notification

    return route


def route_recovery(monitor: str, notification: str) -> Callable[[IncidentState, Runtime[Any]], str]:
    """Return the router behind the check: another round while rounds are left and nobody has said no."""

    def route(state: IncidentState, runtime: Runtime[Any]) -> str:
        if state["round"] >= context_of(runtime).max_rounds or state["healthy"]:
            return notification
        latest = [action for action in state["actions"] if action["round"] == state["round"]]
        refused = any(action["became"] == "not run" for action in latest)
        return notification if refused else monitor

    return route


def route_person(person: AnyAgent) -> Callable[[IncidentState, RunnableConfig], str]:
    """Return the router behind the ticket: to a person while the service is not well and they can be asked."""

    def route(state: IncidentState, config: RunnableConfig) -> str:
        reachable = not isinstance(person, HumanAgent) or can_ask_people(config)
        return name_of(person) if reachable and not state["healthy"] else "finish"

    return route


def build(
    *,
    service: str | Path | None = None,
    fault: str = "",
    ask: str | Sequence[str] | None = None,
    sandbox: Need = "when_present",
    patience: float = PATIENCE,
    settle: float = 5.0,
    monitor: AnyAgent | None = None,
    diagnosis: AnyAgent | None = None,
    remediation: AnyAgent | None = None,
    notification: AnyAgent | None = None,
    person: AnyAgent | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        service: Folder with a `service.json` such as that of `examples/incident/`, or the URL of a service that can only be
            watched. By default a copy of the example for each thread in `.orchestra/incident/`, started and broken first.
        fault: How the example is broken: leak, hang, disk, config or load; by default as the task says, and not at all when that
            tells of no trouble.
        ask: Names of commands that a person has to agree to, as a list or with commas; by default those that the service marks
            as destructive.
        sandbox: Whether commands run in a sandbox: `required`, `when_present` or `none`.
        patience: Seconds that a healthy service may take to say so.
        settle: Seconds that the service is given to recover after a remedy.
        monitor: Answers with `Reading {healthy, symptoms, evidence}`.
        diagnosis: Answers with `Diagnosis {fault, cause, evidence, remedies}`.
        remediation: Carries the remedies out; see `tools/service/commands.py` for its tool.
        notification: Writes the ticket.
        person: Gets what the team could not end; a person unless something else is given.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    given = [monitor or monitor_agent(), diagnosis or diagnosis_agent(), remediation or remediation_agent()]
    agents = check_agents([*given, notification or notification_agent(), person or on_call_person()])
    shaped = [with_shape(agents[0], Reading), with_shape(agents[1], Diagnosis), *agents[2:]]
    watching, diagnosing, acting, telling, tier = map(name_of, agents)
    names = [name.strip() for name in ask.split(",") if name.strip()] if isinstance(ask, str) else ask
    oncall = OnCall(service, fault, names, sandbox, patience, settle)
    builder = PatternBuilder(IncidentState)
    nothing: dict[str, Any] = {"symptoms": [], "diagnosis": {}, "evidence": [], "actions": [], "moments": []}
    fresh = begin_node(service="", round=0, healthy=False, health="", figures="", opened=0.0, resolved=0.0, **nothing)
    builder.add_node("begin", fresh)
    builder.add_node("intake", intake_node(oncall))
    builder.add_node(watching, monitor_node(oncall, shaped[0]))
    builder.add_node(diagnosing, diagnosis_node(oncall, shaped[1]))
    builder.add_node(acting, responder(oncall, shaped[2], brief_remediation(acting)))
    builder.add_node("verify", verify_node(oncall))
    builder.add_node(telling, responder(oncall, shaped[3], brief_notification(telling)))
    builder.add_node(tier, agent_node(shaped[4], brief_person(tier)))
    builder.add_node("finish", finish_node(oncall, tier))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "intake")
    builder.add_edge("intake", watching)
    builder.add_conditional_edges(watching, route_health(diagnosing, telling), [diagnosing, telling, "finish"])
    builder.add_conditional_edges(diagnosing, route_remedies(acting, telling), [acting, telling])
    builder.add_edge(acting, "verify")
    builder.add_conditional_edges("verify", route_recovery(watching, telling), [watching, telling])
    builder.add_conditional_edges(telling, route_person(shaped[4]), [tier, "finish"])
    builder.add_edge(tier, "finish")
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="incident")
