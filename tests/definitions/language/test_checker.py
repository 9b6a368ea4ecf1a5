"""Tree to checked tree: the kind every expression has, and the words for every one that has none."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from tierwise.definitions.language.checker import Checked, Scope, TierNames, check_expression
from tierwise.definitions.language.kinds import (
    BOOLEAN,
    DATE,
    DECIMAL,
    DURATION,
    FLOAT,
    INSTANT,
    INTEGER,
    MONEY,
    TEXT,
    Kind,
    list_of,
)
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.times import parse_duration
from tierwise.definitions.language.typed import (
    Aggregate,
    Apply,
    AsOf,
    AttributeOf,
    ColumnOf,
    Const,
    Population,
    TagOf,
    walk_typed,
)
from tierwise.definitions.streams import BUILT_IN, CUSTOMERS
from tierwise.errors import Place

SCOPE = Scope(
    streams=BUILT_IN,
    attributes={column.name: column.kind for column in CUSTOMERS.columns} | {"baby_birthday": DATE},
    tags={
        "orders_365d": INTEGER, "spend_365d": MONEY, "avg_ticket": MONEY, "rate": DECIMAL, "score": FLOAT,
        "level": TEXT, "loyal": BOOLEAN, "last_order_at": INSTANT, "joined_on": DATE, "needs": list_of(TEXT),
        "r": INTEGER, "f": INTEGER, "m": INTEGER,
    },
    segments=("vip",),
    tierings={"grade": TierNames(("gold", "silver", "plain"), ordered=True), "rfm": TierNames(("star", "rest"))},
    parameters={"vip_spend": (MONEY, Decimal(1000)), "recent": (DURATION, parse_duration("30d"))},
    lookups={"district_income": {"band": TEXT, "income": MONEY}},
)  # fmt: skip
FILE = Scope(columns={"Order ID": TEXT, "paid": TEXT, "at": INSTANT, "n": INTEGER})


def check(text: str, scope: Scope = SCOPE, expect: Kind | None = None) -> Checked:
    return check_expression(parse(text, rows=scope.columns is not None), scope, text=text, expect=expect)


KINDS = [
    # names
    ("spend_365d", "money"),
    ("customer.city", "text"),
    ("as_of", "instant"),
    ("param.vip_spend", "money"),
    # literals and arithmetic
    ("5", "integer"),
    ('"2026-01-01"', "text"),
    ("orders_365d + 1", "integer"),
    ("orders_365d * spend_365d", "money"),
    ("spend_365d + rate", "decimal"),
    ("spend_365d - score", "float"),
    ("orders_365d / 2", "float"),
    ("-spend_365d", "money"),
    ("last_order_at - as_of", "float"),
    ("last_order_at - birth_date", "integer"),
    ("joined_on - birth_date", "integer"),
    ('last_order_at + "90m"', "instant"),
    ('birth_date + "24h"', "date"),
    ("as_of - param.recent", "instant"),
    # conditions
    ("orders_365d >= 2.5", "boolean"),
    ("12 <= months_since(baby_birthday) < 18", "boolean"),
    ('last_order_at > "2026-01-01"', "boolean"),
    ('birth_date == "2026-01-01 08:00"', "boolean"),
    ('city in ("上海", "北京")', "boolean"),
    ("level in needs", "boolean"),
    ('last_order_at in ("2026-01-01", "2026-01-02 08:00")', "boolean"),
    ("needs is None", "boolean"),
    ('level < "b"', "boolean"),
    ("loyal == True", "boolean"),
    # functions
    ("count(orders)", "integer"),
    ("sum(orders.amount)", "money"),
    ("sum(items.quantity)", "decimal"),
    ("avg(orders.amount)", "float"),
    ("min(orders.time)", "instant"),
    ("max(orders.channel)", "text"),
    ("first(orders.kept)", "boolean"),
    ("nth(orders.amount, 2)", "money"),
    ("top(items.sku)", "text"),
    ("top(items.sku, n=3, by=sum(items.amount))", "list of text"),
    ("share(orders, of=kept, latest=3)", "float"),
    ('score(visits, half_life="30d")', "float"),
    ('streak(orders, every="1mo")', "integer"),
    (
        'count(orders, within=param.recent, ago="0d..30d", since="2026-01-01", until=last_order_at, on="this month")',
        "integer",
    ),
    ("count(orders, where=days_since(time) < 5 and amount > customer.avg_ticket)", "integer"),
    ('hours_since("2026-01-01")', "float"),
    ('anniversary(birth_date, within="7d")', "boolean"),
    ("band(age(birth_date), 18, 25.5, 35)", "text"),
    ("coalesce(orders_365d, spend_365d)", "money"),
    ('case(loyal, "a", "b")', "text"),
    ("case(loyal, 1, 2.5)", "decimal"),
    ("least(birth_date, joined_on)", "date"),
    ('lookup("district_income", district, "income")', "money"),
    ('contains(needs, "care")', "boolean"),
    ('matches(lower(city), "[a-z]+")', "boolean"),
    ("ntile(spend_365d, 10, by=city, among=orders_365d > 0)", "integer"),
    ("percent_rank(last_order_at)", "float"),
    ("in_top(spend_365d, percent=0.5)", "boolean"),
    ('segment("vip")', "boolean"),
    ('tier("grade")', "tier of grade"),
    ('at_least("grade", "silver")', "boolean"),
]


@pytest.mark.parametrize(("text", "kind"), KINDS, ids=[row[0] for row in KINDS])
def test_kinds(text: str, kind: str) -> None:
    found = check(text)
    assert found.problems == ()
    assert found.expr is not None
    assert str(found.expr.kind) == kind


RULES = [
    # the rules at the end of the language's page that need nothing of a later version
    'sum(orders.kept_amount, within="90d") < 0.5 * sum(orders.kept_amount, ago="90d..180d")',
    'exists(orders, since=first(orders.time), until=first(orders.time) + "30d", where=kept)',
    'share(orders, of=coupon_amount > 0, within="180d") >= 0.6',
    'exists(orders, where=amount > 3 * customer.avg_ticket, within="7d")',
    "percent_rank(spend_365d, by=city) >= 0.8",
    "days_since(last_order_at) > 1.2 * avg_gap(orders)",
    'anniversary(birth_date, within="7d")',
    'share(orders, of=hour(time) >= 22, within="90d") > 0.5',
    "12 <= months_since(baby_birthday) < 18",
    "r >= 4 and f >= 4 and m >= 4",
    'quintile(days_since(last_order_at), best="low", among=orders_365d > 0) == 5',
]


@pytest.mark.parametrize("text", RULES)
def test_rules_people_write(text: str) -> None:
    found = check(text, expect=BOOLEAN)
    assert found.problems == ()
    assert found.expr is not None
    assert found.expr.kind == BOOLEAN


PROBLEMS = [
    # text, code, part of message and hint, address
    ("orders_365", "unknown-name", "no tag or attribute `orders_365`: did you mean `orders_365d`?", ""),
    ("orders > 5", "kind", "`orders` is a stream, not a value: say what of it: count(orders)", "args.0"),
    ("vip and loyal", "kind", '`vip` is a segment: write segment("vip")', "args.0"),
    ("grade", "kind", '`grade` is a tiering: write tier("grade")', ""),
    ("churn_risk > 0.5", "not-yet", "`churn_risk` is not available in this version", "args.0"),
    ("param.vip_spent", "unknown-name", "no parameter `vip_spent`: did you mean `vip_spend`?", ""),
    ("spend_365d * avg_ticket", "kind", "money times money has no meaning", ""),
    ("-level", "kind", "a number is needed here, this is text", "args.0"),
    ("orders_365d + level", "kind", "a number is needed here", "args.1"),
    ("orders_365d == level", "kind", "cannot be compared with text", "args.1"),
    ('orders_365d == "5"', "kind", '"5" is not an integer: write the number without quotes', "args.1"),
    ("level == 5", "kind", "text cannot be compared with an integer: put the value in quotes", "args.1"),
    ("loyal < True", "kind", "`<` does not compare booleans: only == and != apply", ""),
    ("needs == needs", "kind", "two lists cannot be compared", ""),
    ("orders_365d and loyal", "kind", "`and` joins conditions, this is an integer: compare it", "args.0"),
    ("orders_365d in needs", "kind", "`in` needs a list of integer", "args.1"),
    ("level in (orders_365d, 'a')", "kind", "text cannot be compared with an integer", "args.1.items.0"),
    ('last_order_at > "soon"', "kind", '"soon" is not an instant: a date is written "2026-03-01"', "args.1"),
    ('birth_date + "1h"', "kind", "only whole days", "args.1"),
    ('"30d" + last_order_at', "kind", "has no meaning", ""),
    ("last_order_at - 5", "kind", "a duration is needed here", "args.1"),
    ('tier("grade") == "golden"', "kind", '"golden" is not a tier of grade: did you mean `gold`?', "args.1"),
    ('tier("grade") > "silver"', "kind", '`>` does not compare tiers: write at_least("grade"', ""),
    ('tier("grade") == tier("rfm")', "kind", "cannot be compared", "args.1"),
    ('at_least("rfm", "star")', "kind", "the tiers of `rfm` have no rank: declare `ordered: true`", ""),
    ('at_least("grade", "golden")', "unknown-name", "no tier `golden`: did you mean `gold`?", "args.1"),
    ('segment("vips")', "unknown-name", "no segment `vips`: did you mean `vip`?", "args.0"),
    ("segment(loyal)", "argument", "written in quotes", "args.0"),
    # calls
    ("days_since()", "argument", "days_since() takes x: write days_since(x)", ""),
    ("days_since(birth_date, city)", "argument", "days_since() takes x", ""),
    ("days_since(orders_365d)", "kind", "a date or an instant is needed here", "args.0"),
    ("count(orders, were=kept)", "argument", "does not take `were=`: did you mean `where=`?", ""),
    ("share(orders)", "argument", "share() needs `of=`", ""),
    ("count(ordes)", "unknown-name", "no stream `ordes`: did you mean `orders`?", ""),
    ("count(orders.amount)", "argument", "count() is about whole rows: write count(orders)", ""),
    ("sum(orders)", "argument", "sum() needs a column", ""),
    ("sum(orders.amont)", "unknown-name", "`orders` has no column `amont`: did you mean `amount`?", ""),
    ("sum(orders.channel)", "kind", "sum() needs a number, `channel` is text", ""),
    ("min(orders.kept)", "kind", "something with an order", ""),
    ("count(orders, where=amount)", "kind", "`where=` is a condition on a row", "where"),
    (
        "count(orders, where=avg_ticket > 5)",
        "unknown-name",
        "for the customer's value write customer.avg_ticket",
        "where.args.0",
    ),
    ('count(orders, where=segment("vip"))', "kind", "make it a tag, and write customer.<tag>", "where"),
    ('count(orders, within="30")', "argument", "`within=` is a length of time", "within"),
    ('count(orders, within="0d")', "argument", "longer than nothing", "within"),
    ('count(orders, ago="90d..30d")', "argument", "the nearer first", "ago"),
    ("count(orders, since=orders_365d)", "kind", "`since=` is a date or an instant", "since"),
    ('count(orders, on="last moth")', "argument", "calendar words: did you mean `last month`?", "on"),
    ("count(orders, latest=0)", "argument", "a whole number from 1 to 10,000", "latest"),
    ("nth(orders.amount, orders_365d)", "argument", "`n` is a whole number", "args.0"),
    ("top(items.sku, n=101)", "argument", "from 1 to 100", "n"),
    ("top(items.sku, by=sum(orders.amount))", "argument", "an aggregate of the same rows", "by"),
    ('score(orders, half_life="1mo")', "argument", "counted in exact time", ""),
    ('streak(orders, every="2d")', "argument", "a calendar period: one of 1d, 1w", ""),
    ('anniversary(birth_date, within="7h")', "argument", "whole days", ""),
    ("band(orders_365d, 2, 1)", "argument", "ascending", ""),
    ("band(orders_365d, f)", "argument", "written out", ""),
    ('coalesce(orders_365d, "x")', "kind", "gives one kind", "args.1"),
    ("least(loyal, loyal)", "kind", "something with an order", ""),
    ('case(orders_365d, "x")', "kind", "a condition is needed here", "args.0"),
    ("case(loyal)", "argument", "case() takes condition, value", ""),
    ("contains(orders_365d, 'a')", "kind", "text is needed here", "args.0"),
    ('matches(city, "(?=a)")', "argument", "not an RE2 pattern", "args.1"),
    ("matches(city, level)", "argument", "written out", "args.1"),
    ('lookup("district", district, "band")', "unknown-name", "no lookup `district`", "args.0"),
    ('lookup("district_income", district, "bnd")', "unknown-name", "did you mean `band`?", "args.2"),
    ("ntile(city, 5)", "kind", "orders numbers and times", "args.0"),
    ("ntile(spend_365d, 1)", "argument", "from 2 to 1,000", "args.1"),
    ('rank(spend_365d, best="up")', "argument", '"high" or "low"', ""),
    ("rank(spend_365d, by=score)", "kind", "has no groups", "by"),
    ("rank(spend_365d, among=city)", "kind", "`among=` is a condition", "among"),
    ("in_top(spend_365d)", "argument", "either `n=` or `percent=`", ""),
    ("in_top(spend_365d, percent=101)", "argument", "above 0 and up to 100", ""),
    ("zscore(last_order_at)", "kind", "needs a number", "args.0"),
]


@pytest.mark.parametrize(("text", "code", "words", "address"), PROBLEMS, ids=[row[0] for row in PROBLEMS])
def test_problems(text: str, code: str, words: str, address: str) -> None:
    found = check(text)
    assert found.expr is None
    assert len(found.problems) == 1, found.problems
    problem = found.problems[0]
    assert (problem.code, problem.address) == (code, address)
    assert words in f"{problem.message}: {problem.hint}"
    assert "^" in problem.excerpt


def test_all_problems_are_reported_at_once() -> None:
    first, second = (
        "sum(orders.amont) > 5",
        ' and count(ordes) > 3 and exists(orders, where=channel == 5 and foo, within="30")',
    )
    text = f"{first}\n{second}"
    found = check_expression(parse(text), SCOPE, text=text, place=Place("tags.yaml", 4, 10))
    assert [(str(problem.where), problem.code, problem.address) for problem in found.problems] == [
        ("tags.yaml:4:10", "unknown-name", "args.0.args.0"),
        (f"tags.yaml:5:{second.index('count') + 1}", "unknown-name", "args.1.args.0"),
        (f"tags.yaml:5:{second.index('5') + 1}", "kind", "args.2.where.args.0.args.1"),
        (f"tags.yaml:5:{second.index('foo') + 1}", "unknown-name", "args.2.where.args.1"),
        (f"tags.yaml:5:{second.index('within') + len('within=') + 1}", "argument", "args.2.within"),
    ]


def test_the_expected_kind_is_asked_for() -> None:
    assert "a condition is needed here, this is an integer" in check("orders_365d", expect=BOOLEAN).problems[0].message
    assert "needed here" in check("city", expect=INTEGER).problems[0].message
    found = check('"2026-03-01"', expect=DATE)
    assert found.expr == Const(date(2026, 3, 1), kind=DATE)


# -- what the checked tree says ---------------------------------------------------------------------------------------


def test_names_are_resolved() -> None:
    found = check("exists(orders, where=channel == customer.city and amount > customer.avg_ticket and time < as_of)")
    assert found.expr is not None
    seen = {type(node).__name__: node for node in walk_typed(found.expr)}
    assert {"ColumnOf", "AttributeOf", "TagOf", "AsOf"} <= seen.keys()
    assert [node for node in walk_typed(found.expr) if isinstance(node, ColumnOf | AttributeOf | TagOf | AsOf)] == [
        ColumnOf("channel", kind=TEXT),
        AttributeOf("city", kind=TEXT),
        ColumnOf("amount", kind=MONEY),
        TagOf("avg_ticket", kind=MONEY),
        ColumnOf("time", kind=INSTANT),
        AsOf(),
    ]


def test_addresses_are_those_of_the_written_tree() -> None:
    found = check('loyal and count(orders, where=amount > 5, within="30d") > 3')
    assert found.expr is not None
    assert [node.address for node in walk_typed(found.expr)] == [
        "", "args.0", "args.1", "args.1.args.0", "args.1.args.0.where", "args.1.args.0.where.args.0",
        "args.1.args.0.where.args.1", "args.1.args.1",
    ]  # fmt: skip


def test_an_instant_that_meets_a_date_is_its_local_date() -> None:
    last = TagOf("last_order_at", kind=INSTANT)
    found = check('last_order_at > "2026-01-01"')
    assert found.expr == Apply(
        ">", (Apply("local_date", (last,), kind=DATE), Const(date(2026, 1, 1), kind=DATE)), kind=BOOLEAN
    )
    found = check('last_order_at > "2026-01-01 08:00"')
    assert found.expr == Apply(">", (last, Const(datetime.fromisoformat("2026-01-01"), kind=INSTANT)), kind=BOOLEAN)


def test_dates_and_instants_may_stand_in_one_list() -> None:
    found = check('last_order_at in ("2026-01-01", "2026-01-02 08:00")')
    assert isinstance(found.expr, Apply)
    assert found.expr.function == "or"
    assert [test.args[0].kind for test in found.expr.args if isinstance(test, Apply)] == [DATE, INSTANT]


def test_a_chain_is_joined_comparisons() -> None:
    found = check("1 <= orders_365d < 5")
    tag = TagOf("orders_365d", kind=INTEGER)
    assert found.expr == Apply(
        "and",
        (
            Apply("<=", (Const(1, kind=INTEGER), tag), kind=BOOLEAN),
            Apply("<", (tag, Const(5, kind=INTEGER)), kind=BOOLEAN),
        ),
        kind=BOOLEAN,
    )


def test_at_least_is_membership_in_the_better_tiers() -> None:
    found = check('at_least("grade", "silver")')
    assert isinstance(found.expr, Apply)
    listed = found.expr.args[1]
    assert isinstance(listed, Const)
    assert listed.value == ("gold", "silver")


def test_windows_are_read() -> None:
    found = check('count(orders, within=param.recent, ago="30d..90d", since="2026-01-01", on="last month", latest=3)')
    assert isinstance(found.expr, Aggregate)
    window = found.expr.window
    assert window.within == parse_duration("30d")
    assert window.ago == (parse_duration("30d"), parse_duration("90d"))
    assert (window.since, window.until, window.on) == (Const(date(2026, 1, 1), kind=DATE), None, "last month")
    assert found.expr.latest == 3


def test_a_quintile_is_an_ntile_of_five() -> None:
    found = check('quintile(spend_365d, best="low", by=city)')
    city, spend = AttributeOf("city", kind=TEXT), TagOf("spend_365d", kind=MONEY)
    assert found.expr == Population("ntile", spend, 5, None, city, None, "low", kind=INTEGER)


def test_equal_expressions_are_equal_wherever_they_stand() -> None:
    one, two = check("count(orders) > 3"), check("loyal and 3 < count(orders)")
    assert one.expr is not None and two.expr is not None
    assert len({node for expr in (one.expr, two.expr) for node in walk_typed(expr) if isinstance(node, Aggregate)}) == 1


# -- over the columns of a file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('column("Order ID")', "text"),
        ("paid > 5", "boolean"),
        ("paid * 0.01", "decimal"),
        ('column("Order ID") == "x"', "boolean"),
        ('case(startswith(paid, "-"), 0, n)', "integer"),
        ('at - "8h"', "instant"),
    ],
)
def test_expressions_over_a_file(text: str, kind: str) -> None:
    found = check(text, FILE)
    assert found.expr is not None, found.problems
    assert str(found.expr.kind) == kind


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('column("Order Id")', "unknown-name", "the file has no column `Order Id`: did you mean `Order ID`?"),
        ("days_since(at)", "kind", "depends on as_of and cannot stand in a source"),
        ("quintile(n)", "kind", "about customers"),
        ("as_of", "unknown-name", "no column `as_of`"),
        ("param.x", "unknown-name", "no parameter `x`"),
    ],
)
def test_problems_over_a_file(text: str, code: str, words: str) -> None:
    problem = check(text, FILE).problems[0]
    assert problem.code == code
    assert words in f"{problem.message}: {problem.hint}"
