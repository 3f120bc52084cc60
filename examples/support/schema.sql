-- A shop that the support team works on. Any SQLite database with these tables will do; columns may be added.
-- Money is in cents of one currency. What must never happen is refused here, whoever writes.

CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name TEXT NOT NULL,
    address TEXT NOT NULL
);

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    placed_on TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('placed', 'packed', 'shipped', 'delivered', 'cancelled', 'returned')),
    address TEXT NOT NULL,
    carrier TEXT,
    tracking TEXT,
    expected_on TEXT,
    delivered_on TEXT
);
CREATE INDEX orders_of_customer ON orders (customer_id);

CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    title TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    unit_cents INTEGER NOT NULL CHECK (unit_cents >= 0)
);
CREATE INDEX items_of_order ON items (order_id);

CREATE TABLE payments (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    method TEXT NOT NULL,
    cents INTEGER NOT NULL CHECK (cents > 0),
    paid_on TEXT NOT NULL
);
CREATE INDEX payments_of_order ON payments (order_id);

CREATE TABLE tickets (
    id INTEGER PRIMARY KEY,
    thread TEXT NOT NULL UNIQUE,
    customer_id INTEGER REFERENCES customers (id),
    subject TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'escalated', 'closed')),
    opened_at TEXT NOT NULL DEFAULT (datetime('now'))
);

-- What was said, one row a turn. The score comes later: NULL until somebody has read the turn.
CREATE TABLE turns (
    ticket_id INTEGER NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 0),
    desk TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    status TEXT NOT NULL,
    score REAL CHECK (score BETWEEN 0 AND 1),
    remark TEXT NOT NULL DEFAULT '',
    readings INTEGER NOT NULL DEFAULT 0,
    ended_at TEXT NOT NULL DEFAULT (datetime('now')),
    PRIMARY KEY (ticket_id, number)
);

CREATE TABLE refunds (
    id INTEGER PRIMARY KEY,
    payment_id INTEGER NOT NULL REFERENCES payments (id),
    ticket_id INTEGER REFERENCES tickets (id) ON DELETE SET NULL,
    cents INTEGER NOT NULL CHECK (cents > 0),
    reason TEXT NOT NULL,
    made_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX refunds_of_payment ON refunds (payment_id);

CREATE TRIGGER refund_within_payment BEFORE INSERT ON refunds
WHEN NEW.cents + (SELECT COALESCE(SUM(cents), 0) FROM refunds WHERE payment_id = NEW.payment_id)
    > (SELECT cents FROM payments WHERE id = NEW.payment_id)
BEGIN
    SELECT RAISE(ABORT, 'refunds of a payment cannot exceed it');
END;

CREATE TRIGGER refund_stays BEFORE UPDATE ON refunds
BEGIN
    SELECT RAISE(ABORT, 'a refund cannot be changed');
END;

CREATE TRIGGER refund_is_kept BEFORE DELETE ON refunds
BEGIN
    SELECT RAISE(ABORT, 'a refund cannot be deleted');
END;

CREATE TRIGGER payment_covers_refunds BEFORE UPDATE OF cents ON payments
WHEN NEW.cents < (SELECT COALESCE(SUM(cents), 0) FROM refunds WHERE payment_id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'a payment cannot be less than what was refunded of it');
END;

CREATE TRIGGER shipped_stays_shipped BEFORE UPDATE OF status ON orders
WHEN NEW.status = 'cancelled' AND OLD.status NOT IN ('placed', 'packed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'an order that has left cannot be cancelled');
END;

CREATE TRIGGER address_until_packed BEFORE UPDATE OF address ON orders
WHEN OLD.status <> 'placed' AND NEW.address <> OLD.address
BEGIN
    SELECT RAISE(ABORT, 'the address can be changed until the order is packed');
END;
