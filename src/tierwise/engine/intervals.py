"""Views of the membership log: who was in what from when to when, and what can be asked of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from tierwise.engine.membership import FORMER
from tierwise.engine.spells import KEYS, ending, intervals_of, rekeyed, spells_of, with_keys, within
from tierwise.engine.sql import cast, col, equals, literal, null, number, text
from tierwise.engine.standing import Standing
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.lake import Entry, Lake

__all__ = ["INTERVALS", "Intervals"]

#: The table of intervals: kind, name, value, customer_id, customer_key, valid_from, valid_to (NULL: until now), cause.
INTERVALS: Final = "membership_intervals"
_BUILT: Final = "membership_intervals$state"
_NAMES: Final = "membership_intervals$names"
_NAMED: Final = ("kind", "name", "value", "begins")
_MICROS: Final = pa.timestamp("us")
#: The share of the intervals that may stand behind the sorted ones before all of them are sorted again.
_UNSORTED: Final = 0.1


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
        columns = [col("customer_id"), col("customer_key")]
        times = [col("valid_from").as_("since", copy=False), col("valid_to").as_("until", copy=False)]
        inside = self.holding(asked, at)
        found = self.engine.arrow(inside.select(*columns, *times, append=False, copy=False))
        ids = found["customer_id"].to_numpy()
        # The intervals lie in the order of customers but for those that were added last: sorting them again would take
        # longer than finding them.
        return found.sort_by("customer_id") if (ids[1:] < ids[:-1]).any() else found

    def count(self, what: str, on: datetime | str) -> int:
        """Return how many were in a segment or tier at an instant."""
        asked, at = self.find(what), self.read(on)
        _refuse_before(asked, at)
        counted = exp.select(exp.Count(this=exp.Star())).from_(self.holding(asked, at).subquery("i"))
        return int(self.engine.rows(counted)[0][0])

    def of(self, customer: str) -> pa.Table:
        """Return everything one customer was in: kind, name, value, valid_from, valid_to, cause; oldest first.

        Customers who have become part of them are told with them.

        Args:
            customer: the brand's number, or ``id:42``.

        Raises:
            UnknownName: when nobody has this number, or nothing was ever recorded.
        """
        customer_id = self.customer(customer)
        names = ("valid_from", "valid_to", "kind", "name", "value", "cause")
        select = exp.select(*(col(name) for name in names), copy=False).from_(_named(INTERVALS), copy=False)
        theirs = [number(one) for one in (customer_id, *self.former_of(customer_id))]
        select = select.where(exp.In(this=col("customer_id"), expressions=theirs), copy=False)
        return self.engine.arrow(select.order_by(col("valid_from"), col("kind"), col("name"), copy=False))

    def former_of(self, customer_id: int) -> list[int]:
        """Return the numbers of the customers who have become part of one."""
        if FORMER not in self.engine.tables():
            return []
        into = exp.select(col("former_id"), copy=False).from_(_named(FORMER), copy=False)
        into = into.where(equals(col("customer_id"), number(customer_id)), copy=False)
        return [int(row[0]) for row in self.engine.rows(into.order_by(col("former_id"), copy=False))]

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
        built = self.engine.rows(exp.select(col("version"), col("identities")).from_(_named(_BUILT)))
        return bool(tuple(built[0]) == (self.newest(), self.identities()))

    def identities(self) -> int:
        """Return the state of the identities that the customers' keys are of."""
        standing = Standing.of(self.engine)
        return standing.identity_version if standing is not None else 0

    def newest(self) -> int:
        """Return the number of the log's newest manifest."""
        entries = self.lake.entries("memberships")
        if not entries:
            raise UnknownName("there is no history yet", "`tierwise run` records who is in which tier and segment")
        return entries[-1].number

    def build(self) -> None:
        """Make the intervals of the log, or add what it has grown by since they were made."""
        if self.is_current():
            return
        newest = self.newest()
        entries = self.lake.entries("memberships", newest)
        built = self.built()
        added = [entry for entry in entries if built is not None and entry.number > built["version"]]
        if built is not None and self.can_add(built, added):
            self.add(built, added, newest)
            return
        paths = [str(path) for path in self.lake.paths("memberships", newest)]
        ordered = [col(name) for name in ("kind", "name", "value", "customer_id", "valid_from")]
        made = self.engine.create(f"{INTERVALS}$new", with_keys(intervals_of(paths)).order_by(*ordered, copy=False))
        there = exp.select(col("kind"), col("name"), col("value")).distinct().from_(_named(f"{INTERVALS}$new"))
        self.note(self.engine.rows(there), {"sorted": made, "added": 0}, newest, entries)
        self.engine.swap({name: f"{name}$new" for name in (INTERVALS, _NAMES, _BUILT)})

    def built(self) -> dict[str, Any] | None:
        """Return what is noted of the intervals that are there, nothing when there are none."""
        there = self.engine.tables()
        if INTERVALS not in there or _BUILT not in there:
            return None
        found: dict[str, Any] = self.engine.arrow(exp.select("*").from_(_named(_BUILT))).to_pylist()[0]
        return found

    def can_add(self, built: Mapping[str, Any], added: Sequence[Entry]) -> bool:
        """Whether what the log has grown by only goes on from what is there."""
        rows = sum(file.rows for entry in added for file in entry.files if file.table == "memberships")
        later = all(entry.about["at"] > built["at"] and not entry.about.get("backfill") for entry in added)
        few = built["added"] + rows <= _UNSORTED * built["sorted"]
        return later and few

    def add(self, built: Mapping[str, Any], added: Sequence[Entry], newest: int) -> None:
        """End the intervals that the new rows of the log end, and put those they begin behind the others."""
        paths = [str(path) for path in self.lake.paths("memberships", newest, built["version"])]
        engine, count = self.engine, 0
        named = [
            tuple(row) for row in engine.rows(exp.select(*(col(name) for name in _NAMED[:3])).from_(_named(_NAMES)))
        ]
        with engine.transaction():
            if paths:
                engine.create("begun$", with_keys(spells_of(paths)), temporary=True)
                first = exp.select(*(col(key) for key in KEYS), exp.Min(this=col("valid_from")).as_("at"))
                first = first.from_(_named("begun$")).group_by(*(col(key) for key in KEYS))
                engine.execute(ending(INTERVALS, first.subquery("s")))
                inside = within(exp.select("*").from_(_named("begun$")))
                columns = list(engine.columns(INTERVALS))
                into = exp.Schema(
                    this=_named(INTERVALS), expressions=[exp.to_identifier(name, True) for name in columns]
                )
                chosen = exp.select(*(col(name) for name in columns)).from_(inside.subquery("i"))
                engine.execute(exp.Insert(this=into, expression=chosen))
                count = engine.count("begun$")
                begun = exp.select(*(col(name) for name in _NAMED[:3])).distinct().from_(inside.subquery("i"))
                named = list(dict.fromkeys([*named, *engine.rows(begun)]))
                engine.drop("begun$")
            if built["identities"] != self.identities():
                engine.execute(rekeyed(INTERVALS))
            counts = {"sorted": built["sorted"], "added": built["added"] + count}
            self.note([row for row in named if row[2]], counts, newest, self.lake.entries("memberships", newest))
            for name in (_NAMES, _BUILT):
                engine.exchange(name, f"{name}$new")

    def note(
        self, there: Sequence[Sequence[str]], counts: Mapping[str, int], newest: int, entries: Sequence[Entry]
    ) -> None:
        """Make the tables of what has a history, and of what the intervals are of, beside the old ones."""
        self.engine.register("names$", self.names(there))
        self.engine.create(f"{_NAMES}$new", exp.select("*").from_(_named("names$")))
        self.engine.drop("names$")
        at = max(str(entry.about["at"]) for entry in entries)
        whole = {"version": newest, "identities": self.identities(), **counts}
        numbers = [cast(number(value), "BIGINT").as_(name) for name, value in whole.items()]
        self.engine.create(f"{_BUILT}$new", exp.select(*numbers, text(at).as_("at", quoted=True)))

    def names(self, there: Sequence[Sequence[str]]) -> pa.Table:
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
