"""Published distributions: what a population function compares with, frozen as an input of the answer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.typed import ParameterOf, Population, SegmentOf, TagOf, TierOf, walk_typed
from tierwise.lake import Lake

__all__ = [
    "SCALE",
    "Distribution",
    "Group",
    "Published",
    "fingerprint",
    "fingerprints",
    "from_rows",
    "measure",
    "newest",
    "published",
    "to_rows",
]

#: What a value is multiplied with to be a whole number (floats are not; they are rounded to 9 digits).
SCALE: Final = {"integer": 1, "money": 100, "decimal": 1_000_000, "date": 1, "instant": 1, "float": 1}


@dataclass(frozen=True)
class Group:
    """The distribution in one group: `values` ascending and distinct, `up_to` how many are at or below each.

    Values of exact kinds are whole numbers (scaled), those of floats are rounded to 9 significant digits.
    """

    values: np.ndarray
    up_to: np.ndarray
    mean: float
    deviation: float

    @property
    def size(self) -> int:
        """Return how many customers were counted."""
        return int(self.up_to[-1]) if len(self.up_to) else 0

    def cuts(self, n: int) -> np.ndarray:
        """Return the cut points k/n, k = 1 … n-1: the smallest value with at least k/n of the group at or below it.

        Example:
            >>> group = measure(np.array([10, 20, 30, 40]), np.ones(4, dtype=np.int64), 1)
            >>> group.cuts(2).tolist()
            [20]
        """
        wanted = -(-np.arange(1, n, dtype=np.int64) * self.size // n)
        cuts: np.ndarray = self.values[np.searchsorted(self.up_to, wanted)]
        return cuts

    def steps(self, function: str, n: int | None, low: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return (values, positions): the position of x is that of the largest value below it (or at it, for ranks)."""
        if function in ("rank", "in_top"):
            return self.values, self.up_to
        if function == "percent_rank":
            points = self.thousandths(low)
        else:
            points = self.cuts(n or 5)
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
    """One published distribution; `groups` has one entry (None) when the function has no ``by``.

    `published_in` names the file of the lake it was read from.
    """

    id: str
    expression: str
    kind: str
    as_of: datetime
    groups: Mapping[str | None, Group]
    published_in: str = ""


def fingerprint(node: Population, catalogue: Catalogue) -> str:
    """Return the id of what is published for a node: equal for functions that compare with the same population."""
    said = [repr(node.x), repr(node.by), repr(node.among), node.x.kind.name]
    for part in walk_typed(node):
        if isinstance(part, TagOf | SegmentOf):
            said.append(f"{part.name}={catalogue.digests.get(part.name, '')}")
        elif isinstance(part, TierOf):
            said.append(f"{part.tiering}={catalogue.digests.get(part.tiering, '')}")
        elif isinstance(part, ParameterOf):
            said.append(f"param.{part.name}={catalogue.parameters[part.name][1]}")
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def fingerprints(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the ids of everything that the definitions compare with, in order."""
    rules = [*catalogue.tags.values(), *catalogue.segments.values()]
    rules += [
        rule for group in (catalogue.tierings, catalogue.stays) for tiers in group.values() for rule in tiers.values()
    ]
    parts = (part for rule in rules if rule.expr is not None for part in walk_typed(rule.expr))
    return tuple(sorted({fingerprint(part, catalogue) for part in parts if isinstance(part, Population)}))


def measure(values: np.ndarray, counts: np.ndarray, scale: int) -> Group:
    """Return the distribution of values (distinct, ascending; whole numbers where scaled) that occur so many times.

    Example:
        >>> group = measure(np.array([10, 40]), np.array([2, 1]), 10)
        >>> group.size, group.mean, round(group.deviation, 6)
        (3, 2.0, 1.414214)
    """
    if not len(counts):
        mean = deviation = math.nan
    elif values.dtype.kind == "f":
        mean, deviation = _of_floats(values, counts)
    else:
        mean, deviation = _of_whole_numbers(values, counts, scale)
    return Group(values, np.cumsum(counts), mean, deviation)


def _of_floats(values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Mean and deviation, the sum exact; not a number where they are beyond binary64."""
    try:
        mean = math.fsum(np.repeat(values, counts)) / int(counts.sum())
    except OverflowError:
        return math.nan, math.nan
    if len(values) == 1:  # its mean may be beside it in binary
        return mean, 0.0
    with np.errstate(over="ignore"):
        variance = float(np.dot((values - mean) ** 2, counts) / counts.sum())
    return mean, math.sqrt(variance) if math.isfinite(variance) else math.nan


def _of_whole_numbers(values: np.ndarray, counts: np.ndarray, scale: int) -> tuple[float, float]:
    """Mean and deviation of values / scale; the distances from the whole number next to the mean are exact."""
    size = int(counts.sum())
    whole = np.int64 if max(int(values.max()), -int(values.min())) * size < 2**62 else object  # exact in either
    exact = values.astype(whole)
    total = int(np.dot(exact, counts.astype(whole)))
    middle = (2 * total + size) // (2 * size)
    gaps = (exact - middle).astype(np.float64) - (total - middle * size) / size
    return total / scale / size, math.sqrt(float(np.dot(gaps**2, counts)) / size) / scale


_ROWS: Final = pa.schema(
    [
        ("id", pa.string()),
        ("expression", pa.string()),
        ("by_value", pa.string()),
        ("kind", pa.string()),
        ("points", pa.list_(pa.float64())),
        ("exact", pa.list_(pa.int64())),
        ("up_to", pa.list_(pa.int64())),
        ("mean", pa.float64()),
        ("deviation", pa.float64()),
        ("population", pa.int64()),
        ("as_of", pa.timestamp("us")),
    ]
)


def to_rows(distributions: Sequence[Distribution]) -> pa.Table:
    """Return the lake's rows of distributions, one a group; floats stand in `points`, whole numbers in `exact`."""
    rows = [
        {
            "id": one.id,
            "expression": one.expression,
            "by_value": by_value,
            "kind": one.kind,
            "points" if group.values.dtype.kind == "f" else "exact": group.values,
            "up_to": group.up_to,
            "mean": group.mean,
            "deviation": group.deviation,
            "population": group.size,
            "as_of": one.as_of,
        }
        for one in distributions
        for by_value, group in one.groups.items()
    ]
    return pa.Table.from_pylist(rows, schema=_ROWS)


def from_rows(table: pa.Table) -> list[Distribution]:
    """Return the distributions the lake's rows describe."""
    found: dict[tuple[str, datetime], dict[str | None, Group]] = {}
    about: dict[tuple[str, datetime], tuple[str, str]] = {}
    lists = {name: table.column(name).combine_chunks() for name in ("exact", "points", "up_to")}
    for index, row in enumerate(table.drop_columns(list(lists)).to_pylist()):
        key = (row["id"], row["as_of"])
        about[key] = (row["expression"], row["kind"])
        held = "exact" if lists["exact"][index].is_valid else "points"
        values, up_to = (lists[name][index].values.to_numpy(zero_copy_only=False) for name in (held, "up_to"))
        found.setdefault(key, {})[row["by_value"]] = Group(values, up_to, row["mean"], row["deviation"])
    return [Distribution(key[0], *about[key], key[1], groups) for key, groups in found.items()]


@dataclass(frozen=True)
class Published:
    """A distribution in the lake: what it is of, and in which file."""

    id: str
    expression: str
    kind: str
    as_of: datetime
    path: Path

    def distribution(self) -> Distribution:
        """Return it; its groups are read when they are first asked for, and forgotten with it."""
        groups = _Stored(self.path, self.id, self.as_of)
        return Distribution(self.id, self.expression, self.kind, self.as_of, groups, self.path.stem)


def published(
    lake: Lake, as_of: datetime, up_to: int | None = None, among: Collection[str] | None = None
) -> list[Published]:
    """Return of each fingerprint the newest distribution in the lake that is not after an instant.

    Args:
        lake: where they are.
        as_of: the instant, naive UTC.
        up_to: the newest manifest that counts; all by default.
        among: the fingerprints that matter; all by default.
    """
    found: dict[str, Published] = {}
    for path in lake.paths("distributions", up_to):
        about = pq.read_table(path, columns=["id", "expression", "kind", "as_of"])
        for row in about.group_by(about.schema.names).aggregate([]).to_pylist():
            key, at = row["id"], row["as_of"]
            wanted = at <= as_of and (among is None or key in among)
            if wanted and (key not in found or found[key].as_of <= at):
                found[key] = Published(key, row["expression"], row["kind"], at, path)
    return list(found.values())


def newest(
    lake: Lake, as_of: datetime, up_to: int | None = None, among: Collection[str] | None = None
) -> dict[str, tuple[Distribution, ...]]:
    """Return by fingerprint what `published` finds; a question that compares with nobody reads none of its groups."""
    return {one.id: (one.distribution(),) for one in published(lake, as_of, up_to, among)}


class _Stored(Mapping["str | None", Group]):
    """The groups of a distribution in the lake, read once."""

    def __init__(self, path: Path, fingerprint: str, as_of: datetime) -> None:
        self._path, self._filters = path, [("id", "=", fingerprint), ("as_of", "=", as_of)]

    @cached_property
    def _groups(self) -> Mapping[str | None, Group]:
        (found,) = from_rows(pq.read_table(self._path, filters=self._filters))
        return found.groups

    def __getitem__(self, by_value: str | None) -> Group:
        return self._groups[by_value]

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)
