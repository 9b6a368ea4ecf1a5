"""Views of the membership log: who was in what from when to when, and what can be asked of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import INSTANT
from tierwise.definitions.language.times import Zone
from tierwise.engine.as_of import series
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.evaluate import KNOWN_CUSTOMERS
from tierwise.engine.sql import cast, col, equals, fn, literal, null, number, text
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.lake import Lake

__all__ = ["INTERVALS", "Intervals"]

#: The table of intervals: kind, name, value, customer_id, valid_from, valid_to (NULL: until now), cause.
INTERVALS: Final = "membership_intervals"
_BUILT: Final = "membership_intervals$built"
_NAMES: Final = "membership_intervals$names"
_NAMED: Final = ("kind", "name", "value", "begins")
_MICROS: Final = pa.timestamp("us")


@dataclass(frozen=True)
class _What:
    """A segment, or a tiering with one of its tiers or all of them; and since when it has a history."""

    kind: str
    name: str
    begins: datetime
    value: str = ""


class Intervals:
    """What was believed of whom and when; asked of the intervals, which are made of the log when it has grown.

    Instants are given as everywhere: a datetime, a written instant, or a date, which means its end.

    Args:
        engine: where the intervals are kept.
        lake: where the log is.
        zone: the project's zone.
        read: turns an instant as asked into naive UTC.
        find: turns a customer as asked into an id.
    """

    def __init__(
        self,
        engine: DuckEngine,
        lake: Lake,
        zone: Zone,
        read: Callable[[datetime | str], datetime],
        find: Callable[[str], int],
    ) -> None:
        self.engine, self.lake, self.zone, self.read, self.customer = engine, lake, zone, read, find

    def who(self, what: str, on: datetime | str) -> pa.Table:
        """Return who was in a segment or tier at an instant: customer_id, customer_key, since, until.

        Args:
            what: ``lapsing_vip``, ``segment:lapsing_vip`` or ``grade.gold``.
            on: when.

        Raises:
            UnknownName: when nothing of this name was ever recorded.
            BadRequest: when the instant is before the first record of it.
        """
        asked = self.find(what)
        if asked.kind == "tier" and not asked.value:
            raise BadRequest(f"`{what}` is a tiering: everyone is in it", f"name one of its tiers: {what}.TIER")
        at = self.read(on)
        _refuse_before(asked, at)
        inside = self.holding(asked, at)
        columns = [col("customer_id", "i"), col("customer_key", "k")]
        times = [col("valid_from", "i").as_("since", copy=False), col("valid_to", "i").as_("until", copy=False)]
        select = exp.select(*columns, *times, copy=False).from_(inside.subquery("i", copy=False), copy=False)
        select = select.join(
            _named(KNOWN_CUSTOMERS, "k"),
            on=equals(col("customer_id", "k"), col("customer_id", "i")),
            join_type="left",
            copy=False,
        )
        return self.engine.arrow(select.order_by(col("customer_id", "i"), copy=False))

    def count(self, what: str, on: datetime | str) -> int:
        """Return how many were in a segment or tier at an instant."""
        asked, at = self.find(what), self.read(on)
        _refuse_before(asked, at)
        counted = exp.select(exp.Count(this=exp.Star())).from_(self.holding(asked, at).subquery("i"))
        return int(self.engine.rows(counted)[0][0])

    def of(self, customer: str) -> pa.Table:
        """Return everything one customer was in: kind, name, value, valid_from, valid_to, cause; oldest first.

        Args:
            customer: the brand's number, or ``id:42``.

        Raises:
            UnknownName: when nobody has this number, or nothing was ever recorded.
        """
        customer_id = self.customer(customer)
        names = ("valid_from", "valid_to", "kind", "name", "value", "cause")
        select = exp.select(*(col(name) for name in names), copy=False).from_(_named(INTERVALS), copy=False)
        select = select.where(equals(col("customer_id"), number(customer_id)), copy=False)
        return self.engine.arrow(select.order_by(col("valid_from"), col("kind"), col("name"), copy=False))

    def migration(self, tiering: str, earlier: datetime | str, later: datetime | str) -> pa.Table:
        """Return how many went from which tier to which between two instants: was, is, customers, share.

        `was` is missing for those who were not known yet; `share` is of all who were in the same tier before.
        """
        asked = self.tiering(tiering)
        instants = [self.read(earlier), self.read(later)]
        _refuse_before(asked, min(instants))
        sides = [self.holding(asked, at) for at in instants]
        values = [col("value", alias).as_(name, quoted=True, copy=False) for alias, name in (("b", "was"), ("a", "is"))]
        joined = exp.select(*values, copy=False).from_(sides[0].subquery("b", copy=False), copy=False)
        joined = joined.join(
            sides[1].subquery("a", copy=False),
            on=equals(col("customer_id", "a"), col("customer_id", "b")),
            join_type="full",
            copy=False,
        )
        keys = [col("was"), col("is")]
        grouped = exp.select(*keys, exp.Count(this=exp.Star()).as_("customers", copy=False), copy=False).from_(
            joined.subquery("j", copy=False), copy=False
        )
        grouped = grouped.group_by(*(key.copy() for key in keys), copy=False)
        total = exp.Window(this=exp.Sum(this=col("customers")), partition_by=[col("was")])
        share = exp.Div(this=cast(col("customers"), "DOUBLE"), expression=total, typed=False, safe=False)
        whole = exp.select("*", share.as_("share", copy=False), copy=False).from_(
            grouped.subquery("g", copy=False), copy=False
        )
        return self.engine.arrow(whole.order_by(col("was"), col("is"), copy=False))

    def retention(self, tiering: str, first: datetime | str, every: str, last: datetime | str) -> pa.Table:
        """Return for who was in a tier at one instant how many still were at each later one: cohorts of every tier.

        Columns: tier, cohort_at, at, customers (in the tier at cohort_at), retained (also at `at`), share.
        """
        asked, instants = self.tiering(tiering), self.series(first, every, last)
        _refuse_before(asked, instants[0])
        dates = pa.table({"at": pa.array(instants, _MICROS)})
        self.engine.register("dates$", dates)
        try:
            at_dates = self.engine_join(asked)
            self.engine.create("standing$", at_dates, temporary=True)
            same = [equals(col(name, "b"), col(name, "a")) for name in ("customer_id", "value")]
            on = exp.and_(*same, exp.GTE(this=col("at", "b"), expression=col("at", "a")), copy=False)
            keys = [
                col("value", "a").as_("tier", copy=False),
                col("at", "a").as_("cohort_at", copy=False),
                col("at", "b").as_("at", copy=False),
            ]
            select = exp.select(*keys, exp.Count(this=exp.Star()).as_("retained", copy=False), copy=False)
            select = select.from_(_named("standing$", "a"), copy=False).join(
                _named("standing$", "b"), on=on, copy=False
            )
            select = select.group_by(col("value", "a"), col("at", "a"), col("at", "b"), copy=False)
            counted = self.engine.arrow(select.order_by(exp.column("tier"), exp.column("cohort_at"), exp.column("at")))
        finally:
            self.engine.drop("standing$")
            self.engine.drop("dates$")
        return _with_cohorts(counted, tiering, instants)

    def sizes(self, what: str, first: datetime | str, every: str, last: datetime | str) -> pa.Table:
        """Return how many were in a segment, a tier or each tier of a tiering at each instant: at, value, customers."""
        asked, instants = self.find(what), self.series(first, every, last)
        _refuse_before(asked, instants[0])
        ends = []
        for column, sign in (("valid_from", 1), ("valid_to", -1)):
            part = exp.select(
                col("value"), col(column).as_("at", copy=False), number(sign).as_("step", copy=False), copy=False
            )
            part = part.from_(_named(INTERVALS), copy=False).where(self.condition(asked), copy=False)
            ends.append(part.where(_known(col(column)), copy=False))
        both = exp.Subquery(
            this=exp.Union(this=ends[0], expression=ends[1], distinct=False),
            alias=exp.TableAlias(this=exp.to_identifier("u")),
        )
        keys = [col("value"), col("at")]
        total = cast(exp.Sum(this=col("step")), "BIGINT")
        select = exp.select(*keys, total.as_("step", copy=False), copy=False).from_(both, copy=False)
        steps = self.engine.arrow(
            select.group_by(*(key.copy() for key in keys), copy=False).order_by(*(key.copy() for key in keys))
        )
        return _sizes(steps, instants)

    def series(self, first: datetime | str, every: str, last: datetime | str) -> list[datetime]:
        """Return the instants from one to another, a length of time apart."""
        return series(self.read(first), every, self.read(last), self.zone)

    # -- what is meant ----------------------------------------------------------------------------------------------

    def find(self, what: str) -> _What:
        """Return the segment, tiering or tier a person means."""
        rows = self.engine.rows(exp.select(*(col(name) for name in _NAMED)).from_(_named(_NAMES)))
        kinds = {name: kind for kind, name, _, _ in rows}
        begun = {name: begins for _, name, _, begins in rows}
        asked = what.split(":", 1)[1] if what.startswith(("segment:", "tier:", "tiering:")) else what
        name, _, tier = asked.partition(".")
        if name not in kinds:
            hint = near_name(name, kinds) or "a segment or tiering has a history once `tierwise run` has recorded it"
            raise UnknownName(f"nothing of the name `{name}` was ever recorded", hint)
        if tier:
            known = [value for kind, own, value, _ in rows if (kind, own) == ("tier", name)]
            if tier not in known:
                raise UnknownName(f"nobody was ever in the tier `{tier}` of `{name}`", near_name(tier, known))
            return _What("tier", name, begun[name], tier)
        return _What(kinds[name], name, begun[name])

    def tiering(self, name: str) -> _What:
        """Return a tiering."""
        asked = self.find(name)
        if asked.kind != "tier" or asked.value:
            raise BadRequest(f"`{name}` is not a tiering", "name a tiering, such as grade")
        return asked

    def begun(self) -> dict[str, datetime]:
        """Return since when each segment and tiering has a history."""
        found: dict[str, datetime] = {}
        for entry in self.lake.entries("memberships"):
            at = datetime.fromisoformat(entry.about["at"])
            for name in entry.about["digests"]:
                found[name] = min(at, found.get(name, at))
        return found

    # -- intervals --------------------------------------------------------------------------------------------------

    def condition(self, asked: _What) -> exp.Condition:
        """Return that an interval is of what is asked about."""
        said = [equals(col("kind"), text(asked.kind)), equals(col("name"), text(asked.name))]
        if asked.value:
            said.append(equals(col("value"), text(asked.value)))
        return exp.and_(*said, copy=False)

    def holding(self, asked: _What, at: datetime) -> exp.Select:
        """Return the intervals of what is asked about that an instant falls in."""
        moment = literal(at, INSTANT)
        ends = exp.Or(
            this=exp.Is(this=col("valid_to"), expression=null()),
            expression=exp.GT(this=col("valid_to"), expression=moment.copy()),
        )
        select = (
            exp.select("*", copy=False).from_(_named(INTERVALS), copy=False).where(self.condition(asked), copy=False)
        )
        return select.where(exp.LTE(this=col("valid_from"), expression=moment), exp.Paren(this=ends), copy=False)

    def engine_join(self, asked: _What) -> exp.Select:
        """Return (at, customer_id, value) of the intervals at the instants of the table ``dates$``."""
        ends = exp.Or(
            this=exp.Is(this=col("valid_to", "i"), expression=null()),
            expression=exp.GT(this=col("valid_to", "i"), expression=col("at", "d")),
        )
        own = exp.select("*", copy=False).from_(_named(INTERVALS), copy=False).where(self.condition(asked), copy=False)
        on = exp.and_(exp.LTE(this=col("valid_from", "i"), expression=col("at", "d")), exp.Paren(this=ends), copy=False)
        columns = (col("at", "d"), col("customer_id", "i"), col("value", "i"))
        return (
            exp.select(*columns, copy=False)
            .from_(own.subquery("i", copy=False), copy=False)
            .join(_named("dates$", "d"), on=on, copy=False)
        )

    def is_current(self) -> bool:
        """Whether the intervals show the whole log.

        Raises:
            UnknownName: when nothing was ever recorded.
        """
        there = self.engine.tables()
        if INTERVALS not in there or _BUILT not in there:
            self.newest()
            return False
        built = self.engine.rows(exp.select(col("version")).from_(_named(_BUILT)))
        return bool(built[0][0] == self.newest())

    def newest(self) -> int:
        """Return the number of the log's newest manifest."""
        entries = self.lake.entries("memberships")
        if not entries:
            raise UnknownName("there is no history yet", "`tierwise run` records who is in which tier and segment")
        return entries[-1].number

    def build(self) -> None:
        """Make the intervals of the log, when it has grown since; they are sorted by what is asked of them."""
        if self.is_current():
            return
        newest = self.newest()
        paths = [str(path) for path in self.lake.paths("memberships", newest)]
        self.engine.create(f"{INTERVALS}$new", _intervals(paths))
        there = exp.select(col("kind"), col("name"), col("value")).distinct().from_(_named(f"{INTERVALS}$new"))
        self.engine.register("names$", self.names(self.engine.rows(there)))
        self.engine.create(f"{_NAMES}$new", exp.select("*").from_(_named("names$")))
        self.engine.drop("names$")
        version = exp.select(cast(number(newest), "BIGINT").as_("version"))
        self.engine.create(f"{_BUILT}$new", version)
        self.engine.swap({name: f"{name}$new" for name in (INTERVALS, _NAMES, _BUILT)})

    def names(self, there: Sequence[tuple[str, str, str]]) -> pa.Table:
        """Return what has a history, and since when; a segment nobody was ever in has one too."""
        begun = self.begun()
        seen = {name for _, name, _ in there}
        rows = [*there, *(("segment", name, "") for name in begun if name not in seen)]
        columns: list[list[Any]] = [[row[i] for row in rows] for i in range(3)]
        begins = pa.array([begun[name] for _, name, _ in rows], _MICROS)
        return pa.table([*(pa.array(column, pa.string()) for column in columns), begins], names=list(_NAMED))


