"""Can 20 chairs be delivered? Whom to ask next shows only from the last reply: the supplier matters only where the warehouse has
too few. The supervisor is a rule here; with an Agent in its place, or with none given, a model decides."""

import re

from graphs import supervisor
from nodes.decisions import Delegation, Finish
from state import Envelope


async def warehouse(task: str) -> str:
    """Counts what is in stock."""
    return "Found 14 chairs in stock." if "chairs" in task else "Found nothing."


async def supplier(task: str) -> str:
    """Knows what can be delivered, and when."""
    return f"Found {min(10, *map(int, re.findall('[0-9]+', task)))} chairs that can come on 8 May."


async def dispatcher(envelope: Envelope) -> Delegation | Finish:
    """Asks one after the other until there are enough."""
    found = [int(number) for number in re.findall(r"Found (\d+) chairs", envelope.context["Results so far"])]
    if not found or (sum(found) < 20 and len(found) == 1):
        who = "supplier" if found else "warehouse"
        return Delegation(agent=who, task=f"How many chairs do you have? {20 - sum(found)} are missing.")
    return Finish(answer=f"We have {' + '.join(map(str, found))} = {sum(found)} of 20 chairs.")


graph = supervisor.build([warehouse, supplier], supervisor=dispatcher).compile(name="delivery")


def main() -> None:
    out = graph.invoke({"task": "Can we deliver 20 chairs?"})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, {o['output']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
