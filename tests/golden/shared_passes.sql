-- spine1$
SELECT
  "customer_id" AS "key$",
  "customer_id",
  "customer_key"
FROM "known_customers"
WHERE
  "known_since" IS NULL
  OR "known_since" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP);

-- asked
SELECT
  "customer_id",
  CAST('2026-06-30 16:00:00' AS TIMESTAMP) AS as_of,
  "orders_90d",
  "spend_90d",
  "spend_before",
  "last_month",
  "first_channel",
  "views",
  "halved"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."customer_key",
    "t"."orders_90d",
    "t"."spend_90d",
    "t"."spend_before",
    "t"."last_month",
    "t"."first_channel",
    "t"."views",
    "t"."halved"
  FROM (
    SELECT
      t.*,
      CAST(COALESCE(
        CAST("t"."spend_90d" AS DECIMAL(38, 6)) < CAST(TRY_CAST((
          CAST(CAST('0.5' AS DECIMAL(18, 6)) AS DECIMAL(38, 6)) * CAST("t"."spend_before" AS DECIMAL(38, 2))
        ) AS DECIMAL(18, 6)) AS DECIMAL(38, 6)),
        FALSE
      ) AS BOOLEAN) AS "halved"
    FROM (
      SELECT
        t.*,
        CAST("t"."a0$" AS BIGINT) AS "orders_90d",
        CAST("t"."a1$" AS DECIMAL(18, 2)) AS "spend_90d",
        CAST("t"."a2$" AS DECIMAL(18, 2)) AS "spend_before",
        CAST("t"."a3$" AS BIGINT) AS "last_month",
        CAST("t"."a4$" AS TEXT) AS "first_channel",
        CAST("t"."a5$" AS BIGINT) AS "views"
      FROM (
        SELECT
          t.*,
          COALESCE("q0"."a0$", CAST(0 AS BIGINT)) AS "a0$",
          CASE WHEN "q0"."key$" IS NULL THEN CAST(0 AS DECIMAL(18, 2)) ELSE "q0"."a1$" END AS "a1$",
          CASE WHEN "q1"."key$" IS NULL THEN CAST(0 AS DECIMAL(18, 2)) ELSE "q1"."a2$" END AS "a2$",
          COALESCE("q2"."a3$", CAST(0 AS BIGINT)) AS "a3$",
          "q3"."a4$" AS "a4$",
          COALESCE("q4"."a5$", CAST(0 AS BIGINT)) AS "a5$"
        FROM spine1$ AS t
        LEFT JOIN (
          SELECT
            "r"."customer_id" AS "key$",
            COUNT(*) FILTER(WHERE
              (
                "r"."time" > CAST('2026-04-01 16:00:00' AS TIMESTAMP)
                AND (
                  COALESCE(
                    (
                      NOT (
                        COALESCE("r"."cancelled", FALSE)
                      )
                      AND (
                        "r"."amount" = 0
                        OR CASE
                          WHEN "r"."amount" IS NULL
                          THEN NULL
                          WHEN "r"."refunds" IS NULL
                          THEN GREATEST("r"."amount", CAST(0 AS DECIMAL(18, 2)))
                          ELSE TRY_CAST(GREATEST(
                            (
                              "r"."amount" - COALESCE(
                                LIST_SUM(
                                  LIST_TRANSFORM(
                                    LIST_FILTER("r"."refunds", LAMBDA x : x.time <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
                                    LAMBDA x : x.amount
                                  )
                                ),
                                0
                              )
                            ),
                            0
                          ) AS DECIMAL(18, 2))
                        END > 0
                      )
                    ),
                    FALSE
                  )
                )
              )) AS "a0$",
            TRY_CAST(COALESCE(
              SUM(
                CASE
                  WHEN "r"."amount" IS NULL
                  THEN NULL
                  WHEN "r"."refunds" IS NULL
                  THEN GREATEST("r"."amount", CAST(0 AS DECIMAL(18, 2)))
                  ELSE TRY_CAST(GREATEST(
                    (
                      "r"."amount" - COALESCE(
                        LIST_SUM(
                          LIST_TRANSFORM(
                            LIST_FILTER("r"."refunds", LAMBDA x : x.time <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
                            LAMBDA x : x.amount
                          )
                        ),
                        0
                      )
                    ),
                    0
                  ) AS DECIMAL(18, 2))
                END
              ) FILTER(WHERE
                "r"."time" > CAST('2026-04-01 16:00:00' AS TIMESTAMP)),
              CAST(0 AS DECIMAL(18, 2))
            ) AS DECIMAL(18, 2)) AS "a1$"
          FROM orders AS r
          WHERE
            "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            AND "r"."time" >= CAST('2026-04-01 16:00:00' AS TIMESTAMP)
          GROUP BY
            "r"."customer_id"
        ) AS q0
          ON "q0"."key$" = "t"."key$"
        LEFT JOIN (
          SELECT
            "r"."customer_id" AS "key$",
            TRY_CAST(COALESCE(
              SUM(
                CASE
                  WHEN "r"."amount" IS NULL
                  THEN NULL
                  WHEN "r"."refunds" IS NULL
                  THEN GREATEST("r"."amount", CAST(0 AS DECIMAL(18, 2)))
                  ELSE TRY_CAST(GREATEST(
                    (
                      "r"."amount" - COALESCE(
                        LIST_SUM(
                          LIST_TRANSFORM(
                            LIST_FILTER("r"."refunds", LAMBDA x : x.time <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
                            LAMBDA x : x.amount
                          )
                        ),
                        0
                      )
                    ),
                    0
                  ) AS DECIMAL(18, 2))
                END
              ) FILTER(WHERE
                (
                  "r"."time" > CAST('2026-01-01 16:00:00' AS TIMESTAMP)
                  AND "r"."time" <= CAST('2026-04-01 16:00:00' AS TIMESTAMP)
                )),
              CAST(0 AS DECIMAL(18, 2))
            ) AS DECIMAL(18, 2)) AS "a2$"
          FROM orders AS r
          WHERE
            "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            AND "r"."time" >= CAST('2026-01-01 16:00:00' AS TIMESTAMP)
          GROUP BY
            "r"."customer_id"
        ) AS q1
          ON "q1"."key$" = "t"."key$"
        LEFT JOIN (
          SELECT
            "r"."customer_id" AS "key$",
            COUNT(*) FILTER(WHERE
              (
                "r"."time" >= CAST('2026-05-31 16:00:00' AS TIMESTAMP)
                AND "r"."time" < CAST('2026-06-30 16:00:00' AS TIMESTAMP)
              )) AS "a3$"
          FROM orders AS r
          WHERE
            "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            AND "r"."time" >= CAST('2026-05-31 16:00:00' AS TIMESTAMP)
          GROUP BY
            "r"."customer_id"
        ) AS q2
          ON "q2"."key$" = "t"."key$"
        LEFT JOIN (
          SELECT
            "r"."customer_id" AS "key$",
            ARG_MIN("r"."channel", "r"."pos") FILTER(WHERE
              NOT (
                "r"."channel" IS NULL
              )) AS "a4$"
          FROM orders AS r
          WHERE
            "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
          GROUP BY
            "r"."customer_id"
        ) AS q3
          ON "q3"."key$" = "t"."key$"
        LEFT JOIN (
          SELECT
            "r"."customer_id" AS "key$",
            COUNT(*) FILTER(WHERE
              (
                "r"."time" > CAST('2026-05-31 16:00:00' AS TIMESTAMP) AND "r"."type" = 'view'
              )) AS "a5$"
          FROM events AS r
          WHERE
            "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            AND "r"."time" >= CAST('2026-05-31 16:00:00' AS TIMESTAMP)
          GROUP BY
            "r"."customer_id"
        ) AS q4
          ON "q4"."key$" = "t"."key$"
      ) AS t
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
