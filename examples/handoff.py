"""A customer writes to the reception and needs another desk. Whoever has the rights and the knowledge is to go on from there, so
control itself moves: the reception hands over, and the desk answers, in the next turn as well."""

from graphs import handoff
from nodes import Agent

PAID = {88: "was charged twice, 40 euros too much", 91: "was paid on 12 March"}


def find_invoice(invoice: int) -> str:
    """Find an invoice by its number and say what was paid or charged."""
    return f"Invoice {invoice} {PAID.get(invoice, 'is unknown')}."


reception = Agent("reception", "Greets people.", "You welcome people. Hand over what another desk knows better.")
billing = Agent(
    "billing",
    "Answers for invoices: what was charged, what was paid, what is paid back.",
    "You answer for invoices. Look up the invoice before you say anything of it.",
    tools=[find_invoice],
)
graph = handoff.build([reception, billing], entry="reception").compile(name="desks")


def main() -> None:
    out = graph.invoke({"task": "Was invoice 88 charged twice?"})
    print(out["answer"] or out["reason"])
    for outcome in out["outcomes"]:
        print(f"- {outcome['id']}: {outcome['status']}, {outcome['usage']['tool_calls']} tool calls")


if __name__ == "__main__":
    main()
