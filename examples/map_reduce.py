"""A morning's support mail is to be sorted. Each mail stands for itself and nobody knows how many there are: one branch for each,
all at once, and a list at the end."""

from typing import Literal

from pydantic import BaseModel

from graphs import map_reduce
from nodes import Agent


class Ticket(BaseModel):
    team: Literal["billing", "shipping", "technical"]
    urgent: bool


async def mails(task: str) -> dict[str, list[str]]:
    """Splits the mailbox at its lines of dashes."""
    return {"items": [mail.strip() for mail in task.split("---")[1:]]}


prompt = "You read one support mail. Say which team it is for, and whether it cannot wait until tomorrow."
sorter = Agent("sorter", "Sorts one mail.", prompt, response_format=Ticket)
graph = map_reduce.build(sorter, splitter=mails).compile(name="mail_sorting")


def main() -> None:
    mailbox = ["I was charged twice for invoice 88.", "My parcel was shipped to the wrong address, it is urgent!"]
    out = graph.invoke({"task": "---".join(["Sort these mails.", *mailbox, "The app crashes with a technical error."])})
    for result in out["structured"]["results"]:
        print(f"{result['structured']['team']:>9}{'!' if result['structured']['urgent'] else ' '} {result['item']}")
    for outcome in out["outcomes"]:
        print(f"- {outcome['id']}: {outcome['status']}, {outcome['usage']['model_calls']} model calls")


if __name__ == "__main__":
    main()
