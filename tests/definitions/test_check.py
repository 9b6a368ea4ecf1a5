"""Everything wrong in the definitions is said at once, each problem at its place and with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import ORDERS, Brand, said
from tierwise.definitions.check import Catalogue, check, effective_streams
from tierwise.definitions.load import define
from tierwise.errors import DefinitionsInvalid, Problem

FILE = "definitions/all.yaml"


def problems_of(folder: Path, text: str) -> list[Problem]:
    found = Brand(folder, {FILE: text}).problems()
    assert all(problem.where.file == FILE and problem.where.line for problem in found), said(found)
    return found


TOO_LONG = " + ".join(["1"] * 5000)
WRONG: dict[str, tuple[str, str, str, str]] = {
    "itself": ("tags:\n  n: n + 1\n", "cycle", "2:6", "n → n"),
    "a circle": ("tags:\n  a: b + 1\n  b: c\n  c: a\n", "cycle", "2:6", "a → b → c → a"),
    "a circle over kinds": (
        'tags:\n  a: case(segment("s"), 1, 2)\nsegments:\n  s: tier("t") == "x"\ntierings:\n  t:\n    tiers:\n'
        "      x: a > 1\n      y: otherwise\n", "cycle", "2:6", "a → s → t → a",
    ),
    "a stream": ("tags:\n  n: count(ordrs)\n", "unknown-name", "2:6", "did you mean `orders`?"),
    "a column": ("tags:\n  n: {value: sum(orders.amont)}\n", "unknown-name", "2:14", "did you mean `amount`?"),
    "a tag": ("tags:\n  orders_n: count(orders)\n  m: order_n + 1\n", "unknown-name", "3:6", "did you mean `orders_n`?"),
    "a parameter": ("tags:\n  n: param.gold\n", "unknown-name", "2:6", "gold"),
    "a segment": ("tags:\n  n: case(segment(\"vip\"), 1, 0)\n", "unknown-name", "2:19", "vip"),
    "a function": ("tags:\n  n: cuont(orders)\n", "unknown-name", "2:6", "did you mean `count`?"),
    "a kind": ("tags:\n  n: sum(orders.amount) + 'x'\n", "kind", "2:27", "a number is needed"),
    "a condition": ("segments:\n  s: count(orders)\n", "kind", "2:6", "a condition is needed"),
    "an argument": ("tags:\n  n: 'count(orders, withn=\"3d\")'\n", "argument", "2:7", "did you mean `within=`?"),
    "a duration": ("tags:\n  n: param.p\nparameters: {p: {type: duration, default: 90d}}\n", "kind", "2:6", "a length of time"),
    "a quote": ("tags:\n  n: count(orders, within=“90d”)\n", "syntax", "2:27", 'did you mean `"`?'),
    "a bracket": ("tags:\n  n: 'count（orders）'\n", "syntax", "2:12", "did you mean `(`?"),
    "a digit": ("tags:\n  n: ６ + 1\n", "syntax", "2:6", "did you mean `6`?"),
    "5,000 terms": (f"tags:\n  n: {TOO_LONG}\n", "limit", "2:6", "8,000 are allowed"),
    "brackets": (f"tags:\n  n: {'(' * 60}1{')' * 60}\n", "limit", "2:46", "deeper than 40"),
    "two kinds of one name": ("tags:\n  a: count(orders)\nsegments:\n  a: count(orders) > 1\n", "duplicate-name", "4:3", "in tags"),
    "a function's name": ("tags:\n  count: 1\n", "reserved-name", "2:3", "a function"),
    "a stream's name": ("tags:\n  orders: 1\n", "reserved-name", "2:3", "a stream"),
    "a stream twice": ("streams:\n  orders: {columns: {}}\n", "reserved-name", "2:3", "a built-in stream"),
    "no otherwise": (
        "tierings:\n  t:\n    tiers:\n      a: count(orders) > 1\n      b: count(orders) > 0\n", "no-otherwise", "5:10",
        "end it with a tier whose rule is otherwise",
    ),
    "otherwise first": (
        "tierings:\n  t:\n    tiers:\n      a: otherwise\n      b: otherwise\n", "no-otherwise", "4:10", "the tiers below it nobody",
    ),
    "a programme of one tier": (
        "tierings:\n  t:\n    tiers: {a: otherwise}\n    keep: {term: 365d}\n", "programme", "3:12", "nothing to remember",
    ),
    "staying with everyone who is left": (
        "tierings:\n  t:\n    tiers:\n      a: count(orders) > 1\n      b: {rule: otherwise, stay: count(orders) > 0}\n",
        "programme", "5:34", "nothing to stay for",
    ),
    "a wrong stay": (
        "tierings:\n  t:\n    tiers:\n      a: {rule: count(orders) > 1, stay: count(ordrs) > 0}\n      b: otherwise\n",
        "unknown-name", "4:42", "did you mean `orders`?",
    ),
    "a programme that compares with the population": (
        "tags:\n  r: quintile(count(orders))\ntierings:\n  t:\n    tiers: {a: r > 4, b: otherwise}\n    keep: {term: 1y}\n",
        "programme", "5:16", "compares with other customers",
    ),
    "a term": (
        "tierings:\n  t:\n    tiers: {a: count(orders) > 1, b: otherwise}\n    keep: {term: 5 years}\n",
        "shape", "4:18", "is not a length of time",
    ),
    "a downgrade": (
        "tierings:\n  t:\n    tiers: {a: count(orders) > 1, b: otherwise}\n    keep: {term: 1y, downgrade: two_steps}\n",
        "shape", "4:33", "one_step",
    ),
    "a default": ("parameters:\n  p: {type: date, default: soon}\n", "kind", "2:28", "is not date"),
    "a large number": ("tags:\n  n: 1e400\n", "shape", "2:6", "too large"),
    "python": ("tags:\n  n: __import__('os').system('ls')\n", "syntax", "2:6", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_definition_that_is_wrong(tmp_path: Path, case: str) -> None:
    text, code, place, words = WRONG[case]
    problem = problems_of(tmp_path, text)[0]
    assert (problem.code, str(problem.where)) == (code, f"{FILE}:{place}")
    assert words in str(problem)


def test_a_cause_is_reported_once_and_not_where_it_is_used(tmp_path: Path) -> None:
    text = "tags:\n  a: count(ordrs)\n  b: a + 1\n  c: b + a\nsegments:\n  s: c > 1\n"
    (problem,) = problems_of(tmp_path, text)
    assert problem.where.line == 2


def test_all_problems_at_once(tmp_path: Path) -> None:
    text = "tags:\n  a: count(ordrs)\n  b: sum(orders.amont) + 'x'\n  c: c\n  count: 1\nsegments:\n  s: '1 +'\n"
    found = problems_of(tmp_path, text)
    assert sorted((problem.where.line, problem.code) for problem in found) == [
        (2, "unknown-name"), (3, "unknown-name"), (4, "cycle"), (5, "reserved-name"), (7, "syntax"),
    ]  # fmt: skip
    with Brand(tmp_path).open() as project:
        with pytest.raises(DefinitionsInvalid) as refused:
            project.run()
        assert len(refused.value.problems) == 5
        assert refused.value.as_json()["problems"][0]["where"]["file"] == FILE


def test_a_tier_that_can_never_match_is_a_warning(tmp_path: Path) -> None:
    text = "tierings:\n  t:\n    tiers:\n      some: count(orders) > 0\n      many: count(orders) > 5\n      none: otherwise\n"
    brand = Brand(tmp_path, {FILE: text, "sources/orders.yaml": ORDERS, "data/orders.csv": "id,customer,time,amount\n"})
    (problem,) = brand.problems()
    assert (problem.code, problem.severity, problem.where.line) == ("never-matches", "warning", 5)
    assert "already in `some`" in problem.message
    report = brand.run()
    assert report["warnings"] == [str(problem)]
    assert {one["tier"] for one in report["never_matched"]} == {"some", "many", "none"}


# -- what a catalogue knows --------------------------------------------------------------------------------------------


def checked(**sections: dict[str, object]) -> Catalogue:
    definitions, problems = define("test", **sections)
    assert definitions is not None and not problems
    catalogue, found = check(definitions)
    assert catalogue is not None, said(found)
    return catalogue


def test_names_are_in_an_order_in_which_each_reads_earlier_ones() -> None:
    catalogue = checked(
        tags={"a": "b + 1", "b": "c", "c": "count(orders)", "d": "case(segment('s'), 1, 0)"}, segments={"s": "a > 1"}
    )
    place = {name: n for n, name in enumerate(catalogue.order)}
    assert place["c"] < place["b"] < place["a"] < place["s"] < place["d"]


def test_a_digest_changes_with_what_is_read_and_with_nothing_else() -> None:
    def digests(count: str = "count(orders)", gold: int = 5, label: str = "") -> dict[str, str]:
        return dict(
            checked(
                tags={"n": {"value": count, "label": label}, "other": "count(items)"},
                segments={"s": "n > param.gold"},
                parameters={"gold": {"type": "integer", "default": gold}},
            ).digests
        )

    first = digests()
    assert digests(count=" count( orders )", label="x") == first
    assert {name for name, value in digests(count="count(refunds)").items() if value != first[name]} == {"n", "s"}
    assert {name for name, value in digests(gold=6).items() if value != first[name]} == {"s"}


def test_what_is_sensitive_taints_what_reads_it() -> None:
    catalogue = checked(
        tags={"need": {"value": "top(items.need, by=count(items))", "sensitive": "health"}, "n": "count(orders)"},
        segments={"ill": 'need == "x"', "busy": "n > 1"},
    )
    assert {name: set(kinds) for name, kinds in catalogue.sensitive.items() if kinds} == {
        "need": {"health"},
        "ill": {"health"},
    }


def test_an_expression_asked_from_outside() -> None:
    catalogue = checked(tags={"n": "count(orders)"})
    assert str(catalogue.expression("n + 1")[1].kind) == "integer"
    for text, words in (("m + 1", "`m`"), ("n +", "syntax")):
        with pytest.raises(DefinitionsInvalid) as refused:
            catalogue.expression(text)
        assert words in str(refused.value)


def test_streams_with_the_columns_that_sources_and_products_add() -> None:
    source = {
        "file": "a.csv", "customer": "c",
        "streams": {"orders": {"time": "t", "columns": {"order_id": "o", "amount": "a", "weight": {"value": "w", "type": "decimal"}}}},
    }  # fmt: skip
    definitions, _ = define(
        "test", sources={"a": source}, streams={"treatments": {"columns": {"sku": "text", "dose": "decimal"}}}
    )
    assert definitions is not None
    streams, problems = effective_streams(definitions)
    assert not problems
    assert str(streams["orders"].column("weight").kind) == "decimal"  # type: ignore[union-attr]
    catalogue, _ = check(definitions)
    assert catalogue is not None
    category = catalogue.streams["treatments"].column("category")
    assert category is not None and category.origin == "products", "a stream with a sku has the product's columns"
