"""A lunch must suit the guests and the budget. None of the three knows enough to plan it alone: each objects from its own side to
what is on the table, and when all say the same the talk is over."""

from graphs import group_chat
from nodes.until import agreement, rounds
from state import Envelope

DISHES = {"satay noodles": ("peanuts", 6), "mushroom risotto": ("milk", 9), "lentil curry": ("mustard", 5)}


def on_the_table(envelope: Envelope) -> str:
    said = "\n".join(envelope.context.values())
    return next(dish for dish in DISHES if f"No to {dish}" not in said)


async def chef(envelope: Envelope) -> str:
    return on_the_table(envelope)


async def dietician(envelope: Envelope) -> str:
    dish = on_the_table(envelope)
    return f"No to {dish}: a guest is allergic to peanuts." if "peanuts" in DISHES[dish] else dish


async def buyer(envelope: Envelope) -> str:
    dish = on_the_table(envelope)
    return f"No to {dish}: {DISHES[dish][1]} euros are too much." if DISHES[dish][1] > 7 else dish


graph = group_chat.build([chef, dietician, buyer], until=agreement(3) | rounds(4)).compile(name="menu")


def main() -> None:
    out = graph.invoke({"task": "Agree on a lunch for 45 guests, at most 7 euros each."})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, {o['output']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
