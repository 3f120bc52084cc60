"""Who approved the budget of the Lisbon trip? Nobody knows where that is written, so a plan may lead nowhere: a manager keeps a
ledger of facts and one of progress, sends one worker after the other, and plans anew where it is stuck."""

from graphs import magentic
from nodes import Agent

MINUTES = "Minutes of 4 May. The budget of the Porto trip was discussed. The Lisbon trip was put off."
MAIL = "Ines approved the budget of the Lisbon trip on 9 May: 3400 euros. She will bring sun cream."


def find(task: str, text: str) -> str:
    wanted = {word for word in task.lower().split() if len(word) > 4}
    found = [line for line in text.split(". ") if len(wanted & set(line.lower().split())) > 2]
    return ". ".join(found) or "Nothing was found."


async def minutes(task: str) -> str:
    """Searches the minutes of meetings."""
    return find(task, MINUTES)


async def mailbox(task: str) -> str:
    """Searches mail: who wrote, asked for or approved something."""
    return find(task, MAIL)


manager = Agent("manager", "Leads the search.", "You lead a search. Believe only what a worker found in a document.")
graph = magentic.build([minutes, mailbox], manager=manager).compile(name="search_party")


def main() -> None:
    out = graph.invoke({"task": "Who approved the budget of the Lisbon trip?"})
    print(out["answer"], *(f"- {o['id']} by {o['agent']}: {o['status']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
