"""What is declared is frozen, strict, and short where it can be."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tierwise.definitions.model import Label, Lookup, Parameter, Segment, Settings, StreamForm, Tag, Tier, Tiering


def test_short_forms() -> None:
    assert Tag.model_validate("count(orders)") == Tag(value="count(orders)")
    assert Segment.model_validate({"rule": "n > 1"}) == Segment.model_validate("n > 1")
    assert Tier.model_validate(" otherwise ").is_otherwise
    assert Tag.model_validate(True).value == "True"
    assert Tag.model_validate(0.1).value == "0.1"


def test_a_label_falls_back_on_the_other_language_and_the_name() -> None:
    assert Label(zh="消费", en="Spend").text("en", "x") == "Spend"
    assert Label(zh="消费").text("en", "x") == "消费"
    assert Label().text("zh", "top_category") == "top category"
    assert Label.model_validate("VIP").text("zh", "x") == "VIP"


@pytest.mark.parametrize(
    ("form", "values"),
    [
        (Tag, {"value": "1", "colour": "red"}), (Tag, {}), (Tag, {"value": ["a"]}), (Tag, {"value": float("inf")}),
        (Segment, {"rule": None}), (Tiering, {"tiers": {}}), (Tiering, {"tiers": {"a": "otherwise"}, "ordered": "yes"}),
        (Parameter, {"type": "cash", "default": 1}), (Lookup, {"file": "a.csv"}), (StreamForm, {"columns": {"a": "duration"}}),
        (Lookup, {"file": "a.csv", "key": "k", "types": {"a": "number"}}), (Settings, {"name": "x", "timezone": "Mars/Base"}),
        (Settings, {"name": "x", "currency": "yuan"}), (Settings, {"name": "x", "earliest": "someday"}), (Settings, {"name": 3}),
        (Settings, {"name": "x", "as_of": "yesterday"}), (Settings, {"name": "x", "engine": "oracle"}),
    ],
)  # fmt: skip
def test_what_is_refused(form: type[Tag], values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        form.model_validate(values)


def test_forms_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Tag(value="1").value = "2"


@pytest.mark.parametrize("as_of", ["now", "latest row", "2026-03-01", "2026-03-01 08:00", "2026-03-01T08:00:00Z"])
def test_instants_of_the_answers(as_of: str) -> None:
    assert Settings(name="x", as_of=as_of).as_of == as_of
