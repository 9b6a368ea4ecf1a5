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
  "sum_",
  "product",
  "share_",
  "met",
  "nested",
  "chosen",
  "banded"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."customer_key",
    "t"."sum_",
    "t"."product",
    "t"."share_",
    "t"."met",
    "t"."nested",
    "t"."chosen",
    "t"."banded"
  FROM (
    SELECT
      t.*,
      CAST(TRY_CAST((
        CAST("t"."c0$" AS DECIMAL(38, 2)) + CAST("t"."c1$" AS DECIMAL(38, 6)) + CAST("t"."c2$" AS DECIMAL(38, 0)) + CAST(CAST(1 AS BIGINT) AS DECIMAL(38, 0))
      ) AS DECIMAL(18, 6)) AS DECIMAL(18, 6)) AS "sum_",
      CAST(TRY_CAST((
        CAST(TRY_CAST((
          CAST("t"."c0$" AS DECIMAL(38, 2)) * CAST(CAST('0.85' AS DECIMAL(18, 6)) AS DECIMAL(38, 6))
        ) AS DECIMAL(18, 6)) AS DECIMAL(38, 6)) * CAST("t"."c2$" AS DECIMAL(38, 0))
      ) AS DECIMAL(18, 6)) AS DECIMAL(18, 6)) AS "product",
      CASE
        WHEN ISFINITE(CAST((
          CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
        ) AS DOUBLE))
        THEN CAST((
          CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
        ) AS DOUBLE)
      END AS "share_",
      CAST(COALESCE(
        CASE
          WHEN ABS(
            CAST((
              CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
            ) AS DOUBLE) - CAST(CAST('9.95' AS DECIMAL(18, 6)) AS DOUBLE)
          ) > CAST('1e-07' AS DOUBLE) * GREATEST(
            ABS(CAST((
              CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
            ) AS DOUBLE)),
            ABS(CAST(CAST('9.95' AS DECIMAL(18, 6)) AS DOUBLE))
          )
          THEN CAST((
            CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
          ) AS DOUBLE) >= CAST(CAST('9.95' AS DECIMAL(18, 6)) AS DOUBLE)
          ELSE TRY_CAST(TRANSLATE(
            FORMAT(
              '{:.8e}',
              CAST((
                CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
              ) AS DOUBLE)
            ),
            'n',
            '-'
          ) AS DOUBLE) >= CAST('9.95' AS DOUBLE)
        END,
        FALSE
      ) AS BOOLEAN) AS "met",
      CASE
        WHEN ISFINITE(
          CAST((
            CAST(LIST_EXTRACT(
              LIST_FILTER(
                [
                  (
                    CAST(LIST_EXTRACT(
                      LIST_FILTER(
                        [(
                            CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
                        )],
                        LAMBDA v : ISFINITE(v)
                      ),
                      1
                    ) AS DOUBLE) * CAST("t"."c3$" AS DOUBLE)
                  )
                ],
                LAMBDA v : ISFINITE(v)
              ),
              1
            ) AS DOUBLE) + CAST(CAST(1 AS BIGINT) AS DOUBLE)
          ) AS DOUBLE)
        )
        THEN CAST((
          CAST(LIST_EXTRACT(
            LIST_FILTER(
              [
                (
                  CAST(LIST_EXTRACT(
                    LIST_FILTER(
                      [(
                          CAST("t"."c0$" AS DOUBLE) / CAST("t"."c2$" AS DOUBLE)
                      )],
                      LAMBDA v : ISFINITE(v)
                    ),
                    1
                  ) AS DOUBLE) * CAST("t"."c3$" AS DOUBLE)
                )
              ],
              LAMBDA v : ISFINITE(v)
            ),
            1
          ) AS DOUBLE) + CAST(CAST(1 AS BIGINT) AS DOUBLE)
        ) AS DOUBLE)
      END AS "nested",
      CAST(CASE
        WHEN "t"."c2$" > CAST(2 AS BIGINT)
        THEN TRY_CAST("t"."c0$" AS DECIMAL(18, 6))
        ELSE "t"."c1$"
      END AS DECIMAL(18, 6)) AS "chosen",
      CAST(CASE
        WHEN "t"."c0$" IS NULL
        THEN NULL
        WHEN "t"."c0$" < CAST('19.90' AS DECIMAL(18, 2))
        THEN '<19.9'
        WHEN "t"."c0$" < CAST('100.00' AS DECIMAL(18, 2))
        THEN '19.9-100'
        ELSE '100+'
      END AS TEXT) AS "banded"
    FROM (
      SELECT
        t.*,
        "q0"."c0$" AS "c0$",
        "q0"."c1$" AS "c1$",
        "q0"."c2$" AS "c2$",
        "q0"."c3$" AS "c3$"
      FROM spine1$ AS t
      LEFT JOIN (
        SELECT
          "r"."customer_id" AS "key$",
          COALESCE(
            ARG_MAX("r"."income", "r"."pos") FILTER(WHERE
              NOT (
                "r"."income" IS NULL
              )
              AND "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
            ARG_MIN("r"."income", "r"."pos") FILTER(WHERE
              NOT (
                "r"."income" IS NULL
              ))
          ) AS "c0$",
          COALESCE(
            ARG_MAX("r"."weight", "r"."pos") FILTER(WHERE
              NOT (
                "r"."weight" IS NULL
              )
              AND "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
            ARG_MIN("r"."weight", "r"."pos") FILTER(WHERE
              NOT (
                "r"."weight" IS NULL
              ))
          ) AS "c1$",
          COALESCE(
            ARG_MAX("r"."children", "r"."pos") FILTER(WHERE
              NOT (
                "r"."children" IS NULL
              )
              AND "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
            ARG_MIN("r"."children", "r"."pos") FILTER(WHERE
              NOT (
                "r"."children" IS NULL
              ))
          ) AS "c2$",
          COALESCE(
            ARG_MAX("r"."ratio", "r"."pos") FILTER(WHERE
              NOT (
                "r"."ratio" IS NULL
              )
              AND "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
            ARG_MIN("r"."ratio", "r"."pos") FILTER(WHERE
              NOT (
                "r"."ratio" IS NULL
              ))
          ) AS "c3$"
        FROM customer_records AS r
        GROUP BY
          "r"."customer_id"
      ) AS q0
        ON "q0"."key$" = "t"."key$"
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
