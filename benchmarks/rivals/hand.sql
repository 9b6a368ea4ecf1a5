-- The standard set as a person who knows DuckDB well would write it, over the engine's tables: one pass over orders,
-- one over the year's items, one over all events and one over those of 90 days; sets of days as bits; ranks by windows.
CREATE TEMPORARY MACRO since(t) AS DATE '2026-01-01' - CAST(t + INTERVAL 8 HOUR AS DATE);

CREATE TABLE hand AS
WITH kept_orders AS (
  SELECT *, coalesce(NOT coalesce(cancelled, false) AND (amount = 0 OR kept_amount > 0), false) AS kept
  FROM (
    SELECT
      customer_id, time, pos, channel, coupon_amount, amount, cancelled,
      CASE
        WHEN refunds IS NULL THEN amount
        ELSE greatest(amount - coalesce(list_sum(list_transform(
          list_filter(refunds, lambda x: x.time <= TIMESTAMP '2026-01-01'), lambda x: x.amount)), 0), 0)
      END::DECIMAL(18, 2) AS kept_amount
    FROM orders WHERE time <= TIMESTAMP '2026-01-01'
  )
), o AS (
  SELECT
    customer_id,
    count(*) FILTER (kept) AS orders_count,
    count(*) FILTER (kept AND time > TIMESTAMP '2026-01-01' - INTERVAL 365 DAY) AS orders_365d,
    coalesce(sum(kept_amount) FILTER (kept), 0) AS spend_total,
    coalesce(sum(kept_amount) FILTER (kept AND time > TIMESTAMP '2026-01-01' - INTERVAL 30 DAY), 0) AS spend_30d,
    coalesce(sum(kept_amount) FILTER (kept AND time > TIMESTAMP '2026-01-01' - INTERVAL 90 DAY), 0) AS spend_90d,
    coalesce(sum(kept_amount) FILTER (kept AND time > TIMESTAMP '2026-01-01' - INTERVAL 365 DAY), 0) AS spend_365d,
    coalesce(sum(kept_amount) FILTER (kept AND time > TIMESTAMP '2026-01-01' - INTERVAL 180 DAY
      AND time <= TIMESTAMP '2026-01-01' - INTERVAL 90 DAY), 0) AS spend_before,
    min(time) FILTER (kept) AS first_order_at,
    max(time) FILTER (kept) AS last_order_at,
    bit_count(bitstring_agg(since(time), 0, 365)
      FILTER (kept AND time > TIMESTAMP '2026-01-01' - INTERVAL 365 DAY)) AS order_days_365d,
    count(*) FILTER (coupon_amount > 0 AND time > TIMESTAMP '2026-01-01' - INTERVAL 180 DAY) AS coupon_180d,
    count(*) FILTER (time > TIMESTAMP '2026-01-01' - INTERVAL 180 DAY) AS any_180d,
    count(*) FILTER (time > TIMESTAMP '2026-01-01' - INTERVAL 30 DAY) AS any_30d,
    count(*) FILTER (time > TIMESTAMP '2026-01-01' - INTERVAL 7 DAY) AS any_7d,
    arg_max(channel, pos) FILTER (channel IS NOT NULL) AS last_channel
  FROM kept_orders GROUP BY customer_id
), i AS (
  SELECT customer_id, sum(quantity) AS quantity_365d, count(DISTINCT sku) AS skus_365d
  FROM items WHERE time > TIMESTAMP '2026-01-01' - INTERVAL 365 DAY AND time <= TIMESTAMP '2026-01-01'
  GROUP BY customer_id
), c AS (
  SELECT customer_id, arg_min(category, (-m, -epoch_us(t), category)) AS top_category
  FROM (
    SELECT customer_id, category, sum(amount) AS m, max(time) AS t
    FROM items
    WHERE time > TIMESTAMP '2026-01-01' - INTERVAL 365 DAY AND time <= TIMESTAMP '2026-01-01' AND category IS NOT NULL
    GROUP BY customer_id, category
  ) GROUP BY customer_id
), a AS (
  SELECT
    customer_id,
    max(time) AS last_event_at,
    fsum(CASE WHEN category = 'c-07' THEN
      pow(0.5, (epoch_us(TIMESTAMP '2026-01-01') - epoch_us(time)) / 2592000000000.0) END) AS interest,
    arg_max(sku, pos) FILTER (type = 'view' AND sku IS NOT NULL) AS last_viewed
  FROM events WHERE time <= TIMESTAMP '2026-01-01' GROUP BY customer_id
), e AS (
  SELECT
    customer_id,
    count(*) FILTER (time > TIMESTAMP '2026-01-01' - INTERVAL 7 DAY) AS events_7d,
    count(*) FILTER (type = 'add_to_cart' AND time > TIMESTAMP '2026-01-01' - INTERVAL 7 DAY) AS carts_7d,
    count(*) FILTER (time > TIMESTAMP '2026-01-01' - INTERVAL 30 DAY) AS events_30d,
    count(*) FILTER (type = 'view' AND time > TIMESTAMP '2026-01-01' - INTERVAL 30 DAY) AS views_30d,
    count(*) FILTER (type = 'coupon_used' AND time > TIMESTAMP '2026-01-01' - INTERVAL 30 DAY) AS coupons_30d,
    count(*) FILTER (type = 'add_to_cart') AS carts_90d,
    bit_count(bitstring_agg(since(time), 0, 91)
      FILTER (time > TIMESTAMP '2026-01-01' - INTERVAL 30 DAY)) AS active_days_30d,
    bit_count(bitstring_agg(since(time), 0, 91)) AS active_days_90d
  FROM events WHERE time > TIMESTAMP '2026-01-01' - INTERVAL 90 DAY AND time <= TIMESTAMP '2026-01-01'
  GROUP BY customer_id
), h AS (
  SELECT customer_id, count(*) AS channels_90d, arg_min(channel, (-m, -epoch_us(t), channel)) AS top_channel
  FROM (
    SELECT customer_id, channel, count(*) AS m, max(time) AS t
    FROM events
    WHERE time > TIMESTAMP '2026-01-01' - INTERVAL 90 DAY AND time <= TIMESTAMP '2026-01-01' AND channel IS NOT NULL
    GROUP BY customer_id, channel
  ) GROUP BY customer_id
), wide AS MATERIALIZED (
  SELECT
    k.customer_id, b.city,
    coalesce(orders_count, 0) AS orders_count, coalesce(orders_365d, 0) AS orders_365d,
    coalesce(spend_total, 0) AS spend_total, coalesce(spend_30d, 0) AS spend_30d, coalesce(spend_90d, 0) AS spend_90d,
    coalesce(spend_365d, 0) AS spend_365d, coalesce(spend_before, 0) AS spend_before,
    spend_total::DOUBLE / nullif(orders_count, 0) AS avg_ticket,
    first_order_at, last_order_at,
    (epoch_us(last_order_at) - epoch_us(first_order_at)) / 86400000000.0 / nullif(orders_count - 1, 0) AS order_gap,
    coalesce(order_days_365d, 0) AS order_days_365d, coupon_180d / nullif(any_180d, 0) AS coupon_share_180d, last_channel,
    coalesce(quantity_365d, 0) AS quantity_365d, coalesce(skus_365d, 0) AS skus_365d, top_category, last_event_at,
    coalesce(events_7d, 0) AS events_7d, coalesce(events_30d, 0) AS events_30d, coalesce(views_30d, 0) AS views_30d,
    coalesce(carts_90d, 0) AS carts_90d, coalesce(active_days_30d, 0) AS active_days_30d,
    coalesce(active_days_90d, 0) AS active_days_90d, coalesce(channels_90d, 0) AS channels_90d, top_channel,
    coalesce(interest, 0) AS interest, last_viewed, since(last_order_at) AS order_age, since(last_event_at) AS event_age,
    coalesce(carts_7d, 0) AS carts_7d, coalesce(coupons_30d, 0) AS coupons_30d,
    coalesce(any_30d, 0) AS any_30d, coalesce(any_7d, 0) AS any_7d
  FROM known_customers AS k
  LEFT JOIN o USING (customer_id) LEFT JOIN i USING (customer_id) LEFT JOIN c USING (customer_id)
  LEFT JOIN a USING (customer_id) LEFT JOIN e USING (customer_id) LEFT JOIN h USING (customer_id)
  LEFT JOIN (SELECT customer_id, arg_max(city, pos) AS city FROM customer_records GROUP BY customer_id) AS b
    USING (customer_id)
  WHERE known_since IS NULL OR known_since <= TIMESTAMP '2026-01-01'
), q AS (
  SELECT
    customer_id,
    CASE WHEN order_age IS NOT NULL THEN
      5 - least(4, 5 * (rank() OVER (PARTITION BY order_age IS NULL ORDER BY order_age) - 1)
        // count(*) OVER (PARTITION BY order_age IS NULL)) END AS r,
    1 + least(4, 5 * (rank() OVER (ORDER BY orders_365d) - 1) // count(*) OVER ()) AS f,
    1 + least(4, 5 * (rank() OVER (ORDER BY spend_365d) - 1) // count(*) OVER ()) AS m
  FROM wide WHERE orders_365d > 0
), p AS (
  SELECT
    customer_id,
    1000 * (rank() OVER (PARTITION BY city ORDER BY spend_365d) - 1) // count(*) OVER (PARTITION BY city) AS city_place
  FROM wide WHERE city IS NOT NULL
), graded AS (
  SELECT
    wide.*, r, f, m, city_place,
    CASE WHEN spend_365d >= 1500 THEN 'diamond' WHEN spend_365d >= 500 THEN 'gold' WHEN spend_365d >= 100 THEN 'silver'
      ELSE 'member' END AS grade
  FROM wide LEFT JOIN q USING (customer_id) LEFT JOIN p USING (customer_id)
)
SELECT
  * EXCLUDE (city, spend_before, order_age, event_age, carts_7d, coupons_30d, any_30d, any_7d, city_place),
  coalesce(grade IN ('diamond', 'gold') AND order_age > 60 AND coupons_30d = 0, false) AS lapsing_vip,
  2 * spend_90d < spend_before AS spend_halved,
  coalesce(orders_count = 1 AND order_age > 30 AND order_age <= 120, false) AS one_order_only,
  coalesce(coupon_share_180d >= 0.6, false) AS coupon_lovers,
  coalesce(order_age > 1.2 * order_gap, false) AS overdue,
  coalesce(r >= 4 AND f >= 4 AND m >= 4, false) AS rfm_best,
  carts_7d > 0 AND any_7d = 0 AS cart_left,
  coalesce(city_place >= 800, false) AS city_top,
  views_30d >= 5 AND any_30d = 0 AS browsers,
  coalesce(top_channel = 'app' AND active_days_30d >= 4, false) AS app_people,
  CASE WHEN orders_count = 0 THEN 'prospect' WHEN orders_count = 1 AND since(first_order_at) <= 60 THEN 'new'
    WHEN orders_365d >= 6 AND order_days_365d >= 4 AND order_age <= 90 THEN 'loyal'
    WHEN order_age <= 90 OR event_age <= 30 THEN 'active' WHEN order_age <= 365 OR event_age <= 90 THEN 'dormant'
    ELSE 'lost' END AS lifecycle,
  CASE WHEN active_days_30d >= 10 THEN 'hot' WHEN active_days_30d >= 3 THEN 'warm' WHEN active_days_90d >= 1 THEN 'cool'
    ELSE 'cold' END AS engagement
FROM graded;
