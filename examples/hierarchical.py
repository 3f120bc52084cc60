"""A workshop day is to be planned. The parts are somebody's whole job, catering even a team's, and each result is judged before
anything is built on it: a manager plans, gives out, accepts or sends back, and answers."""

import re

from graphs import hierarchical, sequential


def count(task: str, unit: str) -> int:
    return int((re.findall(rf"(\d+) {unit}", task) or ["10"])[-1])


async def rooms(task: str) -> str:
    """Knows which room holds how many people."""
    name, euros = ("Alba", 250) if count(task, "people") <= 30 else ("Borea", 400)
    return f"Room {name} holds {count(task, 'people')} people and costs {euros} euros."


async def kitchen(task: str) -> str:
    return f"The food for {count(task, 'people')} people is {12 * count(task, 'people')} euros."


async def service(task: str) -> str:
    """Adds the waiters, 5 euros a guest."""
    people, euros = count(task, "people"), count(task, "euros")
    return f"Lunch for {people} people costs {euros + 5 * people} euros, waiters included."


catering = sequential.build([kitchen, service]).compile(name="lunch_catering")
graph = hierarchical.build([rooms, catering]).compile(name="workshop_day")


def main() -> None:
    out = graph.invoke({"task": "Which room holds 45 people? What does lunch cost for 45 people?"})
    print(out["answer"], *(f"- {o['id']} by {o['agent']}: {o['status']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
