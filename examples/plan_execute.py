"""A moving firm makes an offer. Volume and distance can be found at the same time, the price needs both, and the letter the price:
a plan with dependencies, run as fast as they allow. The plan is the firm's checklist; without `planner` a model plans."""

import re

from graphs import plan_execute
from nodes import Agent
from state import Plan, Subtask

VOLUME = {"sofa": 2.0, "table": 0.8, "chair": 0.3, "wardrobe": 1.9}
DISTANCE = {("Bern", "Basel"): 95, ("Bern", "Geneva"): 160}


async def checklist(task: str) -> Plan:
    """Plans an offer as the firm always does."""
    volume = Subtask(id="volume", task=task, agent="surveyor")
    distance = Subtask(id="distance", task=task, agent="atlas")
    price = Subtask(id="price", task="What does the move cost?", agent="cashier", depends_on=("volume", "distance"))
    return Plan(subtasks=(volume, distance, price))


async def surveyor(task: str) -> str:
    """Knows how much room furniture takes."""
    pieces = re.findall(r"(\d+) (sofa|table|chair|wardrobe)", task)
    return f"The furniture takes {sum(int(number) * VOLUME[name] for number, name in pieces):.1f} cubic metres."


async def atlas(task: str) -> str:
    """Knows how far it is."""
    return next(f"The way is {km} kilometres." for (a, b), km in DISTANCE.items() if a in task and b in task)


async def cashier(task: str) -> str:
    """Reckons the price of a move: 30 euros a cubic metre and 2 euros a kilometre."""
    metres, km = re.findall(r"([\d.]+) cubic", task)[0], re.findall(r"(\d+) kilometres", task)[0]
    return f"The move costs {30 * float(metres) + 2 * int(km):.0f} euros."


clerk = Agent("clerk", "Writes the offer.", "You write a removal firm's offer in two sentences: the price, and what it rests on.")
graph = plan_execute.build([surveyor, atlas, cashier], planner=checklist, synthesizer=clerk).compile(name="offer")


def main() -> None:
    out = graph.invoke({"task": "What does it cost to move 1 sofa, 6 chairs and 2 tables from Bern to Basel?"})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, {o['output']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
