"""Published distributions: what a population function compares with, frozen as an input of the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.typed import Population, SegmentOf, TagOf, TierOf, walk_typed

__all__ = ["Distribution", "Group", "SCALE", "fingerprint", "from_rows", "measure", "to_rows"]

#: What a value is multiplied with to be a whole number (floats are not; they are rounded to 9 digits).
SCALE: Final = {"integer": 1, "money": 100, "decimal": 1_000_000, "date": 1, "instant": 1, "float": 1}


@dataclass(frozen=True)
class Group:
    """The distribution in one group: `values` ascending and distinct (scaled), `up_to` how many are at or below each."""

    values: np.ndarray
    up_to: np.ndarray
    mean: float
    deviation: float

    @property
    def size(self) -> int:
        """Return how many customers were counted."""
        return int(self.up_to[-1]) if len(self.up_to) else 0

    def cuts(self, n: int) -> list[float]:
        """Return the cut points k/n, k = 1 … n-1: the smallest value with at least k/n of the group at or below it.

        Example:
            >>> group = measure(np.array([10.0, 20.0, 30.0, 40.0]), np.ones(4, dtype=np.int64), 1)
            >>> group.cuts(2)
            [20.0]
        """
        wanted = -(-np.arange(1, n, dtype=np.int64) * self.size // n)
        return [float(value) for value in self.values[np.searchsorted(self.up_to, wanted)]]

    def steps(self, function: str, n: int | None, low: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return (values, positions): the position of x is that of the largest value below it (or at it, for ranks)."""
        if function in ("rank", "in_top"):
            return self.values, self.up_to
        if function == "percent_rank":
            points = self.thousandths(low)
        else:
            points = np.array(self.cuts(n or 5))
        values, counts = np.unique(points, return_counts=True)
        return values, np.cumsum(counts)

    def thousandths(self, low: bool) -> np.ndarray:
        """Return the 1,000 points k/1000; for `low` counted from the top, the largest value with k/1000 at or above."""
        wanted = -(-np.arange(1, 1001, dtype=np.int64) * self.size // 1000)
        if not low:
            return self.values[np.searchsorted(self.up_to, wanted)]
        from_top = self.size - np.concatenate([[0], self.up_to[:-1]])  # how many are at or above each value
        index = len(self.values) - 1 - np.searchsorted(from_top[::-1], wanted)
        return self.values[index]


@dataclass(frozen=True)
class Distribution:
    """One published distribution; `groups` has one entry (None) when the function has no ``by``."""

    id: str
    expression: str
    kind: str
    as_of: datetime
    groups: Mapping[str | None, Group]


def fingerprint(node: Population, catalogue: Catalogue) -> str:
    """Return the id of what is published for a node: equal for functions that compare with the same population."""
    said = [repr(node.x), repr(node.by), repr(node.among), node.x.kind.name]
    for part in walk_typed(node):
        if isinstance(part, TagOf | SegmentOf):
            said.append(f"{part.name}={catalogue.digests.get(part.name, '')}")
        elif isinstance(part, TierOf):
            said.append(f"{part.tiering}={catalogue.digests.get(part.tiering, '')}")
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def measure(values: np.ndarray, counts: np.ndarray, scale: int) -> Group:
    """Return the distribution of values (distinct, ascending, scaled) that occur so many times."""
    total = int(counts.sum())
    plain = values / scale
    mean = float(np.dot(plain, counts) / total) if total else float("nan")
    deviation = float(np.sqrt(np.dot((plain - mean) ** 2, counts) / total)) if total else float("nan")
    return Group(values, np.cumsum(counts), mean, deviation)


_ROWS: Final = pa.schema([
    ("id", pa.string()), ("expression", pa.string()), ("by_value", pa.string()), ("kind", pa.string()),
    ("points", pa.list_(pa.float64())), ("up_to", pa.list_(pa.int64())), ("mean", pa.float64()), ("deviation", pa.float64()),
    ("population", pa.int64()), ("as_of", pa.timestamp("us")),
])  # fmt: skip


def to_rows(distributions: Sequence[Distribution]) -> pa.Table:
    """Return the lake's rows of distributions, one a group."""
    rows = [
        {
            "id": one.id, "expression": one.expression, "by_value": by_value, "kind": one.kind, "points": group.values.tolist(),
            "up_to": group.up_to.tolist(), "mean": group.mean, "deviation": group.deviation, "population": group.size,
            "as_of": one.as_of,
        }
        for one in distributions
        for by_value, group in one.groups.items()
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=_ROWS)


def from_rows(table: pa.Table) -> list[Distribution]:
    """Return the distributions the lake's rows describe."""
    found: dict[tuple[str, datetime], dict[str | None, Group]] = {}
    about: dict[tuple[str, datetime], tuple[str, str]] = {}
    for row in table.to_pylist():
        key = (row["id"], row["as_of"])
        about[key] = (row["expression"], row["kind"])
        group = Group(np.array(row["points"], dtype=np.float64), np.array(row["up_to"], dtype=np.int64), row["mean"], row["deviation"])
        found.setdefault(key, {})[row["by_value"]] = group
    return [Distribution(key[0], *about[key], key[1], groups) for key, groups in found.items()]
