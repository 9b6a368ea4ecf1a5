-- The same columns read once, and nothing kept.
SELECT max(customer_id), max(time), count(channel), count(coupon_amount), count(amount), count(cancelled), count(refunds)
FROM orders;
SELECT max(customer_id), max(time), count(sku), count(category), count(quantity), count(amount) FROM items;
SELECT max(customer_id), max(time), count(type), count(sku), count(channel), count(category) FROM events;