def _refuse_before(asked: _What, at: datetime) -> None:
    """Refuse to answer for an instant before the first record of a name."""
    if at < asked.begins:
        raise BadRequest(
            f"the history of `{asked.name}` begins at {asked.begins.isoformat(sep=' ', timespec='seconds')} UTC; "
            f"{at.isoformat(sep=' ', timespec='seconds')} is before it",
            "`tierwise backfill --from DATE` writes the history of old data",
        )


def _intervals(paths: Sequence[str]) -> exp.Expression:
    """Return the log as intervals: of one instant the newest row counts, a row that says nothing new begins none.

    The log is in the order of recording; what `backfill` adds is of earlier instants, so the order is (at, seq).
    """
    keys = ("kind", "name", "customer_id")
    if not paths:
        empty = [cast(null(), "VARCHAR").as_(name) for name in ("kind", "name", "value")]
        times = [cast(null(), "TIMESTAMP").as_(name) for name in ("valid_from", "valid_to")]
        nobody = cast(null(), "BIGINT").as_("customer_id")
        return exp.select(*empty, nobody, *times, cast(null(), "VARCHAR").as_("cause")).where(exp.false())
    listed = exp.Array(expressions=[text(path) for path in paths])
    log = exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[listed]))
    newest = [fn("arg_max", col(name), col("seq")).as_(name, quoted=True, copy=False) for name in ("is", "cause")]
    by_instant = exp.select(*(col(key) for key in keys), col("at"), *newest, copy=False).from_(log, copy=False)
    by_instant = by_instant.group_by(*(col(key) for key in keys), col("at"), copy=False)
    changed = _over("lag", col("is"), keys)
    seen = exp.select("*", changed.as_("before$", quoted=True, copy=False), copy=False).from_(
        by_instant.subquery("l", copy=False), copy=False
    )
    steps = exp.select("*", copy=False).from_(seen.subquery("s", copy=False), copy=False)
    steps = steps.where(exp.NullSafeNEQ(this=col("is"), expression=col("before$")), copy=False)
    following = _over("lead", col("at"), keys)
    whole = exp.select(
        col("kind"),
        col("name"),
        col("is").as_("value", copy=False),
        col("customer_id"),
        col("at").as_("valid_from", copy=False),
        following.as_("valid_to", copy=False),
        col("cause"),
        copy=False,
    ).from_(steps.subquery("c", copy=False), copy=False)
    out = exp.and_(equals(col("kind"), text("segment")), equals(col("value"), text("out")), copy=False)
    inside = exp.select("*", copy=False).from_(whole.subquery("i", copy=False), copy=False)
    inside = inside.where(exp.Not(this=exp.Paren(this=out)), copy=False)
    return inside.order_by(*(col(name) for name in ("kind", "name", "value", "valid_from", "customer_id")), copy=False)


