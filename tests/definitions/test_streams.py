"""The streams everybody can count on: names, keys, and no column that means two things."""

from __future__ import annotations

from tierwise.definitions.language.functions import FUNCTIONS
from tierwise.definitions.streams import BUILT_IN, COMPUTED, PERSONAL_ROLES, REFERENCE_TABLES

EVERYTHING = BUILT_IN | REFERENCE_TABLES


def test_the_streams_of_the_design_are_there() -> None:
    names = ["orders", "items", "refunds", "events", "contacts", "responses", "visits", "activities"]
    assert [*BUILT_IN] == names
    assert [*REFERENCE_TABLES] == ["customers", "products", "stores"]
    assert not EVERYTHING.keys() & FUNCTIONS.keys()


def test_columns_are_named_once_and_required_ones_exist() -> None:
    for stream in EVERYTHING.values():
        names = [column.name for column in stream.columns]
        assert len(names) == len(set(names)), stream.name
        assert set(stream.required) <= set(names), stream.name
        assert all(name.isidentifier() for name in names)
        assert stream.about and stream.label
        assert not stream.required or not set(stream.required) & set(COMPUTED.get(stream.name, ()))


def test_reference_tables_have_a_key_that_is_required() -> None:
    for name in ("products", "stores"):
        table = REFERENCE_TABLES[name]
        assert not table.customer and table.key in table.required


def test_no_built_in_column_is_personal() -> None:
    for stream in EVERYTHING.values():
        assert not {column.name for column in stream.columns} & set(PERSONAL_ROLES), stream.name


def test_what_is_worked_out_at_as_of() -> None:
    assert COMPUTED == {"orders": ("kept_amount", "kept"), "visits": ("dwell_minutes",)}


def test_a_column_by_name() -> None:
    assert BUILT_IN["orders"].column("amount") is not None
    assert BUILT_IN["orders"].column("colour") is None
