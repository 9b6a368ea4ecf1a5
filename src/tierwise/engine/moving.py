"""Who moves between two evaluations of the same customers: matrices, the customers concerned, the value at stake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.evaluate import KNOWN_CUSTOMERS
from tierwise.engine.sql import cast, col, equals, fn, null, text, try_cast

__all__ = ["Compared", "Moves"]

_TABLE: Final = "moves$"
_VALUE: Final = "value$"


@dataclass(frozen=True)
class Compared:
    """One name that is compared; `kind` is ``tag``, ``tiering`` or ``segment``, `change` as in `Difference`."""

    name: str
    kind: str
    change: str

    @property
    def moves_people(self) -> bool:
        """Whether somebody can move from one of its tiers (or out of it) to another: it is there before and after."""
        return self.kind != "tag" and self.change in ("changed", "affected")

    @property
    def was(self) -> str:
        """Return the column of what it was."""
        return f"{self.kind}.{self.name}$was"

    @property
    def now(self) -> str:
        """Return the column of what it is."""
        return f"{self.kind}.{self.name}$is"


class Moves:
    """The customers of two tables side by side; a temporary table of the engine, until `close`.

    Args:
        engine: where the tables are.
        before: a table with customer_id and the compared names that were there before.
        after: a table with customer_id and those that are there now.
        compared: what is compared.
        value: a column of `after` that says what a customer is worth.
    """

    def __init__(
        self, engine: DuckEngine, before: str, after: str, compared: Sequence[Compared], value: str | None
    ) -> None:
        self.engine, self.compared, self.value = engine, tuple(compared), value
        worth = try_cast(col(value, "a") if value is not None else null(), "DECIMAL(18, 2)")
        columns = [worth.as_(_VALUE, quoted=True)]
        for one in compared:
            was = _told(one, "b") if one.change != "new" else cast(null(), "VARCHAR")
            is_ = _told(one, "a") if one.change != "deleted" else cast(null(), "VARCHAR")
            columns += [was.as_(one.was, quoted=True), is_.as_(one.now, quoted=True)]
        select = exp.select(col("customer_id", "a"), col("customer_key", "k"), *columns).from_(_t(after, "a"))
        for table, alias in ((before, "b"), (KNOWN_CUSTOMERS, "k")):
            same = equals(col("customer_id", "a"), col("customer_id", alias))
            select = select.join(_t(table, alias), on=same, join_type="left")
        engine.create(_TABLE, select, temporary=True)

    def close(self) -> None:
        """Drop the table."""
        self.engine.drop(_TABLE)

    def matrix(self, one: Compared) -> list[dict[str, Any]]:
        """Return {was, is, customers, value} of every pair that somebody has; None where there is nothing."""
        was, is_ = col(one.was), col(one.now)
        select = exp.select(was, is_, exp.Count(this=exp.Star()), exp.Sum(this=col(_VALUE))).from_(_t(_TABLE))
        rows = self.engine.rows(select.group_by(was.copy(), is_.copy()))
        return [{"was": row[0], "is": row[1], "customers": int(row[2]), "value": row[3]} for row in rows]

    def differing(self, one: Compared) -> tuple[int, Decimal | None]:
        """Return for how many customers one name differs, and what they are worth."""
        return self._counted(_differs(one))

    def moved(self) -> tuple[int, Decimal | None, int]:
        """Return how many customers move, what they are worth, and how many customers there are."""
        everyone = int(self.engine.rows(exp.select(exp.Count(this=exp.Star())).from_(_t(_TABLE)))[0][0])
        return (*self._counted(self._somewhere()), everyone)

    def concerned(self, limit: int | None = None) -> pa.Table:
        """Return the customers who move, those worth most first: id, key, value, and ``NAME_was``, ``NAME_is``."""
        columns = [col("customer_id"), col("customer_key"), col(_VALUE).as_("value")]
        for one in self.compared:
            if one.moves_people:
                columns.append(col(one.was).as_(f"{one.name}_was", quoted=True))
                columns.append(col(one.now).as_(f"{one.name}_is", quoted=True))
        worth = exp.Ordered(this=col(_VALUE), desc=True, nulls_first=False)
        select = exp.select(*columns).from_(_t(_TABLE)).where(self._somewhere())
        select = select.order_by(worth, exp.Ordered(this=col("customer_id")))
        return self.engine.arrow(select if limit is None else select.limit(limit))

    def keep(self, one: Compared, name: str) -> None:
        """Keep what one name was and is in a temporary table, for `since`."""
        select = exp.select(col("customer_id"), col(one.was).as_("was"), col(one.now).as_("is", quoted=True))
        self.engine.create(name, select.from_(_t(_TABLE)), temporary=True)

    def since(self, one: Compared, kept: str) -> tuple[int, int]:
        """Return how many customers were in another tier at an earlier instant: by what was declared, and by what is.

        Args:
            one: the name.
            kept: the table that `keep` made then.
        """
        columns = ((col(one.was, "m"), col("was", "k")), (col(one.now, "m"), col("is", "k")))
        counts = [fn("count_if", exp.NullSafeNEQ(this=now, expression=then)) for now, then in columns]
        same = equals(col("customer_id", "m"), col("customer_id", "k"))
        row = self.engine.rows(exp.select(*counts).from_(_t(_TABLE, "m")).join(_t(kept, "k"), on=same))[0]
        return int(row[0] or 0), int(row[1] or 0)

    def _somewhere(self) -> exp.Expression:
        """Return the condition that a customer moves in one of the names that move people."""
        conditions = [_differs(one) for one in self.compared if one.moves_people]
        found: exp.Expression = exp.false()
        for condition in conditions:
            found = exp.Or(this=found, expression=exp.Paren(this=condition))
        return found

    def _counted(self, condition: exp.Expression) -> tuple[int, Decimal | None]:
        select = exp.select(exp.Count(this=exp.Star()), exp.Sum(this=col(_VALUE))).from_(_t(_TABLE)).where(condition)
        count, worth = self.engine.rows(select)[0]
        return int(count), worth


def _told(one: Compared, table: str) -> exp.Expression:
    """Return a value as a text: of a segment whether the customer is ``in`` or ``out``."""
    value = col(one.name, table)
    if one.kind != "segment":
        return cast(value, "VARCHAR")
    return exp.Case(ifs=[exp.If(this=value, true=text("in"))], default=text("out"))


def _differs(one: Compared) -> exp.Expression:
    return exp.NullSafeNEQ(this=col(one.was), expression=col(one.now))


def _t(name: str, alias: str = "") -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )
