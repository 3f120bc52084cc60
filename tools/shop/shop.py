"""A shop in SQLite: customers, orders, items, payments, refunds, and the tickets of its support.

Any database with the tables of `examples/support/schema.sql` will do. What must never happen, such as a refund of more than was
paid, is refused by the database itself; here it becomes a sentence.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from state.errors import ConfigurationError, StorageUnavailable

TABLES = {
    "customers": {"id", "email", "name", "address"},
    "orders": {"id", "customer_id", "placed_on", "status", "address", "carrier", "tracking", "expected_on"},
    "items": {"order_id", "title", "quantity", "unit_cents"},
    "payments": {"id", "order_id", "method", "cents", "paid_on"},
    "refunds": {"id", "payment_id", "ticket_id", "cents", "reason", "made_at"},
    "tickets": {"id", "thread", "customer_id", "subject", "status"},
    "turns": {"ticket_id", "number", "desk", "question", "answer", "status", "score", "remark", "readings"},
}
"""Tables and the columns that are used."""

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_BUSY_SECONDS = 30.0


class Customer(NamedTuple):
    """Who is served."""

    id: int
    email: str
    name: str


class Balance(NamedTuple):
    """What was paid for an order and what of it was paid back, in cents."""

    paid: int
    refunded: int

    @property
    def left(self) -> int:
        """Return what can still be paid back."""
        return self.paid - self.refunded


@dataclass(frozen=True)
class Shop:
    """A shop's database. It is opened for each question and closed again, so that any process may use it at any time.

    Args:
        path: Of the SQLite file.
    """

    path: Path

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that is in no transaction and holds to foreign keys.

        Raises:
            StorageUnavailable: The file cannot be opened, or is busy, full or read-only.
        """
        try:
            with closing(
                sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", _BUSY_SECONDS, uri=True)
            ) as database:
                database.isolation_level = None
                database.row_factory = sqlite3.Row
                database.execute("PRAGMA foreign_keys = ON")
                yield database
        except sqlite3.OperationalError as error:
            remedy = "Check that the file is there and can be written, then resume"
            raise StorageUnavailable(
                f"the shop cannot be used: {error}", location=str(self.path), remedy=remedy
            ) from error

    def find_customer(self, who: str | int) -> Customer | None:
        """Return a customer by id or e-mail address."""
        number = who if isinstance(who, int) else int(who) if who.strip().isdigit() else None
        row = self._one("SELECT id, email, name FROM customers WHERE id = ? OR email = ?", (number, str(who).strip()))
        return None if row is None else Customer(*row)

    def balances(self, customer: int) -> dict[int, Balance]:
        """Return what was paid and refunded for each order of a customer."""
        rows = self._all(
            "SELECT o.id, COALESCE(SUM(p.cents), 0), COALESCE(SUM((SELECT SUM(r.cents) FROM refunds r WHERE r.payment_id = "
            "p.id)), 0) FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.customer_id = ? GROUP BY o.id",
            (customer,),
        )
        return {row[0]: Balance(row[1], row[2]) for row in rows}

    def orders(self, customer: int) -> list[sqlite3.Row]:
        """Return the orders of a customer, the latest first."""
        return self._all("SELECT * FROM orders WHERE customer_id = ? ORDER BY placed_on DESC, id DESC", (customer,))

    def order(self, customer: int, order: int) -> sqlite3.Row | None:
        """Return one order of a customer; None for a number that is nobody's or somebody else's."""
        return self._one("SELECT * FROM orders WHERE id = ? AND customer_id = ?", (order, customer))

    def items(self, order: int) -> list[sqlite3.Row]:
        """Return what was ordered."""
        return self._all("SELECT * FROM items WHERE order_id = ? ORDER BY id", (order,))

    def payments(self, order: int) -> list[sqlite3.Row]:
        """Return the payments of an order, each with what was `refunded` of it."""
        return self._all(PAYMENTS, (order,))

    def open_ticket(self, conversation: str, subject: str) -> int:
        """Return the ticket of a conversation, opening it when it is new.

        Args:
            conversation: What no other has, not even one that is in a thread of the same name later.
            subject: What it is about.
        """
        with self.connect() as database:
            database.execute(
                "INSERT INTO tickets (thread, subject) VALUES (?, ?) ON CONFLICT (thread) DO NOTHING",
                (conversation, subject[:200]),
            )
            return int(database.execute("SELECT id FROM tickets WHERE thread = ?", (conversation,)).fetchone()[0])

    def has_ticket(self, ticket: int, customer: int | None) -> bool:
        """Whether a ticket is there, and no other customer's."""
        sql = "SELECT 1 FROM tickets WHERE id = ? AND (customer_id IS NULL OR customer_id = ?)"
        return self._one(sql, (ticket, customer)) is not None

    def customer_of(self, ticket: int) -> Customer | None:
        """Return who a ticket belongs to, once that is known."""
        row = self._one(
            "SELECT c.id, c.email, c.name FROM tickets t JOIN customers c ON c.id = t.customer_id WHERE t.id = ?",
            (ticket,),
        )
        return None if row is None else Customer(*row)

    def assign(self, ticket: int, customer: int) -> None:
        """Note whose ticket it is. Who it belongs to once, it belongs to for good."""
        self._change("UPDATE tickets SET customer_id = ? WHERE id = ? AND customer_id IS NULL", (customer, ticket))

    def set_status(self, ticket: int, status: str) -> None:
        """Note where a ticket stands: open, escalated or closed."""
        self._change("UPDATE tickets SET status = ? WHERE id = ?", (status, ticket))

    def note_turn(self, ticket: int, number: int, *, desk: str, question: str, answer: str, status: str) -> None:
        """Keep a turn to be scored later. Kept twice, it is one turn."""
        self._change(
            "INSERT INTO turns (ticket_id, number, desk, question, answer, status) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (ticket_id, number) DO NOTHING",
            (ticket, number, desk, question, answer, status),
        )

    def begin_reading(self, most: int, tries: int) -> list[sqlite3.Row]:
        """Return turns that nobody has scored, the latest first, and count the try.

        Args:
            most: How many.
            tries: How often one is tried before it is left alone.
        """
        with self.connect() as database:
            database.execute("BEGIN IMMEDIATE")
            rows = database.execute(
                "SELECT ticket_id, number, desk, question, answer, status FROM turns WHERE score IS NULL AND readings < ? "
                "ORDER BY ended_at DESC, number DESC LIMIT ?",
                (tries, most),
            ).fetchall()
            for row in rows:
                database.execute(
                    "UPDATE turns SET readings = readings + 1 WHERE ticket_id = ? AND number = ?", tuple(row)[:2]
                )
            database.execute("COMMIT")
            return rows

    def score(self, ticket: int, number: int, score: float, remark: str) -> None:
        """Keep the score of a turn, 0 to 1. The first one stays."""
        self._change(
            "UPDATE turns SET score = ?, remark = ? WHERE ticket_id = ? AND number = ? AND score IS NULL",
            (score, remark, ticket, number),
        )

    def scores(self, ticket: int) -> list[dict[str, Any]]:
        """Return `{number, desk, score, remark}` of the turns of a ticket that were scored, in order."""
        rows = self._all(
            "SELECT number, desk, score, remark FROM turns WHERE ticket_id = ? AND score IS NOT NULL ORDER BY number",
            (ticket,),
        )
        return [dict(row) for row in rows]

    def _all(self, sql: str, params: tuple[Any, ...]) -> list[sqlite3.Row]:
        with self.connect() as database:
            return database.execute(sql, params).fetchall()

    def _one(self, sql: str, params: tuple[Any, ...]) -> sqlite3.Row | None:
        found = self._all(sql, params)
        return found[0] if found else None

    def _change(self, sql: str, params: tuple[Any, ...]) -> None:
        with self.connect() as database:
            database.execute(sql, params)


PAYMENTS = (
    "SELECT p.*, COALESCE((SELECT SUM(r.cents) FROM refunds r WHERE r.payment_id = p.id), 0) AS refunded "
    "FROM payments p WHERE p.order_id = ? ORDER BY p.id"
)


def open_shop(path: str | Path) -> Shop:
    """Return the shop in a database, after a look at its tables.

    Raises:
        ConfigurationError: There is no such file, or it lacks a table or a column.
    """
    shop = Shop(Path(path).expanduser())
    if not shop.path.is_file():
        raise ConfigurationError(f"shop: expected an SQLite file, found none at {str(shop.path)!r}")
    try:
        with shop.connect() as database:
            found = {name: {row["name"] for row in database.execute(f"PRAGMA table_info({name})")} for name in TABLES}
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"shop: {str(shop.path)!r} is no SQLite database: {error}") from None
    lacking = {name: sorted(columns - found[name]) for name, columns in TABLES.items() if columns - found[name]}
    if lacking:
        shown = "; ".join(f"{name}: {', '.join(columns)}" for name, columns in lacking.items())
        raise ConfigurationError(
            f"shop: {str(shop.path)!r} lacks columns ({shown}); examples/support/schema.sql says what is needed"
        )
    return shop


def emails_in(text: str) -> list[str]:
    """Return the e-mail addresses in a text."""
    return _EMAIL.findall(text)


def money(cents: int) -> str:
    """Return an amount as people write it, such as `12.50 EUR`."""
    return f"{cents // 100}.{cents % 100:02d} EUR"
