"""A removal firm makes an offer. Volume and distance can be found at the same time, and the price needs both: a plan with
dependencies, run as fast as they allow. The plan is the firm's checklist; without `planner` a model plans."""

import re

from graphs import plan_execute
from state import Envelope, Plan, Subtask


async def checklist(envelope: Envelope) -> Plan:
    found = [Subtask(id=name, task=envelope.task.partition("? ")[2], agent=name) for name in ("surveyor", "atlas")]
    price = Subtask(id="price", task="What does it cost?", agent="cashier", depends_on=("surveyor", "atlas"))
    return Plan(subtasks=(*found, price))


async def surveyor(task: str) -> str:
    pieces, volume = re.findall(r"(\d+) (sofa|table|chair)", task), {"sofa": 2.0, "table": 0.8, "chair": 0.3}
    return f"The furniture takes {sum(int(number) * volume[name] for number, name in pieces):.1f} cubic metres."


async def atlas(task: str) -> str:
    return next(f"The way is {km} kilometres." for city, km in {"Basel": 95, "Geneva": 160}.items() if city in task)


async def cashier(task: str) -> str:
    metres, km = (float(re.findall(rf"([\d.]+) {unit}", task)[0]) for unit in ("cubic", "kilometres"))
    return f"The move costs 30 * {metres} + 2 * {km:.0f} = {30 * metres + 2 * km:.0f} euros."


graph = plan_execute.build([surveyor, atlas, cashier], planner=checklist).compile(name="offer")


def main() -> None:
    out = graph.invoke({"task": "What does the move cost? 1 sofa, 6 chairs and 2 tables go from Bern to Basel."})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, {o['agent']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
