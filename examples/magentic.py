"""Who approved the budget of the Lisbon trip? Nobody knows where that is written, so no plan survives: a manager keeps a ledger
of facts and one of progress, sends one worker after the other, and plans anew where it is stuck."""

from graphs import magentic
from nodes import Agent

MINUTES = "Minutes of 4 May. The budget of the Porto trip was discussed. The Lisbon trip was put off."
MAIL = "From Ines, 9 May: I approved the budget of the Lisbon trip, 3400 euros. See you there."


def about_lisbon(text: str) -> str:
    lines = [line for line in text.split(". ") if "Lisbon" in line and "approved" in line]
    return ". ".join(lines) or "The documents do not say who approved it."


async def minutes(task: str) -> str:
    """Searches the minutes of meetings for what was approved: budgets, trips."""
    return about_lisbon(MINUTES)


async def mailbox(task: str) -> str:
    """Searches mail."""
    return about_lisbon(MAIL)


manager = Agent("manager", "Leads the search.", "You lead a search. Believe only what a worker found in a document.")
graph = magentic.build([minutes, mailbox], manager=manager).compile(name="search_party")


def main() -> None:
    out = graph.invoke({"task": "Who approved the budget of the Lisbon trip?"})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, {o['output'][:90]}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
