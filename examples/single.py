"""A customer asks where an order is. One agent with one tool can tell, so one agent it is: nothing else is as cheap."""

from graphs import single
from nodes import Agent

ORDERS = {1042: "was shipped on 3 March and arrives on 6 March", 1043: "waits for its payment"}


def find_order(order: int) -> str:
    """Find an order by its number and say where it is."""
    return f"Order {order} {ORDERS.get(order, 'is unknown')}."


clerk = Agent(
    "clerk",
    "Answers questions about orders.",
    "You answer customers' questions about their orders, in one friendly sentence. Look every order up; guess nothing.",
    tools=[find_order],
)
graph = single.build(clerk).compile(name="order_desk")


def main() -> None:
    out = graph.invoke({"task": "Where is my order 1042?"})
    print(out["answer"] or out["reason"])
    for outcome in out["outcomes"]:
        print(f"- {outcome['id']}: {outcome['status']}, {outcome['usage']['tool_calls']} tool calls")


if __name__ == "__main__":
    main()
