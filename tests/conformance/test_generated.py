"""Generated definitions over generated worlds: the engine, asked in three ways, answers as the reference does."""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from tierwise.testing.strategies import cases
from tierwise.testing.worlds import Case, at, differences, row

#: More of them: TIERWISE_CASES=2000 pytest tests/conformance/test_generated.py
EXAMPLES = int(os.environ.get("TIERWISE_CASES", "12"))
SHOWN = 10


def _case(zone: str = "America/New_York", /, **tags: str) -> Case:
    """A case that failed once, cut down: two customers, one row of every kind."""
    everything = row(
        "2026-05-01", "a", n=2**63 - 1, q=Decimal("1.5"), m=Decimal("9999999999999999.99"), f=1e300, t="", b=True, d=date.max, i=at("9999-12-31 20:00")
    )  # fmt: skip
    again = row(
        "2026-05-01", "b", n=2**63 - 1, m=Decimal("9999999999999999.99"), f=1e300, d=date.min, i=at("0001-01-01 02:00")
    )
    return Case(
        tags=tags,
        as_of=at("2026-06-01 12:00"),
        customers=(1, 2),
        streams={"s": {1: [everything, again]}, "visits": {1: [row("2026-05-01", "v", left_at=at("2026-05-01 00:00:00.000030"))]}},
        zone=zone,
    )  # fmt: skip


#: What the engine and the reference once disagreed about, or one of them could not answer at all.
OVERFLOWS = _case(
    sum_out_of_range="sum(s.n)",  # missing, not 0
    money_out_of_range="sum(s.m)",
    of_floats="sum(s.f) * sum(s.f)",
    inside="case(sum(s.f) * sum(s.f) > 5, 1, 2)",  # what is not finite is missing, also half way
    still_inside="1 / (sum(s.f) * sum(s.f)) + 1",
    is_missing="(sum(s.f) * sum(s.f)) is None",
    in_a_band="band(sum(s.f) * sum(s.f), 1)",
    negated="-min(s.n) - 1 - 1",
    by_nothing="count(s) / 0 > 1",
    chosen="least(count(s), 9223372036854775807, 0.5)",
    converted="greatest(last(s.m), 9223372036854775807)",
    ranked="rank(last(s.n))",  # beyond what binary64 tells apart
    placed="zscore(last(s.m))",
)
CALENDAR_ENDS = _case(
    later='first(s.d) + "200y"',
    and_back='first(s.d) + "200y" - "200y"',
    earlier='last(s.d) - "1d"',
    instant='first(s.i) + "1d"',
    months='first(s.i) + "1mo" - "1mo"',
    wall="year(last(s.i))",  # in New York the year before the first
    days_="days_since(last(s.i))",
    hours="hours_since(last(s.d))",
    far="hours_since(first(s.d))",
    since="count(s, since=last(s.d))",
    until="count(s, until=first(s.d))",
    birthday='anniversary(first(s.d), within="1y")',
    compared="last(s.i) < first(s.d)",
    minutes="last(visits.dwell_minutes)",  # half a millionth, rounded away from zero
)
#: Names the engine uses inside its own SQL are free for definitions.
NAMES = _case(
    "Europe/London",
    **dict.fromkeys(
        ("t", "r", "v", "w", "m", "x", "g", "o", "q0", "d0", "l0", "pos", "key", "rn", "answer"), "count(s)"
    ),
    **dict.fromkeys(("inside", "plain", "by_value", "size", "mean", "deviation", "version", "value"), "t + v + key"),
    position="rank(value + t, by=by_value, among=inside > 0)",
    zscores="zscore(size + mean, among=x > 0)",
    of_rows="count(s, where=n > customer.r and months_since(i) != customer.v)",
    in_order="top(s.t, by=sum(s.n), where=customer.w > 0, latest=2)",
)
#: In London it was summer time all year until 1971, so the first day of the calendar begins before it.
FIRST_DAY = _case(
    "Europe/London", hours="hours_since(last(s.d))", years="year(last(s.d))", since="count(s, since=last(s.d))"
)
NOBODY = _case(
    nobody="rank(last(s.n), among=count(s) > 9)",
    nobody_on_top="in_top(last(s.n), n=1, among=count(s) > 9)",
    nowhere="above_mean(last(s.n), by=last(s.t), among=count(s) > 9)",
    known_nowhere='coalesce(in_top(last(s.f), n=1, by=last(s.t)), True)',
    key="count(s)",  # names the engine once used for its own columns
    pos="key + 1",
    time_="pos + 1",
)  # fmt: skip


@example(OVERFLOWS)
@example(CALENDAR_ENDS)
@example(FIRST_DAY)
@example(NAMES)
@example(NOBODY)
@settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_engine_and_reference_agree(case: Case) -> None:
    found = differences(case)
    assert not found, "\n".join(
        [f"{len(found)} differences, as of {case.as_of} in {case.zone}", *found[:SHOWN], repr(case)]
    )


# -- long and deep -----------------------------------------------------------------------------------------------------


def _nested(before: str, inside: str, after: str, times: int) -> str:
    return before * times + inside + after * times


LIMITS = {
    "a sum of 240": " + ".join(["count(s)"] * 240),
    "a float sum of 240": " + ".join(["avg(s.q)"] * 240),
    "a product of 60": " * ".join(["count(s)"] * 60),
    "240 conditions": " and ".join(["exists(s)"] * 240),
    "a list of 240": f"count(s) in ({', '.join(map(str, range(240)))})",
    "110 branches": f"case({', '.join(f'count(s) == {k}, {k}' for k in range(110))})",
    "a long sum in a population": f"rank({' + '.join(['count(s)'] * 200)})",
    "a long sum of a row": f"count(s, where={' + '.join(['q'] * 240)} > 5)",
    "38 times not": _nested("not (", "exists(s)", ")", 38),
    "38 brackets of arithmetic": _nested("2 * (1 + ", "count(s)", ")", 19),
    "36 quotients": _nested("avg(s.q) / (", "2.5", ")", 36),
    "38 cases": _nested("case(count(s) > 1, 2, ", "1", ")", 38),
    "38 times lower": _nested("lower(", "last(s.t)", ")", 38),
    "months of months": _nested("months_since(case(", "1", " > 3, last(s.d), first(s.d)))", 12),
    "days of days": _nested("(", "last(s.d)", ' + "1d")', 38),
    "populations of populations": _nested("quintile(", "count(s)", ")", 6),
}


@pytest.mark.parametrize("name", LIMITS)
def test_as_long_and_deep_as_the_language_allows(name: str) -> None:
    assert not differences(_case(x=LIMITS[name]))
