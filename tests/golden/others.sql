-- lunar_days$: key, lunar_day

-- lunar_kept$: key, days

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

-- stage3$
SELECT
  "t"."key$",
  "t"."customer_id",
  "t"."customer_key",
  "t"."was_gold",
  "t"."entered_",
  "t"."drawn",
  "t"."missing_",
  "t"."new_year",
  "t"."many",
  "t"."grade",
  "t"."a0$",
  "t"."c0$"
FROM (
  SELECT
    t.*,
    CAST(CASE
      WHEN (
        "t"."grade" = 'none'
        AND NOT (
          COALESCE("t"."a0$" >= CAST(40 AS BIGINT), FALSE)
        )
      )
      THEN TRY_CAST((
        CAST(CAST(40 AS BIGINT) AS INT128) - CAST("t"."a0$" AS INT128)
      ) AS BIGINT)
    END AS BIGINT) AS "missing_"
  FROM (
    SELECT
      t.*,
      CAST("t"."e0$" AS BOOLEAN) AS "was_gold",
      CAST("t"."e1$" AS BOOLEAN) AS "entered_",
      CAST(COALESCE(
        CAST(CONCAT('0x', SUBSTR(MD5(CONCAT('spring|', CAST("t"."customer_id" AS TEXT))), 1, 13)) AS BIGINT) < CAST(450359962737050 AS BIGINT),
        FALSE
      ) AS BOOLEAN) AS "drawn",
      CASE WHEN "t"."a0$" >= CAST(40 AS BIGINT) THEN 'gold' ELSE 'none' END AS "grade",
      CAST(COALESCE("l0"."lunar_day" IN (517, 518, 519, 520, 521, 522, 523, 524), FALSE) AS BOOLEAN) AS "new_year",
      CAST(COALESCE("t"."a1$" > CAST(9 AS BIGINT), FALSE) AS BOOLEAN) AS "many"
    FROM (
      SELECT
        t.*,
        "q0"."a0$" AS "a0$",
        COALESCE("q0"."a1$", CAST(0 AS BIGINT)) AS "a1$",
        COALESCE("q1"."e0$", FALSE) AS "e0$",
        COALESCE("q2"."e1$", FALSE) AS "e1$",
        "q3"."c0$" AS "c0$",
        "q3"."c1$" AS "c1$"
      FROM spine2$ AS t
      LEFT JOIN (
        SELECT
          "s"."key$" AS "key$",
          ARG_MAX("r"."n", "r"."pos") FILTER(WHERE
            NOT (
              "r"."n" IS NULL
            )) AS "a0$",
          COUNT(*) AS "a1$"
        FROM s AS r
        JOIN spine2$ AS s
          ON "s"."customer_id" = "r"."customer_id"
        WHERE
          "r"."time" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP)
        GROUP BY
          "s"."key$"
      ) AS q0
        ON "q0"."key$" = "t"."key$"
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
              "key$"
            FROM (
              SELECT
                "s"."key$" AS "key$",
                "r"."is",
                "r"."at",
                COALESCE(
                  LEAD("r"."at") OVER (PARTITION BY "s"."key$" ORDER BY "r"."at", "r"."seq"),
                  CAST('2026-06-30 16:00:00' AS TIMESTAMP)
                ) AS until,
                CAST('2026-04-01 16:00:00' AS TIMESTAMP) AS low
              FROM (
                SELECT
                  CAST(NULL AS BIGINT) AS "customer_id",
                  CAST(NULL AS BIGINT) AS "seq",
                  CAST(NULL AS TIMESTAMP) AS "at",
                  CAST(NULL AS TEXT) AS "kind",
                  CAST(NULL AS TEXT) AS "name",
                  CAST(NULL AS TEXT) AS "was",
                  CAST(NULL AS TEXT) AS "is",
                  CAST(NULL AS TEXT) AS "cause"
                WHERE
                  FALSE
              ) AS r
              JOIN spine2$ AS s
                ON "s"."customer_id" = "r"."customer_id"
              WHERE
                (
                  "r"."kind" = 'tier' AND "r"."name" = 'grade'
                )
                AND "r"."at" < CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            ) AS s
            WHERE
              "is" = 'gold' AND "until" > "at" AND "until" > "low"
          ) AS p
          GROUP BY
            "key$"
        ) AS o
      ) AS q1
        ON "q1"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "key$",
          "answer" AS "e1$"
        FROM (
          SELECT
            "s"."key$" AS "key$",
            TRUE AS answer
          FROM (
            SELECT
              CAST(NULL AS BIGINT) AS "customer_id",
              CAST(NULL AS BIGINT) AS "seq",
              CAST(NULL AS TIMESTAMP) AS "at",
              CAST(NULL AS TEXT) AS "kind",
              CAST(NULL AS TEXT) AS "name",
              CAST(NULL AS TEXT) AS "was",
              CAST(NULL AS TEXT) AS "is",
              CAST(NULL AS TEXT) AS "cause"
            WHERE
              FALSE
          ) AS r
          JOIN spine2$ AS s
            ON "s"."customer_id" = "r"."customer_id"
          WHERE
            (
              (
                "r"."kind" = 'segment' AND "r"."name" = 'many'
              )
              AND "r"."at" < CAST('2026-06-30 16:00:00' AS TIMESTAMP)
            )
            AND (
              "r"."is" = 'in'
              AND "r"."was" IS DISTINCT FROM 'in'
              AND "r"."cause" <> 'first_run'
              AND "r"."at" > CAST('2026-06-23 16:00:00' AS TIMESTAMP)
            )
          GROUP BY
            "s"."key$"
        ) AS o
      ) AS q2
        ON "q2"."key$" = "t"."key$"
      LEFT JOIN (
        SELECT
          "s"."key$" AS "key$",
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
          ) AS "c0$",
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
          ) AS "c1$"
        FROM customer_records AS r
        JOIN spine2$ AS s
          ON "s"."customer_id" = "r"."customer_id"
        GROUP BY
          "s"."key$"
      ) AS q3
        ON "q3"."key$" = "t"."key$"
    ) AS t
    LEFT JOIN "lunar_days$" AS l0
      ON "l0"."key" = "t"."c1$"
  ) AS t
) AS t;

