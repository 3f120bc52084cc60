"""A workshop day is to be planned. The parts are somebody's whole job, catering even a team's, and each result is judged before
anything is built on it: a manager plans, gives out, accepts or sends back, and answers."""

import re

from graphs import hierarchical, sequential
from nodes import Agent

ROOMS = {"Alba": 30, "Borea": 60}


def first_number(task: str) -> int:
    return int((re.findall(r"\d+", task) or ["10"])[0])


async def rooms(task: str) -> str:
    """Knows which room holds how many people."""
    people = first_number(task)
    return f"{[name for name, seats in ROOMS.items() if seats >= people][:1] or 'No room'} holds {people} people."


async def kitchen(task: str) -> str:
    """Reckons what the food costs."""
    return f"{first_number(task)} people eat for {12 * first_number(task)} euros."


async def waiters(envelope: Envelope) -> str: ...
