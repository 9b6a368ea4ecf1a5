"""Tree to sentence: what people read, in Chinese and in English, and that different rules never read alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.definitions.language.strategies import row_trees, trees
from tierwise.definitions import streams
from tierwise.definitions.language.functions import FUNCTIONS, Function, Param
from tierwise.definitions.language.kinds import MONEY
from tierwise.definitions.language.nodes import Call, Column, Literal, Name, Node, Op, Step, walk
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.sentences import Labels, Language, SentencePart, parts, sentence
from tierwise.definitions.language.treejson import tree_to_json
from tierwise.definitions.language.words import CALENDAR

NAMES = Labels(
    tags={
        "orders_365d": {"zh": "近一年订单数", "en": "orders, last year"},
        "spend_365d": {"zh": "近一年消费", "en": "spend, last year"},
        "last_order_at": {"zh": "最近下单时间", "en": "last order"},
        "avg_ticket": {"zh": "客单价"},
    },
    segments={"vip": {"zh": "高价值", "en": "high value"}},
    tierings={"grade": {"zh": "会员等级", "en": "grade"}},
    tiers={"grade.gold": {"zh": "金卡", "en": "gold card"}},
    parameters={"vip_spend": {"zh": "VIP门槛", "en": "VIP threshold"}},
    lookups={"district_income": {"zh": "区县收入", "en": "district income"}},
    units={"spend_365d": "元", "vip_spend": "元"},
)

#: An expression, its Chinese, its English; and so on.
SENTENCES = """
orders_365d >= 6 and days_since(last_order_at) <= 90
近一年订单数 ≥ 6，且 距最近下单时间的天数 ≤ 90
orders, last year is at least 6, and days since last order is at most 90
sum(orders.kept_amount, within="90d") < 0.5 * sum(orders.kept_amount, ago="90d..180d")
近90天内订单的净额合计 < 0.5 × 90~180天前订单的净额合计
total kept amount of orders in the last 90 days is less than 0.5 × total kept amount of orders 90 to 180 days ago
exists(orders, since=first(orders.time), until=first(orders.time) + "30d", where=kept)
首次订单的时间之后、截至（首次订单的时间 + 30天）有订单（有效）
has orders (kept) after time of the first order up to (time of the first order + 30 days)
share(orders, of=coupon_amount > 0, within="180d") >= 0.6
近180天内订单中（用券金额 > 0）的占比 ≥ 60%
share of orders in the last 180 days with (coupon amount is more than 0) is at least 60%
exists(orders, where=amount > 3 * customer.avg_ticket, within="7d")
近7天内有订单（实付金额 > 3 × 客户的客单价）
has orders (amount is more than 3 × the customer's 客单价) in the last 7 days
percent_rank(spend_365d, by=city) >= 0.8
近一年消费的百分位（同城市内）≥ 80%
percentile of spend, last year (within the same city) is at least 80%
days_since(last_order_at) > 1.2 * avg_gap(orders)
距最近下单时间的天数 > 1.2 × 订单平均间隔天数
days since last order is more than 1.2 × average days between orders
anniversary(birth_date, within="7d")
生日的周年日在未来7天内
the anniversary of birth date is within the next 7 days
12 <= months_since(baby_birthday) < 18
12 ≤ 距baby birthday的整月数 < 18
whole months since baby birthday is at least 12 and less than 18
quintile(days_since(last_order_at), best="low", among=orders_365d > 0) == 5
距最近下单时间的天数的五等分档位（低者为优；限（近一年订单数 > 0）的客户）= 5
place of days since last order in fifths (lowest is best; among customers with (orders, last year is more than 0)) equals 5
exists(orders, where=amount > 100, within="30d")
近30天内有订单（实付金额 > 100）
has orders (amount is more than 100) in the last 30 days
not exists(events, where=type == "coupon_used", within="30d")
近30天内没有行为（类型 是 "coupon_used"）
has no events (type is "coupon_used") in the last 30 days
count(orders, on="last month") == 0
上月订单次数 = 0
number of orders last month equals 0
count(orders, ago="3mo..1y", latest=5)
3个月~1年前最近5条订单次数
number of the latest 5 orders 3 months to 1 year ago
count(orders, since="2026-01-01", until="2026-01-31")
自2026-01-01起、截至2026-01-31 订单次数
number of orders from 2026-01-01 on up to 2026-01-31
days(visits, within="1mo")
近1个月内有到店的天数
number of days with visits in the last month
count(orders, within=param.recent)
近参数recent内订单次数
number of orders within the parameter recent
first(orders.time, where=kept, within="1y")
近1年内首次订单（有效）的时间
time of the first order (kept) in the last year
nth(orders.amount, 2)
第2次订单的实付金额
amount of the 2nd order
distinct(items.category)
商品明细中不同品类的个数
number of different category in items
top(items.sku, by=sum(items.amount), n=3)
商品明细中最多的商品（按商品明细的金额合计；取前3个）
most common sku in items (by total amount of items; the first 3)
streak(orders, every="1mo") >= 3
连续有订单的期数（每期1个月）≥ 3
number of periods of 1 month in a row with orders is at least 3
gender != "female"
性别 不是 "female"（含缺失）
gender is not "female" (or unknown)
children != 2
子女数 ≠ 2（含缺失）
children does not equal 2 (or unknown)
city not in ("上海", "北京")
城市 不是 "上海"、"北京" 之一（含缺失）
city is none of ("上海", "北京") (or unknown)
not contains(city, "a")
城市不包含"a"（含缺失）
city does not contain "a" (or unknown)
city is None or gender is not None
城市 缺失，或 性别 有值
city is unknown, or gender is known
(a or b) and not (c or d)
（a，或 b），且 并非（c，或 d）
(a, or b), and not (c, or d)
a or b and c
a，或（b，且 c）
a, or (b, and c)
not a and not not b
并非 a，且 并非（并非 b）
not a, and not (not b)
not (a > 5)
并非（a > 5）
not (a is more than 5)
kept == True
kept 是 真
kept is true
spend_365d >= 1000000
近一年消费 ≥ 1,000,000 元
spend, last year is at least 1,000,000 元
10000 <= spend_365d < param.vip_spend
10,000 元 ≤ 近一年消费 < 参数VIP门槛
spend, last year is at least 10,000 元 and less than the parameter VIP threshold
year(registered_at) == 2026
注册时间的年份 = 2026
year of registered at equals 2026
-a * (b + 19.90) - (c - 5)
−a ×（b + 19.9）−（c − 5）
−a × (b + 19.9) − (c − 5)
registered_at >= "2026-01-01"
注册时间 不早于 2026-01-01
registered at is on or after 2026-01-01
as_of - "1y"
计算时刻 − 1年
the moment of the answer − 1 year
tier("grade") == "gold" and not segment("vip")
所在会员等级 是 金卡，且 不属于「高价值」分群
tier in grade is gold card, and is not in the segment high value
tier("grade") in ("gold", "plain_x")
所在会员等级 是 金卡、plain x 之一
tier in grade is one of (gold card, plain x)
not at_least("grade", "gold")
所在会员等级低于金卡
tier in grade is below gold card
case(a > 1, "x", b, "y", "z") == "x"
（若 a > 1 则 "x"；若 b 则 "y"；否则 "z"）是 "x"
("x" if a is more than 1; "y" if b; otherwise "z") is "x"
coalesce(a, b, 0) + 1
（a、b、0）中首个有值的 + 1
first known of (a, b, 0) + 1
band(age(birth_date), 18, 25)
（按生日算的周岁）按18、25分的区间
band of (age in years by birth date) with the edges (18, 25)
lookup("district_income", district, "band")
区县收入中区县的band
band of district in district income
in_top(spend_365d, percent=20)
近一年消费排名前20%
spend, last year is in the top 20%
in_top(spend_365d, n=100, best="low")
近一年消费排名前100名（低者为优）
spend, last year is in the top 100 (lowest is best)
above_mean(spend_365d, best="low")
近一年消费低于平均
spend, last year is below the mean
not above_mean(spend_365d)
并非（近一年消费高于平均）
not (spend, last year is above the mean)
"""


_LINES = SENTENCES.strip().splitlines()


@pytest.mark.parametrize(
    ("text", "zh", "en"), list(zip(_LINES[::3], _LINES[1::3], _LINES[2::3], strict=True)), ids=_LINES[::3]
)
def test_sentences(text: str, zh: str, en: str) -> None:
    tree = parse(text)
    assert sentence(tree, "zh", NAMES) == zh
    assert sentence(tree, "en", NAMES) == en


def test_columns_of_a_file_are_named_as_such() -> None:
    tree = parse('column("Order ID") == "x"', rows=True)
    assert sentence(tree, "zh") == '「Order ID」列 是 "x"'
    assert sentence(tree, "en") == 'the column "Order ID" is "x"'


@pytest.mark.parametrize("word", CALENDAR)
def test_every_calendar_word_has_its_chinese(word: str) -> None:
    assert sentence(parse(f'exists(orders, on="{word}")'), "zh") == f"{CALENDAR[word]}有订单"


# -- every function ---------------------------------------------------------------------------------------------------


def _argument(param: Param) -> Node:
    literals: dict[str, Any] = {
        "duration": "30d",
        "durations": "30d..90d",
        "integer": 3,
        "number literal": Decimal("2.5"),
    }
    if param.takes == "choice":
        return Literal(param.choices[0])
    if param.takes in literals:
        return Literal(literals[param.takes])
    if param.takes == "step":
        return Step("events", Op("==", (Column("type"), Literal(param.name))))
    if param.takes == "column":
        return Column("sku")
    if param.takes == "text literal" or param.name == "salt":
        return Literal("春")
    if param.takes in ("name", "pattern"):
        return Literal(f"{param.name}_1")
    if param.takes == "aggregate":
        return Call("sum", stream="items", column="quantity")
    return Name(f"{param.name}_1")


def _full_call(function: Function) -> Call:
    stream = function.group == "stream"
    column = "sku" if any(param.takes == "stream.column" for param in function.params) else ""
    positional = [_argument(p) for p in function.params if not p.keyword and not p.takes.startswith("stream")]
    named = tuple((param.name, _argument(param)) for param in function.params if param.keyword)
    return Call(function.name, tuple(positional), named, "items" if stream else "", column)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_every_argument(name: str, language: Language) -> None:
    call = _full_call(FUNCTIONS[name])
    text = sentence(call, language)
    assert "…" not in text
    assert "{" not in text
    for address, node in walk(call):
        if address and not (name == "in_top" and address == "percent"):
            without = Call(
                call.function,
                call.args,
                tuple(pair for pair in call.named if pair[0] != address),
                call.stream,
                call.column,
            )
            assert without == call or sentence(without, language) != text, f"{address} ({node}) does not show"
    if language == "zh" and name != "case":
        assert any("\u4e00" <= char <= "\u9fff" for char in text)


# -- unambiguous ------------------------------------------------------------------------------------------------------


def _meaning(value: Any) -> Any:
    """What a tree's JSON says, numbers by their value."""
    if isinstance(value, dict):
        if value.get("type") in ("integer", "decimal"):
            return Decimal(value["literal"]).normalize()
        return {key: _meaning(inner) for key, inner in value.items()}
    return [_meaning(inner) for inner in value] if isinstance(value, list) else str(value)


def _says_true(tree: Node) -> bool:
    """Whether a thing is called `true` or `false`, which English cannot tell from the values."""
    return any(getattr(node, "name", "") in ("True", "False", "true", "false") for _, node in walk(tree))


def _same_sentences(strategy: st.SearchStrategy[Node], examples: int) -> list[str]:
    """Return sentences that two trees with different meanings share, among random trees."""
    meanings: dict[tuple[str, str], Any] = {}
    shared = []

    @given(strategy)
    @settings(max_examples=examples, database=None)
    def run(tree: Node) -> None:
        said = _meaning(tree_to_json(tree))
        for language in ("zh", "en"):
            text = sentence(tree, language)
            if meanings.setdefault((language, text), said) != said and not _says_true(tree):
                shared.append(text)

    run()
    return shared


@pytest.mark.parametrize("strategy", [trees, row_trees], ids=["customer", "rows"])
def test_different_trees_read_differently(strategy: st.SearchStrategy[Node]) -> None:
    assert _same_sentences(strategy, 120) == []


_CONDITIONS = st.recursive(
    st.sampled_from([parse(text) for text in ("a", "b", "a > 5", "a >= 5", "a > 50", "exists(orders)", "x in (a, b)")]),
    lambda inner: (
        st.builds(Op, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(lambda one: Op("not", (one,)), inner)
    ),
    max_leaves=5,
)


def test_logic_always_shows() -> None:
    assert _same_sentences(_CONDITIONS, 200) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("contains(a, lower(b))", "lower(contains(a, b))"),
        ("coalesce(a, b, c)", "coalesce(coalesce(a, b), c)"),
        ("least(a, coalesce(b, c))", "coalesce(least(a, b), c)"),
        ("days_since(a) + 5", "days_since(a + 5)"),
        (
            'exists(orders, since=first(orders.time, within="30d"))',
            'exists(orders, since=first(orders.time), within="30d")',
        ),
        ('days_since(first(orders.time, within="30d"))', "days_since(first(orders.time))"),
        ("a - (b - c)", "a - b - c"),
        ("(a < b) == c", "a < (b == c)"),
        ("not a == b", "(not a) == b"),
        ('a == "5"', "a == 5"),
        ('a == "30d"', 'a - "30d" == 0'),
        ("a", "param.a"),
        ("a > 5 and a < 9", "5 < a < 9"),
        ("case(a, b, c) and d", "case(a, b, c and d)"),
        ("nth(orders.amount, 2)", "nth(orders.amount, 3)"),
        ("in_top(a, n=20)", "in_top(a, percent=20)"),
        ("count(orders, where=a, latest=3)", "count(orders, where=a)"),
        ("exists(orders, where=a > customer.b)", "exists(orders, where=a > b)"),
    ],
)
def test_these_do_not_read_alike(one: str, other: str) -> None:
    for language in ("zh", "en"):
        assert sentence(parse(one), language) != sentence(parse(other), language)