-- spine4$
SELECT
  "customer_id" AS "key$",
  "customer_id",
  "customer_key"
FROM "known_customers"
WHERE
  "known_since" IS NULL
  OR "known_since" <= CAST('2026-06-30 16:00:00' AS TIMESTAMP);

-- stage5$
SELECT
  "t"."key$",
  "t"."customer_id",
  "t"."customer_key",
  "t"."b0$",
  "t"."x0$"
FROM (
  SELECT
    t.*,
    CAST("t"."c0$" AS TEXT) AS "b0$",
    CAST("t"."a0$" AS BIGINT) AS "x0$"
  FROM (
    SELECT
      t.*,
      "q0"."a0$" AS "a0$",
      "q1"."c0$" AS "c0$"
    FROM spine4$ AS t
    LEFT JOIN (
      SELECT
        "r"."customer_id" AS "key$",
        ARG_MAX("r"."n", "r"."pos") FILTER(WHERE
          NOT (
            "r"."n" IS NULL
          )) AS "a0$"
      FROM s AS r
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

-- group6$
SELECT
  "o"."key$",
  "g"."answer"
FROM (
  SELECT
    "t"."key$" AS "key$",
    CAST("t"."a0$" AS BIGINT) AS x,
    CAST("t"."c0$" AS TEXT) AS by_value
  FROM stage3$ AS t
) AS o
JOIN (
  SELECT
    "by_value",
    TRY_CAST(COALESCE(SUM("x"), CAST(0 AS BIGINT)) AS BIGINT) AS answer
  FROM (
    SELECT
      "x0$" AS x,
      "b0$" AS by_value
    FROM "stage5$"
  ) AS e
  WHERE
    NOT (
      "by_value" IS NULL
    )
  GROUP BY
    "by_value"
) AS g
  ON "g"."by_value" = "o"."by_value";

-- asked
SELECT
  "customer_id",
  CAST('2026-06-30 16:00:00' AS TIMESTAMP) AS as_of,
  "was_gold",
  "entered_",
  "household",
  "drawn",
  "missing_",
  "new_year",
  "many",
  "grade"
FROM (
  SELECT
    "t"."key$",
    "t"."customer_id",
    "t"."customer_key",
    "t"."was_gold",
    "t"."entered_",
    "t"."household",
    "t"."drawn",
    "t"."missing_",
    "t"."new_year",
    "t"."many",
    "t"."grade"
  FROM (
    SELECT
      t.*,
      CAST("t"."g0$" AS BIGINT) AS "household"
    FROM (
      SELECT
        t.*,
        "d0"."answer" AS "g0$"
      FROM stage3$ AS t
      LEFT JOIN (
        SELECT
          *
        FROM "group6$"
      ) AS d0
        ON "d0"."key$" = "t"."key$"
    ) AS t
  ) AS t
) AS t
ORDER BY
  "key$";
