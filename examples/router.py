"""Questions come in to one address and are for different desks. A router reads each once and passes it on; what is for nobody
goes to the front desk."""

import re

from graphs import router
from nodes import Agent

DUE = {"88": "is due on 1 April", "91": "was paid on 12 March"}
NOTES = "The workshop is open from 9 to 17 o'clock. The repair of a bicycle takes three days."


async def invoices(task: str) -> str:
    """Looks up invoices: what is due, what is paid."""
    return " ".join(f"Invoice {number} {DUE.get(number, 'is unknown')}." for number in re.findall(r"\d+", task))


async def front_desk(task: str) -> str:
    """Takes what is for nobody else."""
    return f"A colleague will call you back. You asked: {task}"


workshop = Agent("workshop", "Repairs bicycles.", f"You answer for the workshop from its notes.\n\nNotes:\n{NOTES}")
graph = router.build([invoices, workshop], default=front_desk).compile(name="desks")


def main() -> None:
    for task in ("Is my invoice 91 paid?", "How long does a bicycle repair take?", "Do you like opera?"):
        out = graph.invoke({"task": task})
        print(f"{task} {out['answer']}")
        print(*(f"- {outcome['id']}: {outcome['status']}" for outcome in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
