"""Which run the results are of, as the engine says, and which one was recorded last, as the lake does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import col, text
from tierwise.lake import Lake

__all__ = ["PROGRAMMES", "RESULTS", "STATE", "Standing", "last_run", "read_state", "recorded_declaration", "state_rows"]

#: The table of answers: one row a customer, one column a tag, tiering and segment.
RESULTS: Final = "customers"
#: The table of where the programmes have everyone: tier, since when, until when.
PROGRAMMES: Final = "programmes"
#: The engine's table about itself: key, value.
STATE: Final = "engine_state"
_RESULTS: Final = "results$"


@dataclass(frozen=True)
class Standing:
    """What the results depend on, as their run saw it; written with the results, in one transaction.

    Args:
        run_id: the run that computed them.
        as_of: the instant they are for.
        snapshot_id: the id of the run's snapshot.
        definitions_hash: the definitions they were computed with.
        lake_version: the newest manifest of rows that was read.
        identity_version: the state of the identities that was read.
        manifest: the lake's newest manifest when they were put in place.
        log_run: the run that wrote the membership log's newest entry by then, 0 of none.
        facts_version: the number of the newest fact by hand that was read, 0 of none.
        believed: whether it compared with distributions that were published before it.
        refunds_without_order: how many refunds change no order.
    """

    run_id: int
    as_of: datetime
    snapshot_id: str
    definitions_hash: str
    lake_version: int
    identity_version: int
    manifest: int
    log_run: int
    facts_version: int = 0
    believed: bool = False
    refunds_without_order: int | None = None

    @property
    def compares_in_lake(self) -> bool:
        """Whether the lake has what it compared with: not when it published for itself and was not recorded."""
        return self.believed or self.run_id == self.log_run

    def entry(self) -> dict[str, str]:
        """Return it as a row of the engine's table about itself."""
        return {_RESULTS: json.dumps({**asdict(self), "as_of": self.as_of.isoformat()})}

    @classmethod
    def of(cls, engine: DuckEngine) -> Standing | None:
        """Return what the results in the engine depend on, or nothing when there are none."""
        found = read_state(engine).get(_RESULTS)
        if found is None:
            return None
        values = json.loads(found)
        return cls(**{**values, "as_of": datetime.fromisoformat(values["as_of"])})


def last_run(lake: Lake) -> Mapping[str, Any]:
    """Return what the newest recorded run said of itself, or nothing; what was added for earlier instants is none."""
    entries = [entry.about for entry in lake.entries("memberships") if not entry.about.get("backfill")]
    return entries[-1] if entries else {}


def recorded_declaration(lake: Lake, up_to: int | None = None) -> Mapping[str, Any] | None:
    """Return what the newest recorded run was declared with, as `Definitions.written` gives it; nothing before one.

    Args:
        lake: where the log is.
        up_to: the newest manifest that counts; all by default.
    """
    said = [entry.about["declared"] for entry in lake.entries("memberships", up_to) if "declared" in entry.about]
    return said[-1] if said else None


def read_state(engine: DuckEngine) -> dict[str, str]:
    """Return the engine's table about itself."""
    if STATE not in engine.tables():
        return {}
    return {str(key): str(value) for key, value in engine.rows(exp.select(col("key"), col("value")).from_(STATE))}


def state_rows(state: Mapping[str, str]) -> exp.Expression:
    """Return the SELECT that makes the engine's table about itself."""
    rows = [exp.select(text(key).as_("key"), text(value).as_("value")) for key, value in state.items()]
    union: exp.Expression = rows[0]
    for row in rows[1:]:
        union = exp.Union(this=union, expression=row, distinct=False)
    return union
