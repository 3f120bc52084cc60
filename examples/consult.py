"""A clerk answers letters and needs to know one thing from a colleague on the way. The clerk keeps the task, and the colleague is
asked one question and told nothing else: a consultation, not a handoff."""

from graphs import single
from nodes import Agent
from tools import create_consult_tool

RETURNS = "A lamp can be returned within 14 days. A chair can be returned within 30 days."
REPAIRS = "Chairs are repaired in three days. Lamps are sent to the maker."

returns = Agent(
    "returns", "Knows which products can be returned, and how long.", f"Give the rule.\n\nNotes:\n{RETURNS}"
)
repairs = Agent("repairs", "Knows what is repaired, and how fast.", f"Answer for the workshop.\n\nNotes:\n{REPAIRS}")
colleagues = [returns, repairs]
known = "\n".join(f"- {colleague.name}: {colleague.description}" for colleague in colleagues)
clerk = Agent(
    "clerk",
    "Answers letters.",
    f"You answer letters. Where you do not know a rule, consult a colleague.\n\nAgents:\n{known}",
    tools=[create_consult_tool(colleagues)],
)
graph = single.build(clerk).compile(name="letters")


def main() -> None:
    out = graph.invoke({"task": "How long can a lamp be returned?"})
    print(out["answer"] or out["reason"])
    for outcome in out["outcomes"]:
        print(f"- {outcome['id']}: {outcome['status']}, {outcome['usage']['tool_calls']} tool calls")


if __name__ == "__main__":
    main()
