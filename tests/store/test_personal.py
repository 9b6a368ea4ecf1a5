"""Every column of the store that can hold a text is named as somebody's or as nobody's."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Integer, LargeBinary, MetaData, Table, Text

from tierwise.store.personal import IMPERSONAL, KEPT, PERSONAL
from tierwise.store.schema import METADATA


def text_columns(metadata: MetaData) -> set[tuple[str, str]]:
    return {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Text | JSON | LargeBinary)
    }


def named() -> list[tuple[str, str]]:
    somebody = [(one.table, column) for one in PERSONAL for column in one.columns]
    return somebody + [(table, column) for table, columns in IMPERSONAL.items() for column in columns]


def test_every_column_is_named_once() -> None:
    assert len(named()) == len(set(named()))
    absent = text_columns(METADATA) - set(named())
    assert not absent, f"say in store/personal.py whose these are, and what erasing does to them: {sorted(absent)}"
    assert not set(named()) - text_columns(METADATA), "named, and not there"


def test_every_table_of_a_customer_is_erased_or_named() -> None:
    """A table that says which customer or record a row is about is erased by that column, or nothing in it is personal."""
    handled = {one.table for one in PERSONAL} | {"identities", "erasures"} | set(KEPT)
    about = {
        table.name
        for table in METADATA.tables.values()
        if {"customer_id", "source_record_id"} & set(table.columns.keys())
    }
    assert not about - handled


def test_the_column_that_names_the_person_is_there() -> None:
    for one in PERSONAL:
        assert one.by in METADATA.tables[one.table].columns
        assert one.export and one.mask
        optional = one.erase == "row" or all(METADATA.tables[one.table].columns[name].nullable for name in one.columns)
        assert optional, "a column that cannot be emptied goes with its row"


def test_a_new_column_would_be_noticed() -> None:
    metadata = MetaData()
    Table("facts", metadata, Column("id", Integer), Column("reason", Text), Column("about", JSON))
    assert text_columns(metadata) == {("facts", "reason"), ("facts", "about")}
