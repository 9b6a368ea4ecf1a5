-- spine1$
SELECT
  "customer_id" AS "key$",
  "customer_id",
  "customer_key"
FROM "known_customers"
WHERE
  "known_since" IS NULL
  OR "known_since" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP);

-- stage2$
SELECT
  "t"."key$",
  "t"."customer_id",
  "t"."customer_key",
  "t"."ticket",
  "t"."young",
  "t"."c1$"
FROM (
  SELECT
    t.*,
    CASE WHEN ISFINITE(CAST("t"."a0$" AS DOUBLE)) THEN CAST("t"."a0$" AS DOUBLE) END AS "ticket",
    CAST(COALESCE(
      (
        CAST(FLOOR(
          (
            CAST((
              (
                DATE_PART('year', CAST('2026-07-01' AS DATE)) - DATE_PART('year', "t"."c0$")
              ) * 12 + (
                DATE_PART('month', CAST('2026-07-01' AS DATE)) - DATE_PART('month', "t"."c0$")
              ) - CASE
                WHEN DATE_PART('day', CAST('2026-07-01' AS DATE)) < LEAST(
                  DATE_PART('day', "t"."c0$"),
                  DATE_PART('day', LAST_DAY(CAST('2026-07-01' AS DATE)))
                )
                THEN 1
                ELSE 0
              END
            ) AS DOUBLE) / CAST('12.0' AS DOUBLE)
          )
        ) AS BIGINT) < CAST(30 AS BIGINT)
        AND NOT COALESCE("t"."c1$" = 'Wuhan', FALSE)
      ),
      FALSE
    ) AS BOOLEAN) AS "young"
  FROM (
    SELECT
      t.*,
      "q0"."a0$" AS "a0$",
      "q1"."c0$" AS "c0$",
      "q1"."c1$" AS "c1$"
    FROM spine1$ AS t
    LEFT JOIN (
      SELECT
        "r"."customer_id" AS "key$",
        (
          CAST(SUM("r"."amount") AS DOUBLE) / NULLIF(CAST(COUNT("r"."amount") AS DOUBLE), CAST('0.0' AS DOUBLE))
        ) AS "a0$"
      FROM orders AS r
      WHERE
        "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
      GROUP BY
        "r"."customer_id"
    ) AS q0
      ON "q0"."key$" = "t"."key$"
    LEFT JOIN (
      SELECT
        "r"."customer_id" AS "key$",
        COALESCE(
          ARG_MAX("r"."birth_date", "r"."pos") FILTER(WHERE
            NOT (
              "r"."birth_date" IS NULL
            )
            AND "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
          ARG_MIN("r"."birth_date", "r"."pos") FILTER(WHERE
            NOT (
              "r"."birth_date" IS NULL
            ))
        ) AS "c0$",
        COALESCE(
          ARG_MAX("r"."city", "r"."pos") FILTER(WHERE
            NOT (
              "r"."city" IS NULL
            )
            AND "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
          ARG_MIN("r"."city", "r"."pos") FILTER(WHERE
            NOT (
              "r"."city" IS NULL
            ))
        ) AS "c1$"
      FROM customer_records AS r
      GROUP BY
        "r"."customer_id"
    ) AS q1
      ON "q1"."key$" = "t"."key$"
  ) AS t
) AS t;

-- asked
SELECT
  "customer_id",
  CAST('2026-06-30 16:00:00' AS TIMESTAMP) AS as_of,
  "ticket",
  "large",
  "young",
  "big",
  "grade"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."customer_key",
    "t"."ticket",
    "t"."large",
    "t"."young",
    "t"."big",
    "t"."grade"
  FROM (
    SELECT
      t.*,
      CASE
        WHEN "t"."big"
        THEN 'gold'
        WHEN CASE
          WHEN ABS(CAST("t"."ticket" AS DOUBLE) - CAST(CAST('19.90' AS DECIMAL(18, 6)) AS DOUBLE)) > CAST('1e-07' AS DOUBLE) * GREATEST(
            ABS(CAST("t"."ticket" AS DOUBLE)),
            ABS(CAST(CAST('19.90' AS DECIMAL(18, 6)) AS DOUBLE))
          )
          THEN CAST("t"."ticket" AS DOUBLE) >= CAST(CAST('19.90' AS DECIMAL(18, 6)) AS DOUBLE)
          ELSE TRY_CAST(TRANSLATE(FORMAT('{:.8e}', CAST("t"."ticket" AS DOUBLE)), 'n', '-') AS DOUBLE) >= CAST('19.9' AS DOUBLE)
        END
        THEN 'silver'
        ELSE 'none'
      END AS "grade"
    FROM (
      SELECT
        t.*,
        CAST(COALESCE(
          (
            "t"."large" > CAST(0 AS BIGINT)
            AND NOT (
              COALESCE("t"."c1$" IN ('Wuhan', 'Paris'), FALSE)
            )
          ),
          FALSE
        ) AS BOOLEAN) AS "big"
      FROM (
        SELECT
          t.*,
          CAST("t"."a1$" AS BIGINT) AS "large"
        FROM (
          SELECT
            t.*,
            COALESCE("q0"."a1$", CAST(0 AS BIGINT)) AS "a1$"
          FROM stage2$ AS t
          LEFT JOIN (
            SELECT
              "s"."key$" AS "key$",
              COUNT(*) FILTER(WHERE
                CASE
                  WHEN ABS(
                    CAST("r"."amount" AS DOUBLE) - CAST((
                      CAST(CAST(3 AS BIGINT) AS DOUBLE) * CAST("s"."ticket" AS DOUBLE)
                    ) AS DOUBLE)
                  ) > CAST('1e-07' AS DOUBLE) * GREATEST(
                    ABS(CAST("r"."amount" AS DOUBLE)),
                    ABS(
                      CAST((
                        CAST(CAST(3 AS BIGINT) AS DOUBLE) * CAST("s"."ticket" AS DOUBLE)
                      ) AS DOUBLE)
                    )
                  )
                  THEN CAST("r"."amount" AS DOUBLE) > CAST((
                    CAST(CAST(3 AS BIGINT) AS DOUBLE) * CAST("s"."ticket" AS DOUBLE)
                  ) AS DOUBLE)
                  ELSE TRY_CAST(TRANSLATE(FORMAT('{:.8e}', CAST("r"."amount" AS DOUBLE)), 'n', '-') AS DOUBLE) > TRY_CAST(TRANSLATE(
                    FORMAT(
                      '{:.8e}',
                      CAST((
                        CAST(CAST(3 AS BIGINT) AS DOUBLE) * CAST("s"."ticket" AS DOUBLE)
                      ) AS DOUBLE)
                    ),
                    'n',
                    '-'
                  ) AS DOUBLE)
                END) AS "a1$"
            FROM orders AS r
            JOIN stage2$ AS s
              ON "s"."customer_id" = "r"."customer_id"
            WHERE
              "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            GROUP BY
              "s"."key$"
          ) AS q0
            ON "q0"."key$" = "t"."key$"
        ) AS t
      ) AS t
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
