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
  "t"."spend",
  "t"."c0$"
FROM (
  SELECT
    t.*,
    CAST("t"."a0$" AS DECIMAL(18, 2)) AS "spend"
  FROM (
    SELECT
      t.*,
      CASE WHEN "q0"."key$" IS NULL THEN CAST(0 AS DECIMAL(18, 2)) ELSE "q0"."a0$" END AS "a0$",
      "q1"."c0$" AS "c0$"
    FROM spine1$ AS t
    LEFT JOIN (
      SELECT
        "r"."customer_id" AS "key$",
        TRY_CAST(COALESCE(SUM("r"."amount"), CAST(0 AS DECIMAL(18, 2))) AS DECIMAL(18, 2)) AS "a0$"
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
          ARG_MAX("r"."city", "r"."pos") FILTER(WHERE
            NOT (
              "r"."city" IS NULL
            )
            AND "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)),
          ARG_MIN("r"."city", "r"."pos") FILTER(WHERE
            NOT (
              "r"."city" IS NULL
            ))
        ) AS "c0$"
      FROM customer_records AS r
      GROUP BY
        "r"."customer_id"
    ) AS q1
      ON "q1"."key$" = "t"."key$"
  ) AS t
) AS t;

-- asked
SELECT
  "by_value",
  "x",
  COUNT(*) AS n
FROM (
  SELECT
    "t"."key$" AS "key$",
    CAST(CAST("t"."spend" AS DECIMAL(38, 2)) * 100 AS BIGINT) AS x,
    CAST("t"."spend" AS DOUBLE) AS plain,
    CAST("t"."c0$" AS TEXT) AS by_value,
    COALESCE("t"."spend" > CAST('0.00' AS DECIMAL(18, 2)), FALSE) AS inside
  FROM stage2$ AS t
) AS m
WHERE
  inside AND NOT (
    "x" IS NULL
  ) AND NOT (
    "by_value" IS NULL
  )
GROUP BY
  "by_value",
  "x"
ORDER BY
  "by_value",
  "x";

-- steps3$: version, by_value, value, position

-- groups4$: version, by_value, size, mean, deviation

-- asked
SELECT
  "by_value",
  "x",
  COUNT(*) AS n
FROM (
  SELECT
    "t"."key$" AS "key$",
    CAST(CAST("t"."spend" AS DECIMAL(38, 2)) * 100 AS BIGINT) AS x,
    CAST("t"."spend" AS DOUBLE) AS plain,
    CAST(NULL AS TEXT) AS by_value,
    TRUE AS inside
  FROM stage2$ AS t
) AS m
WHERE
  inside AND NOT (
    "x" IS NULL
  )
GROUP BY
  "by_value",
  "x"
ORDER BY
  "by_value",
  "x";

-- steps5$: version, by_value, value, position

-- groups6$: version, by_value, size, mean, deviation

-- asked
SELECT
  "customer_id",
  CAST('2026-06-30 16:00:00' AS TIMESTAMP) AS as_of,
  "spend",
  "r",
  "best"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."customer_key",
    "t"."spend",
    "t"."r",
    "t"."best"
  FROM (
    SELECT
      t.*,
      CAST("t"."p0$" AS BIGINT) AS "r",
      CAST("t"."p1$" AS BOOLEAN) AS "best"
    FROM (
      SELECT
        t.*,
        "d0"."answer" AS "p0$",
        COALESCE("d1"."answer", FALSE) AS "p1$"
      FROM stage2$ AS t
      LEFT JOIN (
        SELECT
          "m"."key$" AS "key$",
          CASE
            WHEN (
              "m"."inside"
              AND NOT (
                "m"."x" IS NULL
              )
              AND NOT (
                "m"."size" IS NULL
              )
              AND NOT (
                "m"."by_value" IS NULL
              )
            )
            THEN CAST(1 + COALESCE("p"."position", 0) AS BIGINT)
          END AS answer
        FROM (
          SELECT
            m.*,
            "g"."version" AS version,
            "g"."size" AS size,
            "g"."mean" AS mean,
            "g"."deviation" AS deviation
          FROM (
            SELECT
              "t"."key$" AS "key$",
              CAST(CAST("t"."spend" AS DECIMAL(38, 2)) * 100 AS BIGINT) AS x,
              CAST("t"."spend" AS DOUBLE) AS plain,
              CAST("t"."c0$" AS TEXT) AS by_value,
              COALESCE("t"."spend" > CAST('0.00' AS DECIMAL(18, 2)), FALSE) AS inside
            FROM stage2$ AS t
          ) AS m
          LEFT JOIN groups4$ AS g
            ON COALESCE("m"."by_value", '') = "g"."by_value"
        ) AS m
        LEFT JOIN steps3$ AS p
          ON COALESCE("m"."by_value", '') = "p"."by_value" AND "m"."x" = "p"."value"
      ) AS d0
        ON "d0"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "m"."key$" AS "key$",
          CASE
            WHEN (
              "m"."inside" AND NOT (
                "m"."x" IS NULL
              ) AND NOT (
                "m"."size" IS NULL
              )
            )
            THEN CAST((
              "m"."size" - COALESCE("p"."position", 0)
            ) * 100 AS DECIMAL(30, 6)) < CAST(20 AS DECIMAL(12, 6)) * CAST("m"."size" AS DECIMAL(18, 0))
          END AS answer
        FROM (
          SELECT
            m.*,
            "g"."version" AS version,
            "g"."size" AS size,
            "g"."mean" AS mean,
            "g"."deviation" AS deviation
          FROM (
            SELECT
              "t"."key$" AS "key$",
              CAST(CAST("t"."spend" AS DECIMAL(38, 2)) * 100 AS BIGINT) AS x,
              CAST("t"."spend" AS DOUBLE) AS plain,
              CAST(NULL AS TEXT) AS by_value,
              TRUE AS inside
            FROM stage2$ AS t
          ) AS m
          LEFT JOIN groups6$ AS g
            ON COALESCE("m"."by_value", '') = "g"."by_value"
        ) AS m
        LEFT JOIN steps5$ AS p
          ON COALESCE("m"."by_value", '') = "p"."by_value" AND "m"."x" = "p"."value"
      ) AS d1
        ON "d1"."key$" = "t"."key$"
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
