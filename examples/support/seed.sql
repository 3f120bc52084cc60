-- A small shop. Dates count from the day on which the copy is made, so that the example never gets old.

INSERT INTO customers (id, email, name, address) VALUES
    (1, 'ada@example.com', 'Ada Lovelace', '12 St James''s Square, London SW1Y 4JH'),
    (2, 'grace@example.com', 'Grace Hopper', '1 Navy Yard, Arlington VA 22202'),
    (3, 'linus@example.com', 'Linus Pauling', '20 Ridge Road, Portland OR 97210');

INSERT INTO orders (id, customer_id, placed_on, status, address, carrier, tracking, expected_on, delivered_on) VALUES
    (1001, 1, date('now', '-40 days'), 'delivered', '12 St James''s Square, London SW1Y 4JH', 'DHL', 'JD0146001001', date('now', '-36 days'), date('now', '-35 days')),
    (1002, 2, date('now', '-12 days'), 'delivered', '1 Navy Yard, Arlington VA 22202', 'UPS', '1Z9991002', date('now', '-8 days'), date('now', '-8 days')),
    (1003, 1, date('now', '-3 days'), 'shipped', '12 St James''s Square, London SW1Y 4JH', 'DHL', 'JD0146001003', date('now', '+2 days'), NULL),
    (1004, 1, date('now', '-20 days'), 'delivered', '12 St James''s Square, London SW1Y 4JH', 'DHL', 'JD0146001004', date('now', '-16 days'), date('now', '-16 days')),
    (1005, 3, date('now', '-1 days'), 'placed', '20 Ridge Road, Portland OR 97210', NULL, NULL, date('now', '+4 days'), NULL),
    (1006, 1, date('now', '-9 days'), 'delivered', '12 St James''s Square, London SW1Y 4JH', 'DHL', 'JD0146001006', date('now', '-5 days'), date('now', '-5 days')),
    (1007, 1, date('now', '-1 days'), 'placed', '12 St James''s Square, London SW1Y 4JH', NULL, NULL, date('now', '+5 days'), NULL);

INSERT INTO items (order_id, title, quantity, unit_cents) VALUES
    (1001, 'Oak desk lamp', 1, 5900),
    (1002, 'Wool blanket', 2, 4500),
    (1003, 'Reading chair', 1, 24900),
    (1003, 'Felt glides, set of four', 1, 690),
    (1004, 'Ceramic mug', 2, 1450),
    (1005, 'Standing desk', 1, 48900),
    (1006, 'Bookshelf, walnut', 1, 18900),
    (1007, 'Linen cushion', 2, 2200);

INSERT INTO payments (id, order_id, method, cents, paid_on) VALUES
    (1, 1001, 'card', 5900, date('now', '-40 days')),
    (2, 1002, 'paypal', 9000, date('now', '-12 days')),
    (3, 1003, 'card', 25590, date('now', '-3 days')),
    (4, 1004, 'card', 2900, date('now', '-20 days')),
    (5, 1005, 'invoice', 48900, date('now', '-1 days')),
    (6, 1006, 'card', 10000, date('now', '-9 days')),
    (7, 1006, 'voucher', 8900, date('now', '-9 days')),
    (8, 1007, 'card', 4400, date('now', '-1 days'));

INSERT INTO tickets (id, thread, customer_id, subject, status) VALUES
    (1, 'by-phone-1', 1, 'One mug of order 1004 arrived chipped.', 'closed');

INSERT INTO refunds (payment_id, ticket_id, cents, reason) VALUES
    (4, 1, 500, 'A chipped mug, kept by the customer.');
