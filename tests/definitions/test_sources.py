"""How sources are declared: short forms, personal roles, derived streams, and what cannot be meant."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from tests.house.tree import ROOT
from tierwise.definitions.sources import ColumnForm, CurrencyForm, NumbersForm, Source, StreamMapping

ORDERS = {"orders": {"time": "t", "columns": {"order_id": "o", "amount": "a"}}}


def source(**more: Any) -> Source:
    return Source.model_validate({"file": "a.csv", "customer": "c", "streams": ORDERS, **more})


def test_short_forms() -> None:
    form = source(row_key="o", missing="-", formats={"t": "%Y"})
    assert (form.row_key, form.missing, form.formats) == (("o",), ("-",), {"t": ("%Y",)})
    assert form.customer == ColumnForm(value="c")
    assert source(row_key=["a", "b"]).row_key == ("a", "b")
    assert ColumnForm.model_validate({"value": "a", "formats": "epoch"}).formats == ("epoch",)


def test_personal_columns() -> None:
    columns = {"phone": "手机", "city": "city", "note": {"value": "n", "role": "free_text"}}
    form = source(customer={"value": "openid", "role": "openid"}, streams={"customers": {"columns": columns}})
    assert form.personal() == {"手机": "phone", "n": "free_text", "openid": "openid"}
    named = source(streams={"products": {"columns": {"sku": "s", "name": "n"}}})
    assert named.personal() == {}, "a product's name is nobody's"


def test_signs_of_numbers() -> None:
    assert NumbersForm.model_validate({"decimal": ","}).thousands == "."
    assert NumbersForm.model_validate({"decimal": ",", "thousands": " "}).thousands == " "
    for wrong in ({"decimal": ",", "thousands": ","}, {"thousands": "."}, {"decimal": ";"}):
        with pytest.raises(ValidationError):
            NumbersForm.model_validate(wrong)


def test_rates() -> None:
    form = CurrencyForm.model_validate({"column": "c", "rates": {"usd": 7.1, "EUR": "8"}})
    assert form.rates == {"USD": Decimal("7.1"), "EUR": Decimal(8)}
    for rate in ("many", 0, -1, float("nan"), float("inf"), None, [1]):
        with pytest.raises(ValidationError):
            CurrencyForm.model_validate({"column": "c", "rates": {"USD": rate}})


@pytest.mark.parametrize(
    "more",
    [
        {"streams": {}}, {"on_change": "maybe"}, {"delimiter": ",,"}, {"quote": "\n"}, {"zone": "Mars/Base"}, {"skip_lines": -1},
        {"types": {"a": "cash"}}, {"formats": {"t": 5}}, {"formats": {"t": {"a": 1}}}, {"row_key": {"a": 1}}, {"row_key": [1]},
        {"colour": "red"}, {"customer": {"value": "c", "role": "shoe_size"}}, {"file": ["a.csv"]},
    ],
)  # fmt: skip
def test_what_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(**more)


def test_derived_streams() -> None:
    assert StreamMapping.model_validate({"from": "items", "by": "order_id"}).by == "order_id"
    for wrong in ({"from": "items"}, {"by": "order_id"}, {"from": "items", "by": "order_id", "time": "t"}):
        with pytest.raises(ValidationError):
            StreamMapping.model_validate(wrong)


def test_a_file_or_a_table() -> None:
    table = {"database": "crm.db", "file": "", "table": "orders"}
    assert (source().origin, source(**table).origin) == ("a.csv", "table orders")
    assert source(**{**table, "table": None, "query": "select 1"}).origin == "query"
    assert source(**{**table, "database": "postgresql://me:${PASSWORD}@host/x"}).database
    for wrong in (
        {"database": "crm.db"}, {"file": ""}, {"table": "orders"}, {**table, "table": None}, {**table, "query": "select 1"},
        {"columns": ["a"]}, {"sheet": 0}, {"sheet": ""}, {**table, "database": "postgresql://me:secret@host/x"},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            source(**wrong)


def test_every_key_is_documented_with_an_example() -> None:
    page = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    blocks = [YAML(typ="safe").load(block) for block in re.findall(r"^```yaml.*\n([^`]*)^```", page, re.MULTILINE)]
    examples = [Source.model_validate(block) for block in blocks if "streams" in block]
    shown = {name for example in examples for name in example.model_fields_set}
    assert shown == set(Source.model_fields)
