-- asked1$: customer_id

-- spine2$
SELECT
  "customer_id" AS "key$",
  "customer_id",
  "customer_key"
FROM "known_customers"
WHERE
  "customer_id" IN (
    SELECT
      "customer_id"
    FROM "asked1$"
  );

-- asked
SELECT
  "customer_id",
  CAST('2026-06-30 16:00:00' AS TIMESTAMP) AS as_of,
  "favourite",
  "months",
  "longest",
  "last_three"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."customer_key",
    "t"."favourite",
    "t"."months",
    "t"."longest",
    "t"."last_three"
  FROM (
    SELECT
      t.*,
      CAST("t"."a0$" AS TEXT) AS "favourite",
      CAST("t"."a1$" AS BIGINT) AS "months",
      CASE WHEN ISFINITE(CAST("t"."a2$" AS DOUBLE)) THEN CAST("t"."a2$" AS DOUBLE) END AS "longest",
      CAST("t"."a3$" AS DECIMAL(18, 2)) AS "last_three"
    FROM (
      SELECT
        t.*,
        "q0"."a0$" AS "a0$",
        COALESCE("q1"."a1$", CAST(0 AS BIGINT)) AS "a1$",
        "q2"."a2$" AS "a2$",
        CASE WHEN "q3"."key$" IS NULL THEN CAST(0 AS DECIMAL(18, 2)) ELSE "q3"."a3$" END AS "a3$"
      FROM spine2$ AS t
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "a0$"
        FROM (
          SELECT
            "key$",
            ARG_MIN("v", ROW("m" IS NULL, -"m", -EPOCH_US("t"), "v")) AS answer
          FROM (
            SELECT
              "key$",
              "v",
              TRY_CAST(COALESCE(SUM("w"), CAST(0 AS DECIMAL(18, 2))) AS DECIMAL(18, 2)) AS m,
              MAX("time") AS t
            FROM (
              SELECT
                "s"."key$" AS "key$",
                "r"."time" AS time,
                "r"."pos" AS pos,
                "r"."channel" AS v,
                "r"."amount" AS w
              FROM orders AS r
              JOIN spine2$ AS s
                ON "s"."customer_id" = "r"."customer_id"
              WHERE
                "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            ) AS b
            WHERE
              NOT (
                "v" IS NULL
              )
            GROUP BY
              "key$",
              "v"
          ) AS g
          GROUP BY
            "key$"
        ) AS o
      ) AS q0
        ON "q0"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "a1$"
        FROM (
          SELECT
            "key$",
            COUNT(*) AS answer
          FROM (
            SELECT
              "key$",
              "k",
              ROW_NUMBER() OVER (PARTITION BY "key$" ORDER BY "k") AS rn,
              MIN("k") OVER (PARTITION BY "key$") AS start
            FROM (
              SELECT DISTINCT
                "key$",
                CAST(DATE_DIFF('month', DATE_TRUNC('month', "d"), DATE_TRUNC('month', "today")) AS BIGINT) AS k
              FROM (
                SELECT
                  "s"."key$" AS "key$",
                  "r"."time" AS time,
                  "r"."pos" AS pos,
                  CAST("r"."time" + INTERVAL '28800' SECOND AS DATE) AS d,
                  CAST('2026-07-01' AS DATE) AS today
                FROM orders AS r
                JOIN spine2$ AS s
                  ON "s"."customer_id" = "r"."customer_id"
                WHERE
                  "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
              ) AS b
            ) AS p
          ) AS n
          WHERE
            "k" - "rn" = "start" - 1 AND "start" <= 1
          GROUP BY
            "key$"
        ) AS o
      ) AS q1
        ON "q1"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "a2$"
        FROM (
          SELECT
            "key$",
            CAST(MAX("gap") AS DOUBLE) / CAST('86400000000.0' AS DOUBLE) AS answer
          FROM (
            SELECT
              "key$",
              EPOCH_US("time") - LAG(EPOCH_US("time")) OVER (PARTITION BY "key$" ORDER BY "pos") AS gap
            FROM (
              SELECT
                "s"."key$" AS "key$",
                "r"."time" AS time,
                "r"."pos" AS pos
              FROM orders AS r
              JOIN spine2$ AS s
                ON "s"."customer_id" = "r"."customer_id"
              WHERE
                "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            ) AS b
          ) AS g
          GROUP BY
            "key$"
        ) AS o
      ) AS q2
        ON "q2"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "a3$"
        FROM (
          SELECT
            "key$",
            TRY_CAST(COALESCE(SUM("r"."v"), CAST(0 AS DECIMAL(18, 2))) AS DECIMAL(18, 2)) AS answer
          FROM (
            SELECT
              *
            FROM (
              SELECT
                *,
                ROW_NUMBER() OVER (PARTITION BY "key$" ORDER BY "pos" DESC) AS rn
              FROM (
                SELECT
                  "s"."key$" AS "key$",
                  "r"."time" AS time,
                  "r"."pos" AS pos,
                  "r"."amount" AS v
                FROM orders AS r
                JOIN spine2$ AS s
                  ON "s"."customer_id" = "r"."customer_id"
                WHERE
                  "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
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
              ) AS b
            ) AS b
            WHERE
              "rn" <= 3
          ) AS r
          GROUP BY
            "key$"
        ) AS o
      ) AS q3
        ON "q3"."key$" = "t"."key$"
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
