"""How an older store becomes a current one: numbered steps, applied in one transaction.

`versions/` holds one module per step; they are never edited once released. A step is written by hand, with
constants of its own: it must still mean the same when `tierwise.store.schema` has moved on.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tierwise.errors import EngineRefused

__all__ = ["REVISIONS", "revision_of", "upgrade"]

#: Every revision there is, oldest first; the last one is what this code needs.
REVISIONS: tuple[str, ...] = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0011",
    "0014",
    "0017",
    "0018",
)

_ADVISORY_LOCK = 0x7469657277697365  # "tierwise"


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a store, or nothing when it is new; one from the future is refused."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found not in REVISIONS:
        raise EngineRefused(
            f"this store was written by a newer Tierwise (revision {found}; this one knows up to {REVISIONS[-1]})",
            hint="install the newer version; the store has not been touched",
        )
    return found


def upgrade(connection: Connection) -> None:
    """Bring the store to the newest revision, inside the caller's transaction: all of it, or nothing."""
    if connection.dialect.name == "postgresql":
        # Two processes that open one old store: the second waits, and then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if revision_of(connection) == REVISIONS[-1]:
        return
    # Imported late: a store that is current opens without Alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
