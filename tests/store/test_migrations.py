"""The migrations end at the schema the code declares, in one transaction."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from tierwise.store import Store, migrations
from tierwise.store.schema import METADATA
from tierwise.store.transactions import Transactions


def test_the_revisions_are_the_files() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == migrations.REVISIONS


def test_the_migrated_schema_is_the_declared_one(where: str) -> None:
    Store.open(where).close()
    transactions = Transactions(where)
    with transactions.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA) == []
        found = inspect(connection)
        for table in METADATA.tables.values():
            checks = {check["name"] for check in found.get_check_constraints(table.name)}
            declared = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
            assert checks == declared, table.name
    transactions.close()


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(where: str) -> None:
    transactions = Transactions(where)

    def fail_at_the_end() -> None:
        with transactions.write() as connection:
            migrations.upgrade(connection)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail_at_the_end()
    with transactions.read() as connection:
        assert inspect(connection).get_table_names() == []
    transactions.close()
    Store.open(where).close()


def test_the_schema_can_be_written_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    text = "\n".join(
        [
            *(str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables),
            *(
                str(CreateIndex(index).compile(dialect=dialect))
                for table in METADATA.sorted_tables
                for index in table.indexes
            ),
        ]
    )
    assert "BIGINT" in text
    assert "TIMESTAMP WITH TIME ZONE" in text
    assert "WHERE to_version IS NULL" in text
