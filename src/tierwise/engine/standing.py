"""Which run the results are of: written into the engine with the results, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import col, text

__all__ = ["STATE", "Standing", "read_state", "state_rows"]

#: The engine's table about itself: key, value.
STATE: Final = "engine_state"
_RESULTS: Final = "results$"


@dataclass(frozen=True)
class Standing:
    """What the results depend on, as their run saw it.

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
