"""A snapshot: everything an answer depends on, frozen; its id stands on every number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from tierwise.definitions.language.typed import Value
from tierwise.engine.distributions import Distribution

__all__ = ["Snapshot", "Spine", "customers", "everyone", "moments"]


@dataclass(frozen=True)
class Snapshot:
    """What an evaluation reads beside the rows: when, which definitions, which versions, which distributions.

    `distributions` maps a fingerprint to the versions published for it; None means: publish for this as_of.
    `compares_with` are the fingerprints of all that the definitions compare with: what is not among the distributions
    is published for this as_of. `known_as` is the id that a run has given to this very state.
    `memberships` are the files of the membership log, `history_position` the newest manifest of it before as_of.
    `former` is the engine's table of customers who have become part of another, "" when there are none.
    `facts` are those said by hand (see `tierwise.engine.by_hand`), `facts_version` the number of the newest.
    """

    as_of: datetime
    definitions_hash: str
    parameters: Mapping[str, Value]
    lake_version: int
    identity_version: int
    distributions: Mapping[str, tuple[Distribution, ...]] | None = field(default=None, compare=False)
    memberships: tuple[str, ...] = field(default=(), compare=False)
    history_position: int = 0
    facts: pa.Table | None = field(default=None, compare=False)
    facts_version: int = 0
    compares_with: tuple[str, ...] = ()
    known_as: str = ""
    former: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """Return the hash of the snapshot: the same for the same state, whatever of it a question reads."""
        if self.known_as:
            return self.known_as
        frozen = self.distributions or {}
        published = [
            (key, [(one.as_of.isoformat(), one.published_in) for one in frozen.get(key, ())])
            for key in self.compares_with
        ]
        said = [
            self.as_of.isoformat(),
            self.definitions_hash,
            sorted((k, str(v)) for k, v in self.parameters.items()),
            self.lake_version,
            self.identity_version,
            published,
            self.history_position,
            self.facts_version,
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Spine:
    """Who is asked about, and when: everyone or some customers at one as_of, or a table of moments.

    `is_whole` says of moments that everyone known then is among those of each instant.
    """

    kind: str
    as_of: datetime | None = None
    table: pa.Table | None = None
    is_whole: bool = False


def everyone(as_of: datetime) -> Spine:
    """Return the spine of all customers known by `as_of` (naive UTC)."""
    return Spine("everyone", as_of)


def customers(ids: list[int], as_of: datetime) -> Spine:
    """Return the spine of these customers at `as_of` (naive UTC)."""
    return Spine("customers", as_of, pa.table({"customer_id": pa.array(ids, pa.int64())}))


def moments(table: pa.Table) -> Spine:
    """Return the spine of a table of (customer_id, as_of) rows, as_of naive UTC; answers come in the same order.

    Raises:
        KeyError: when a column is missing.

    Example:
        >>> moments(pa.table({"customer_id": [7], "as_of": [datetime(2026, 3, 1)]})).table.num_rows
        1
    """
    chosen = table.select(["customer_id", "as_of"]).cast(
        pa.schema([("customer_id", pa.int64()), ("as_of", pa.timestamp("us"))])
    )
    return Spine("moments", None, chosen)
