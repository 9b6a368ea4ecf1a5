-- local_time(w) is defined

-- utc_time(w) is defined

-- spine1$: customer_id, as_of, key$

-- asked
SELECT
  "customer_id",
  "as_of",
  "month_",
  "day_",
  "since",
  "city_then"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."as_of",
    "t"."month_",
    "t"."day_",
    "t"."since",
    "t"."city_then"
  FROM (
    SELECT
      t.*,
      CAST("t"."a0$" AS BIGINT) AS "month_",
      CAST("t"."a1$" AS BIGINT) AS "day_",
      CAST(CAST(DATE_DIFF('day', CAST(LOCAL_TIME("t"."a2$") AS DATE), CAST(LOCAL_TIME("t"."as_of") AS DATE)) AS BIGINT) AS BIGINT) AS "since",
      CAST("t"."c0$" AS TEXT) AS "city_then"
    FROM (
      SELECT
        t.*,
        COALESCE("q0"."a0$", CAST(0 AS BIGINT)) AS "a0$",
        COALESCE("q0"."a1$", CAST(0 AS BIGINT)) AS "a1$",
        "q0"."a2$" AS "a2$",
        "q1"."c0$" AS "c0$"
      FROM spine1$ AS t
      LEFT JOIN (
        SELECT
          "s"."key$" AS "key$",
          COUNT(*) FILTER(WHERE
            "r"."time" > UTC_TIME((
              LOCAL_TIME("s"."as_of")
            ) + TO_MONTHS((
              -1
            )))) AS "a0$",
          COUNT(*) FILTER(WHERE
            (
              "r"."time" >= UTC_TIME(
                CAST(CAST(DATE_TRUNC('day', CAST(LOCAL_TIME("s"."as_of") AS DATE)) - TO_DAYS(0) AS DATE) AS TIMESTAMP)
              )
              AND "r"."time" < UTC_TIME(
                CAST(CAST((
                  DATE_TRUNC('day', CAST(LOCAL_TIME("s"."as_of") AS DATE)) - TO_DAYS(0)
                ) + TO_DAYS(1) AS DATE) AS TIMESTAMP)
              )
            )) AS "a1$",
          MAX("r"."time") AS "a2$"
        FROM orders AS r
        JOIN spine1$ AS s
          ON "s"."customer_id" = "r"."customer_id"
        WHERE
          "r"."time" <= "s"."as_of"
        GROUP BY
          "s"."key$"
      ) AS q0
        ON "q0"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "s"."key$" AS "key$",
          COALESCE(
            ARG_MAX("r"."city", "r"."pos") FILTER(WHERE
              NOT (
                "r"."city" IS NULL
              ) AND "r"."time" <= "s"."as_of"),
            ARG_MIN("r"."city", "r"."pos") FILTER(WHERE
              NOT (
                "r"."city" IS NULL
              ))
          ) AS "c0$"
        FROM customer_records AS r
        JOIN spine1$ AS s
          ON "s"."customer_id" = "r"."customer_id"
        GROUP BY
          "s"."key$"
      ) AS q1
        ON "q1"."key$" = "t"."key$"
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