def _over(function: str, value: exp.Expression, keys: Sequence[str]) -> exp.Window:
    order = exp.Order(expressions=[exp.Ordered(this=col("at"))])
    return exp.Window(this=fn(function, value), partition_by=[col(key) for key in keys], order=order)


def _with_cohorts(counted: pa.Table, tiering: str, instants: Sequence[datetime]) -> pa.Table:
    """Add to each row how many were in the tier at the cohort's instant; a cohort that has left is there too."""
    retained = {(row["tier"], row["cohort_at"], row["at"]): row["retained"] for row in counted.to_pylist()}
    rows: list[dict[str, Any]] = []
    for tier in dict.fromkeys(counted["tier"].to_pylist()):
        for cohort in instants:
            size = retained.get((tier, cohort, cohort), 0)
            for at in instants:
                if at >= cohort and size:
                    left = retained.get((tier, cohort, at), 0)
                    row = {"tiering": tiering, "tier": tier, "cohort_at": cohort, "at": at, "customers": size}
                    rows.append({**row, "retained": left, "share": left / size})
    schema = {"tiering": pa.string(), "tier": pa.string(), "cohort_at": _MICROS, "at": _MICROS, "customers": pa.int64()}
    return pa.Table.from_pylist(rows, schema=pa.schema({**schema, "retained": pa.int64(), "share": pa.float64()}))


def _sizes(steps: pa.Table, instants: Sequence[datetime]) -> pa.Table:
    """Add the steps up to each instant."""
    asked = pa.array(instants, _MICROS)
    at = steps["at"].cast(pa.int64()).to_numpy()
    step = steps["step"].to_numpy()
    values = np.array(steps["value"].to_pylist(), dtype=object)
    moments = asked.cast(pa.int64()).to_numpy()
    columns: dict[str, list[Any]] = {"at": [], "value": [], "customers": []}
    for value in dict.fromkeys(values.tolist()):
        own = values == value
        total = np.append(0, np.cumsum(step[own]))
        found = total[np.searchsorted(at[own], moments, side="right")]
        columns["at"] += list(instants)
        columns["value"] += [value] * len(instants)
        columns["customers"] += found.tolist()
    kinds = {"at": _MICROS, "value": pa.string(), "customers": pa.int64()}
    return pa.table({name: pa.array(column, kinds[name]) for name, column in columns.items()})


def _known(value: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=exp.Is(this=value, expression=null())))


def _named(table: str, alias: str = "") -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(table, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )
