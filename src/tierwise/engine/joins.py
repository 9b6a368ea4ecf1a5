"""Where the compiler finds tables, and what the expressions of one SELECT turn out to join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlglot import exp

from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.typed import RelatedOf
from tierwise.engine.aggregate import of_nothing
from tierwise.engine.sql import KEY, all_of, col, equals

__all__ = ["Joins", "Source"]


@dataclass(frozen=True)
class Source:
    """Where the compiler finds tables: names of the streams', the records', the lookups'; the files of the log.

    `former` is the table that says which customers of the log are now part of others, "" where none are; `oldest` is
    the time of the oldest row of each stream, where it is known.
    """

    streams: Mapping[str, str]
    records: str
    lookups: Mapping[str, str]
    memberships: tuple[str, ...] = ()
    former: str = ""
    oldest: Mapping[str, datetime] = field(default_factory=dict)


@dataclass
class Joins:
    """The joins that the expressions of one SELECT turned out to need: lookups, and rows that are part of a row."""

    source: Source
    found: list[tuple[str, exp.Expression, str]] = field(default_factory=list)
    parts: dict[str, tuple[RelatedOf, exp.Select, exp.Expression]] = field(default_factory=dict)

    def lookup(self, table: str, key: exp.Expression, column: str, kind: Kind) -> exp.Expression:
        """Return a column of a lookup's row with this key."""
        for name, known, alias in self.found:
            if name == table and known == key:
                return col(column, alias)
        alias = f"l{len(self.found)}"
        self.found.append((table, key, alias))
        return col(column, alias)

    def part(self, expr: RelatedOf, rows: exp.Select, key: exp.Expression) -> exp.Expression:
        """Return the column that holds what an aggregate says of the rows that are part of a row."""
        alias = next((known for known, (other, _, _) in self.parts.items() if other == expr), f"w{len(self.parts)}")
        same = [equals(col(KEY, alias), key)]
        same += [equals(col(name, alias), col(name, "r")) for name in ("key_space", expr.by)]
        on = all_of(same)
        assert on is not None
        self.parts.setdefault(alias, (expr, rows, on))
        return of_nothing(expr.rows, col("answer", alias), col(KEY, alias))

    @property
    def needed(self) -> bool:
        """Whether there is something to join."""
        return bool(self.found or self.parts)

    def add_to(self, select: exp.Select) -> exp.Select:
        """Join what was found to a SELECT."""
        for alias, (_, rows, on) in self.parts.items():
            select = select.join(rows.copy().subquery(alias, copy=False), on=on.copy(), join_type="left", copy=False)
        for name, key, alias in self.found:
            table = _table(self.source.lookups.get(name, name)).as_(alias, copy=False)
            select = select.join(table, on=equals(col("key", alias), key), join_type="left", copy=False)
        return select


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
