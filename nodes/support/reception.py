"""Reception: where a support conversation arrives. Finds the customer, opens the ticket, reads the mood."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from nodes.support.mood import read_mood
from nodes.threads import in_thread
from state.errors import ConfigurationError
from state.run import run_of
from tools.shop.desks import Counter, serving
from tools.shop.example import PLACE, example_shop
from tools.shop.shop import Balance, Customer, Shop, emails_in, open_shop


class Reception:
    """The node that begins every turn of a support team.

    Args:
        shop: Path of the shop; None is the example's copy.
        customer: Id or e-mail address of the customer, where that is known from elsewhere.
    """

    def __init__(self, shop: str | Path | None, customer: str | int | None) -> None:
        self._path, self._customer = shop, customer

    def shop(self) -> Shop:
        """Return the shop, after a look at the file."""
        return open_shop(self._path if self._path is not None else example_shop())

    async def __call__(self, state: Mapping[str, Any], runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:  # noqa: ARG002
        """Say whose case it is and how it stands."""
        run, goal, pending = run_of(config), state["goal"], state.get("pending", "")
        thread, turn = (run.thread, run.turn) if run is not None else ("", "")
        ticket, customer, balances, tried = await in_thread(self._look_up, state, thread, turn)
        earlier = [m.text for m in state.get("messages", [])[:-1] if isinstance(m, HumanMessage)]
        mood = read_mood(goal, earlier, state.get("mood", 0))
        update: dict[str, Any] = {
            "number": state.get("number", 0) + 1,
            "ticket": ticket,
            "customer": customer._asdict() if customer is not None else None,
            "balances": {str(order): list(balance) for order, balance in balances.items()},
            "mood": mood.points,
            "signals": mood.signals,
            "tried": [] if customer is not None else [*state.get("tried", []), *tried],
        }
        if pending and customer is not None:  # now that we know who asked, what was asked is worked on
            update |= {"goal": pending, "active": state["waiting"], "waiting": "", "pending": ""}
        return update

    def _look_up(
        self, state: Mapping[str, Any], thread: str, turn: str
    ) -> tuple[int, Customer | None, dict[int, Balance], list[str]]:
        """Return ticket, customer, balances, and addresses that no customer has.

        Whose conversation it is, its own state says and nothing in the shop: another may have had the name of its thread.
        """
        shop, goal, known, tried = self.shop(), state["goal"], state.get("customer"), list[str]()
        customer, given = shop.find_customer(known["email"]) if known else None, self._given(shop)
        if customer is not None and given is not None and customer != given:
            raise ConfigurationError(f"customer: thread {thread!r} is another customer's; take a thread of its own")
        if customer is None:
            found = [given] if given is not None else [shop.find_customer(address) for address in emails_in(goal)]
            customer = next((one for one in found if one is not None), None)
            tried = emails_in(goal) if customer is None else []
        ticket = self._ticket(shop, state, f"{thread} {turn}".strip(), customer)
        return ticket, customer, shop.balances(customer.id) if customer is not None else {}, tried

    def _ticket(self, shop: Shop, state: Mapping[str, Any], conversation: str, customer: Customer | None) -> int:
        """Return the ticket that the state names, or a new one where it names none that this customer can have."""
        ticket, owner = state.get("ticket"), customer.id if customer is not None else None
        if ticket is None or not shop.has_ticket(ticket, owner):
            ticket = shop.open_ticket(conversation, state["goal"])
        if owner is not None:
            shop.assign(ticket, owner)
        return int(ticket)

    def _given(self, shop: Shop) -> Customer | None:
        if self._customer is None:
            return None
        found = shop.find_customer(self._customer)
        if found is None:
            raise ConfigurationError(f"customer: the shop {str(shop.path)!r} has no customer {self._customer!r}")
        return found

    def counter(self, state: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Make the customer of a turn the one whose affairs the tools reach within."""
        customer = Customer(**state["customer"]) if state["customer"] else None
        before = {int(order): Balance(*balance) for order, balance in state["balances"].items()}
        place = (
            self._path if self._path is not None else PLACE
        )  # seen to by the reception: here it would block the loop
        return serving(Counter(Shop(Path(place).expanduser()), customer, state["ticket"], before))
