"""What each definition reads by itself, and what reads it."""

from __future__ import annotations

from tierwise.definitions.check import check
from tierwise.definitions.lineage import lineage
from tierwise.definitions.load import define


def test_every_way_of_reading_is_found() -> None:
    definitions, problems = define(
        "shop",
        tags={
            "spend": "sum(orders.kept_amount)",
            "lately": 'followed(events(type == "add_to_cart"), within="2d", without=orders())',
            "r": 'quintile(spend, among=gender == "f")',
        },
        segments={"big": "spend > param.much", "was_big": 'entered("big", within="30d") and r > 2'},
        tierings={"grade": {"tiers": {"gold": 'segment("big")', "none": "otherwise"}}},
        sources={
            "people": {"file": "people.csv", "customer": "id", "streams": {"customers": {"columns": {"gender": "sex"}}}}
        },
        parameters={"much": {"type": "money", "default": 100}},
    )
    assert definitions is not None, problems
    catalogue, found = check(definitions)
    assert catalogue is not None, found
    lines = lineage(catalogue)
    assert (lines["spend"].streams, lines["spend"].used_by) == (("orders",), ("r", "big"))
    assert lines["lately"].streams == ("events", "orders")
    assert (lines["r"].attributes, lines["r"].definitions) == (("gender",), ("spend",))
    assert lines["big"].parameters == ("much",)
    assert (lines["was_big"].history, lines["was_big"].definitions) == (("big",), ("r",))
    assert set(lines["big"].used_by) == {"was_big", "grade"}
    assert lines["grade"].used_by == ()