# -- parts and labels -------------------------------------------------------------------------------------------------


@given(trees | row_trees)
@settings(max_examples=30)
def test_every_node_has_its_part(tree: Node) -> None:
    for language in ("zh", "en"):
        found = parts(tree, language)
        assert [part.address for part in found] == [address for address, _ in walk(tree)]
        assert found[0].text == sentence(tree, language)
        assert all(isinstance(part.text, str) for part in found)


def test_parts_read_as_they_stand() -> None:
    tree = parse('not exists(orders, where=amount > 5, within="30d") and tier("grade") == "gold"')
    assert parts(tree, "zh", NAMES) == [
        SentencePart("", "近30天内没有订单（实付金额 > 5），且 所在会员等级 是 金卡"),
        SentencePart("args.0", "近30天内没有订单（实付金额 > 5）"),
        SentencePart("args.0.args.0", "近30天内有订单（实付金额 > 5）"),
        SentencePart("args.0.args.0.where", "实付金额 > 5"),
        SentencePart("args.0.args.0.where.args.0", "实付金额"),
        SentencePart("args.0.args.0.where.args.1", "5"),
        SentencePart("args.0.args.0.within", "30天"),
        SentencePart("args.1", "所在会员等级 是 金卡"),
        SentencePart("args.1.args.0", "所在会员等级"),
        SentencePart("args.1.args.0.args.0", "会员等级"),
        SentencePart("args.1.args.1", "金卡"),
    ]


def test_labels() -> None:
    assert NAMES.text("tags", "avg_ticket", "en") == "客单价"  # the only label there is
    assert NAMES.text("attributes", "birth_date", "zh") == "生日"
    assert NAMES.text("attributes", "birth_date", "en") == "birth date"
    assert NAMES.text("streams", "group_buys", "zh") == "group buys"
    assert NAMES.text("columns", "items.category", "zh") == "品类"
    assert NAMES.text("columns", "orders.time", "zh") == "时间"
    assert NAMES.text("tiers", "grade.v1.0", "zh") == "v1.0"
    own = Labels(
        streams={"balances": {"zh": "资产", "en": "assets"}},
        columns={"orders.amount": {"zh": "付款", "en": "payment"}},
        known={"balances": streams.Stream("balances", (streams.Column("amount", MONEY, label="余额"),), label="账户")},
    )
    tree = parse("sum(balances.amount) > sum(orders.amount)")
    assert sentence(tree, "zh", own) == "资产的余额合计 > orders的付款合计"
    assert sentence(tree, "en", own) == "total amount of assets is more than total payment of orders"
