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
  "abandoned",
  "on_the_way",
  "with_a_line",
  "held",
  "months_"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."customer_key",
    "t"."abandoned",
    "t"."on_the_way",
    "t"."with_a_line",
    "t"."held",
    "t"."months_"
  FROM (
    SELECT
      t.*,
      CAST("t"."e0$" AS BOOLEAN) AS "abandoned",
      CAST("t"."e1$" AS BOOLEAN) AS "on_the_way",
      CAST("t"."a0$" AS BOOLEAN) AS "with_a_line",
      CASE WHEN ISFINITE(CAST("t"."a1$" AS DOUBLE)) THEN CAST("t"."a1$" AS DOUBLE) END AS "held",
      CAST("t"."a2$" AS BIGINT) AS "months_"
    FROM (
      SELECT
        t.*,
        "q0"."a1$" AS "a1$",
        COALESCE("q1"."a2$", CAST(0 AS BIGINT)) AS "a2$",
        COALESCE("q2"."a0$", FALSE) AS "a0$",
        COALESCE("q3"."e0$", FALSE) AS "e0$",
        COALESCE("q4"."e1$", FALSE) AS "e1$"
      FROM spine1$ AS t
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "a1$"
        FROM (
          SELECT
            "key$",
            CAST(SUM("v" * CAST("us" AS INT128)) AS DOUBLE) / (
              CAST(SUM("us") AS DOUBLE) * CAST('100.0' AS DOUBLE)
            ) AS answer
          FROM (
            SELECT
              "key$",
              "v",
              EPOCH_US(
                LEAST(COALESCE(LEAD("time") OVER (PARTITION BY "key$" ORDER BY "pos"), "high"), "high")
              ) - EPOCH_US(GREATEST("time", "low")) AS us
            FROM (
              SELECT
                "r"."customer_id" AS "key$",
                "r"."time" AS time,
                "r"."pos" AS pos,
                CAST(CAST("r"."m" AS DECIMAL(38, 2)) * 100 AS INT128) AS v,
                CAST(GREATEST(CAST('2026-05-31 16:00:00' AS TIMESTAMP)) AS TIMESTAMP) AS low,
                CAST(LEAST(CAST('2026-06-30 16:00:00' AS TIMESTAMP)) AS TIMESTAMP) AS high
              FROM s AS r
              WHERE
                "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
                AND NOT (
                  "r"."m" IS NULL
                )
            ) AS h
            WHERE
              NOT (
                "low" IS NULL
              ) AND NOT (
                "high" IS NULL
              )
          ) AS w
          WHERE
            "us" > 0
          GROUP BY
            "key$"
        ) AS o
      ) AS q0
        ON "q0"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "a2$"
        FROM (
          SELECT
            "key$",
            COUNT(*) AS answer
          FROM (
            SELECT DISTINCT
              "key$",
              CAST(DATE_DIFF('month', DATE_TRUNC('month', "d"), DATE_TRUNC('month', "today")) AS BIGINT) AS k
            FROM (
              SELECT
                "r"."customer_id" AS "key$",
                "r"."time" AS time,
                "r"."pos" AS pos,
                CAST("r"."time" + INTERVAL '28800' SECOND AS DATE) AS d,
                CAST('2026-07-01' AS DATE) AS today
              FROM orders AS r
              WHERE
                "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            ) AS b
          ) AS p
          WHERE
            "k" < 6
          GROUP BY
            "key$"
        ) AS o
      ) AS q1
        ON "q1"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "r"."customer_id" AS "key$",
          COUNT(*) FILTER(WHERE
            (
              "r"."amount" > CAST('100.00' AS DECIMAL(18, 2))
              AND COALESCE("w0"."answer", FALSE)
            )) > 0 AS "a0$"
        FROM orders AS r
        LEFT JOIN (
          SELECT
            "r"."customer_id" AS "key$",
            "r"."key_space",
            "r"."order_id",
            COUNT(*) FILTER(WHERE
              "r"."sku" = 'x') > 0 AS answer
          FROM items AS r
          WHERE
            "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
          GROUP BY
            "r"."customer_id",
            "r"."key_space",
            "r"."order_id"
        ) AS w0
          ON (
            "w0"."key$" = "r"."customer_id"
            AND "w0"."key_space" = "r"."key_space"
            AND "w0"."order_id" = "r"."order_id"
          )
        WHERE
          "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
        GROUP BY
          "r"."customer_id"
      ) AS q2
        ON "q2"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "e0$"
        FROM (
          SELECT
            "key$",
            TRUE AS answer
          FROM (
            SELECT
              *,
              CASE
                WHEN (
                  "m0"
                  AND "t" + 172800000000 <= "z"
                  AND (
                    "nextc" IS NULL OR "nextc" > "t" + 172800000000
                  )
                )
                THEN "t"
              END AS f0
            FROM (
              SELECT
                *,
                MIN(CASE WHEN "c" THEN "t" END) OVER (
                  PARTITION BY "key$", "v"
                  ORDER BY "t"
                  RANGE BETWEEN CAST(1 AS BIGINT) FOLLOWING AND UNBOUNDED FOLLOWING
                ) AS nextc
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    "r"."customer_id" AS "key$",
                    EPOCH_US("r"."time") AS t,
                    EPOCH_US(CAST('2026-06-30 16:00:00' AS TIMESTAMP)) AS z,
                    "r"."sku" AS v,
                    COALESCE("r"."type" = 'add_to_cart', FALSE) AS m0,
                    FALSE AS c
                  FROM events AS r
                  WHERE
                    (
                      "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
                      AND NOT (
                        "r"."sku" IS NULL
                      )
                    )
                    AND (
                      COALESCE("r"."type" = 'add_to_cart', FALSE)
                    )
                  UNION ALL
                  SELECT
                    "r"."customer_id" AS "key$",
                    EPOCH_US("r"."time") AS t,
                    EPOCH_US(CAST('2026-06-30 16:00:00' AS TIMESTAMP)) AS z,
                    "r"."sku" AS v,
                    FALSE AS m0,
                    TRUE AS c
                  FROM items AS r
                  WHERE
                    "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
                    AND NOT (
                      "r"."sku" IS NULL
                    )
                ) AS u
              ) AS b
            ) AS b
          ) AS m
          WHERE
            NOT (
              "f0" IS NULL
            ) AND (
              "t" - "f0"
            ) <= 172800000000
          GROUP BY
            "key$"
        ) AS o
      ) AS q3
        ON "q3"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "e1$"
        FROM (
          SELECT
            "key$",
            TRUE AS answer
          FROM (
            SELECT
              *,
              CASE WHEN "m2" THEN "g2" END AS f2
            FROM (
              SELECT
                *,
                MAX("f1") OVER (
                  PARTITION BY "key$"
                  ORDER BY "t"
                  RANGE BETWEEN CAST(604800000000 AS BIGINT) PRECEDING AND CAST(1 AS BIGINT) PRECEDING
                ) AS g2
              FROM (
                SELECT
                  *,
                  CASE WHEN "m1" THEN "g1" END AS f1
                FROM (
                  SELECT
                    *,
                    MAX("f0") OVER (
                      PARTITION BY "key$"
                      ORDER BY "t"
                      RANGE BETWEEN CAST(604800000000 AS BIGINT) PRECEDING AND CAST(1 AS BIGINT) PRECEDING
                    ) AS g1
                  FROM (
                    SELECT
                      *,
                      CASE WHEN "m0" THEN "t" END AS f0
                    FROM (
                      SELECT
                        *
                      FROM (
                        SELECT
                          "r"."customer_id" AS "key$",
                          EPOCH_US("r"."time") AS t,
                          EPOCH_US(CAST('2026-06-30 16:00:00' AS TIMESTAMP)) AS z,
                          NULL AS v,
                          COALESCE("r"."type" = 'view', FALSE) AS m0,
                          COALESCE("r"."type" = 'add_to_cart', FALSE) AS m1,
                          FALSE AS m2,
                          FALSE AS c
                        FROM events AS r
                        WHERE
                          "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
                          AND (
                            COALESCE("r"."type" = 'view', FALSE)
                            OR COALESCE("r"."type" = 'add_to_cart', FALSE)
                          )
                        UNION ALL
                        SELECT
                          "r"."customer_id" AS "key$",
                          EPOCH_US("r"."time") AS t,
                          EPOCH_US(CAST('2026-06-30 16:00:00' AS TIMESTAMP)) AS z,
                          NULL AS v,
                          FALSE AS m0,
                          FALSE AS m1,
                          TRUE AS m2,
                          FALSE AS c
                        FROM orders AS r
                        WHERE
                          "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
                      ) AS u
                    ) AS b
                  ) AS b
                ) AS b
              ) AS b
            ) AS b
          ) AS m
          WHERE
            NOT (
              "f2" IS NULL
            )
          GROUP BY
            "key$"
        ) AS o
      ) AS q4
        ON "q4"."key$" = "t"."key$"
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
