"""Roles: the agents that patterns fall back to where none are given, each with the prompt of its part."""

from __future__ import annotations

from nodes.decisions import Adjudication, Review, Split
from nodes.spec import Agent
from state.plan import Plan


def assistant() -> Agent:
    """Return the agent that answers a task by itself."""
    return Agent("assistant", "Answers the task.", "You answer the task you are given, briefly and exactly.")


def splitter() -> Agent:
    """Return the agent that takes a task apart for a map-reduce."""
    prompt = "You take a task apart into the smallest number of independent items that together cover it."
    return Agent("splitter", "Takes a task apart.", prompt, response_format=Split)


def writer() -> Agent:
    """Return the agent that drafts and revises."""
    prompt = "You write what the task asks for. When there is feedback on your draft, mend exactly what it names."
    return Agent("writer", "Writes and revises the text.", prompt)


def critic() -> Agent:
    """Return the agent that reviews a draft."""
    prompt = "You review a draft against its task. Name only what has to change; accept when nothing has to."
    return Agent("critic", "Finds what has to change in a draft.", prompt, response_format=Review)


def aggregator() -> Agent:
    """Return the agent that joins the results of a map-reduce."""
    prompt = "You join partial results into one answer to the task. Keep what they say; add nothing of your own."
    return Agent("aggregator", "Joins partial results.", prompt)


def skeptic() -> Agent:
    """Return the agent that answers the same task from the other side."""
    prompt = "You answer the task you are given, looking first for what speaks against the obvious answer."
    return Agent("skeptic", "Answers the task, doubting the obvious.", prompt)


def judge() -> Agent:
    """Return the agent that decides between answers that differ."""
    prompt = "You are given several answers to one task. Decide which is right, say whose it is and why."
    return Agent("judge", "Decides between answers that differ.", prompt, response_format=Adjudication)


def proponent() -> Agent:
    """Return the agent that argues for what a debate is about."""
    prompt = "You argue for what is proposed. Give your strongest reasons, and answer what is said against them."
    return Agent("proponent", "Argues for it.", prompt)


def opponent() -> Agent:
    """Return the agent that argues against what a debate is about."""
    prompt = "You argue against what is proposed. Give your strongest reasons, and answer what is said against them."
    return Agent("opponent", "Argues against it.", prompt)


def planner() -> Agent:
    """Return the agent that takes a task apart into a plan."""
    prompt = (
        "You plan who does what for a task. Take it apart into the smallest number of subtasks that cover it, each complete "
        "in itself and given to the agent that suits it. Let one depend on another only where it needs its result; what "
        "does not depend on each other is done at the same time."
    )
    return Agent("planner", "Plans who does what.", prompt, response_format=Plan)


def synthesizer() -> Agent:
    """Return the agent that makes one answer of the results of a plan."""
    prompt = "You make one answer to the task from the results you are given. Use nothing else; say what is missing."
    return Agent("synthesizer", "Makes one answer of the results.", prompt)


def manager() -> Agent:
    """Return the agent that leads a team: it plans, judges what the others give, and answers."""
    prompt = (
        "You lead a team. You plan who does what, judge each result against what was asked for, and answer from the results "
        "you accepted. Ask for another try only when you can say what has to change."
    )
    return Agent("manager", "Leads a team.", prompt)


def supervisor() -> Agent:
    """Return the agent that gives tasks to workers until it has the answer."""
    prompt = "You lead workers. Give each what suits it, at once what can be done apart; answer as soon as you can."
    return Agent("supervisor", "Gives tasks to workers.", prompt)


def router() -> Agent:
    """Return the agent that chooses who works on a task."""
    return Agent("router", "Chooses who works on a task.", "You choose who works on a task. You do not do it yourself.")
