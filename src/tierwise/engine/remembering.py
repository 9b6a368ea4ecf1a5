"""Tierings that remember, in the engine: their rules judged where rows can change them, folded, joined to a spine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tierwise.definitions.language.kinds import BOOLEAN, INSTANT, TEXT
from tierwise.definitions.remembering import Reads, read_by
from tierwise.engine.cells import Named
from tierwise.engine.snapshot import Spine
from tierwise.engine.sql import KEY, cast, col, equals, fn, literal, null
from tierwise.engine.timelines import (
    NEVER,
    Instants,
    Judged,
    Timelines,
    programme_timelines,
    stay_timelines,
    stayed,
)
from tierwise.errors import EngineRefused

if TYPE_CHECKING:  # an evaluator asks for what is remembered, which it is evaluated with
    from tierwise.engine.evaluate import Evaluator

__all__ = ["STATE_COLUMNS", "remember"]

#: The columns that hold a programme's state beside the tier, as suffixes of its name; no definition can end so.
STATE_COLUMNS: Final = ("since$", "term_ends$", "grace_ends$")
#: A customer's instants times their rows, over all customers, beyond which a rule is refused instead of run for hours.
_MOST_PAIRS: Final = 20_000_000_000
_MICROS: Final = pa.timestamp("us")


def remember(evaluator: Evaluator, tiering: str, spine: Spine, before: str) -> str:
    """Return the table (key, the tiering's name, its state's columns): where the tiering has everyone of a spine.

    Args:
        evaluator: over the state of the tables that is asked.
        tiering: the name of a tiering that remembers.
        spine: who is asked about, and when.
        before: the spine's table.

    Raises:
        EngineRefused: when customers have too many rows in the streams the rules read.
    """
    return _Remembering(evaluator, tiering).run(spine, before)


@dataclass
class _Spine:
    """The rows of a spine: who is asked about, and when in microseconds since 1970."""

    key: np.ndarray
    customer: np.ndarray
    as_of: np.ndarray

    def part(self, mask: np.ndarray) -> _Spine:
        return _Spine(self.key[mask], self.customer[mask], self.as_of[mask])


class _Remembering:
    def __init__(self, evaluator: Evaluator, tiering: str) -> None:
        self.evaluator, self.tiering = evaluator, tiering
        self.catalogue = evaluator.catalogue
        self.form = self.catalogue.definitions.tierings[tiering]
        self.tiers = list(self.form.tiers)
        rules = self.catalogue.tierings[tiering]
        self.stays = {self.tiers.index(t): rule.expr for t, rule in self.catalogue.stays.get(tiering, {}).items()}
        self.wanted = [Named("first$", TEXT, rules=tuple((tier, rule.expr) for tier, rule in rules.items()))]
        self.wanted += [Named(f"stay{index}$", BOOLEAN, expr) for index, expr in self.stays.items()]
        written = self.catalogue.written
        self.reads: Reads = read_by(written, written[tiering])

    def run(self, asked: Spine, before: str) -> str:
        spine = self.spine(asked, before)
        instants = self.instants(spine)
        if self.form.keep is None:
            answers = self.staying(spine, instants)
        else:
            answers = self.keeping(spine, instants)
        return self.evaluator.registered("remembered", answers)

    def spine(self, asked: Spine, before: str) -> _Spine:
        as_of = col("as_of") if asked.as_of is None else literal(asked.as_of, INSTANT).as_("as_of", copy=False)
        select = exp.select(col(KEY), col("customer_id"), as_of, copy=False).from_(_named(before), copy=False)
        rows = self.evaluator.backend.arrow(select)
        return _Spine(_whole(rows["key$"]), _whole(rows["customer_id"]), _micros(rows["as_of"]))

    # -- instants ---------------------------------------------------------------------------------------------------

    def instants(self, spine: _Spine) -> Instants:
        """Return when rows can change the tiering, for the spine's customers up to the last time they are asked for."""
        ids, place = np.unique(spine.customer, return_inverse=True)
        until = np.full(len(ids), np.iinfo(np.int64).min)
        np.maximum.at(until, place, spine.as_of)
        asked = pa.table({"customer_id": pa.array(ids), "until": pa.array(until).cast(_MICROS)})
        table = self.evaluator.registered("until", asked)
        found = self.evaluator.backend.arrow(self.select_instants(table))
        customer = _whole(found["customer_id"])
        known, start = np.unique(customer, return_index=True)
        refund = found["refund"].to_numpy(zero_copy_only=False).astype(bool)
        self.refuse_too_many(np.diff(np.append(start, len(customer))))
        chosen = np.isin(ids, known, assume_unique=True)
        return Instants(known, np.append(start, len(customer)), _micros(found["time"]), refund, until[chosen])

    def select_instants(self, asked: str) -> exp.Expression:
        """Return ``SELECT customer_id, time, refund`` of the rows of every stream that the rules read."""
        source = self.evaluator.source
        parts = [
            exp.select(col("customer_id"), col("time"), exp.false().as_("refund", copy=False), copy=False).from_(
                _named(source.streams[stream]), copy=False
            )
            for stream in sorted(self.reads.streams)
        ]
        if self.reads.attributes:
            records = exp.select(col("customer_id"), col("time"), exp.false().as_("refund", copy=False), copy=False)
            parts.append(records.from_(_named(source.records), copy=False))
        if "orders" in self.reads.streams:
            parts.append(_refunds(source.streams["orders"]))
        if not parts:  # rules that read neither rows nor attributes: nothing ever changes them
            nothing = [cast(null(), "BIGINT").as_("customer_id"), cast(null(), "TIMESTAMP").as_("time")]
            parts = [exp.select(*nothing, exp.false().as_("refund")).where(exp.false())]
        union: exp.Expression = parts[0]
        for part in parts[1:]:
            union = exp.Union(this=union, expression=part, distinct=False)
        rows = exp.Subquery(this=union, alias=exp.TableAlias(this=exp.to_identifier("r")))
        on = exp.and_(
            equals(col("customer_id", "a"), col("customer_id", "r")),
            exp.LTE(this=col("time", "r"), expression=col("until", "a")),
            copy=False,
        )
        keys = (col("customer_id", "r"), col("time", "r"))
        return (
            exp.select(*keys, fn("bool_or", col("refund", "r")).as_("refund", copy=False), copy=False)
            .from_(rows, copy=False)
            .join(_named(asked, "a"), on=on, copy=False)
            .group_by(*(key.copy() for key in keys), copy=False)
            .order_by(*(key.copy() for key in keys), copy=False)
        )

    def refuse_too_many(self, counts: np.ndarray) -> None:
        pairs = int(np.dot(counts.astype(np.float64), counts.astype(np.float64)))
        if pairs > _MOST_PAIRS:
            streams = ", ".join(f"`{stream}`" for stream in sorted(self.reads.streams))
            raise EngineRefused(
                f"`{self.tiering}` remembers, and one customer has up to {int(counts.max()):,} rows in what it reads "
                f"({streams}): judging it at each would compare {pairs:.1e} pairs of rows",
                "let its rules read a stream with fewer rows a customer, such as orders",
            )

    # -- judging ----------------------------------------------------------------------------------------------------

    def judge(self, customer: np.ndarray, as_of: np.ndarray, refunds_as_of: np.ndarray | None = None) -> Judged:
        """Return what the rules say of customers at instants."""
        moments = {"customer_id": pa.array(customer), "as_of": pa.array(as_of).cast(_MICROS)}
        if refunds_as_of is not None:
            moments["refunds_as_of"] = pa.array(refunds_as_of).cast(_MICROS)
        with self.evaluator.passing():
            table = self.evaluator.table(Spine("moments", None, pa.table(moments)), self.wanted)
            names = [col(named.name) for named in self.wanted]
            select = exp.select(*names, copy=False).from_(_named(table), copy=False).order_by(col(KEY), copy=False)
            found = self.evaluator.backend.arrow(select)
        tier = pc.index_in(found["first$"], value_set=pa.array(self.tiers, pa.string()))
        stays = np.zeros((found.num_rows, len(self.tiers)), bool)
        for index in self.stays:
            stays[:, index] = pc.fill_null(found[f"stay{index}$"], False).to_numpy(zero_copy_only=False)
        return Judged(_whole(tier), stays)

    # -- answers ----------------------------------------------------------------------------------------------------

    def keeping(self, spine: _Spine, instants: Instants) -> pa.Table:
        """Return the states of a programme; who has no row yet is where the rules put them."""
        assert self.form.keep is not None
        if len(instants.ids):
            judged = self.judge(np.repeat(instants.ids, np.diff(instants.start)), instants.time)
            timelines = programme_timelines(
                instants,
                judged,
                self.form.keep.keeping,
                self.catalogue.zone,
                len(self.tiers) - 1,
                lambda who, as_of, known: self.judge(instants.ids[who], as_of, known),
            )
            places = timelines.places(spine.customer, spine.as_of)
        else:
            timelines, places = None, np.full(len(spine.key), -1, np.int64)
        tier = np.zeros(len(places), np.int64)
        fresh = places < 0
        if fresh.any():
            first = spine.part(fresh)
            tier[fresh] = self.judge(first.customer, first.as_of).tier
        states = [np.full(len(places), NEVER) for _ in STATE_COLUMNS]
        if timelines is not None:
            there = places[~fresh]
            tier[~fresh] = timelines.tier[there]
            for state, column in zip(states, (timelines.since, timelines.term_ends, timelines.grace_ends), strict=True):
                state[~fresh] = column[there]
        columns = {
            f"{self.tiering}.{suffix}": pa.array(state, pa.int64(), mask=state == NEVER).cast(_MICROS)
            for suffix, state in zip(STATE_COLUMNS, states, strict=True)
        }
        return pa.table({KEY: pa.array(spine.key), self.tiering: self.names(tier), **columns})

    def staying(self, spine: _Spine, instants: Instants) -> pa.Table:
        """Return the tiers of a tiering with `stay`: from the rows' times, and judged once more at as_of."""
        now = self.judge(spine.customer, spine.as_of)
        tier = now.tier
        if len(instants.ids):
            instants = _with_just_before(instants)
            judged = self.judge(np.repeat(instants.ids, np.diff(instants.start)), instants.time)
            timelines: Timelines = stay_timelines(instants, judged)
            places = timelines.places(spine.customer, spine.as_of)
            there = places >= 0
            tier[there] = stayed(timelines.tier[places[there]], now.at(np.flatnonzero(there)))
        return pa.table({KEY: pa.array(spine.key), self.tiering: self.names(tier)})

    def names(self, tier: np.ndarray) -> pa.Array:
        return pa.array(self.tiers, pa.string()).take(pa.array(tier))


def _with_just_before(instants: Instants) -> Instants:
    """Add the microsecond before each row but the first, so that what time alone took away is seen."""
    who = instants.who
    follows = np.append(False, who[1:] == who[:-1]) if len(who) else np.zeros(0, bool)
    gap = follows.copy()
    gap[1:] &= instants.time[1:] - 1 > instants.time[:-1]
    time = np.insert(instants.time, np.flatnonzero(gap), instants.time[gap] - 1)
    refund = np.insert(instants.refund, np.flatnonzero(gap), False)
    counts = np.diff(instants.start) + np.bincount(who[gap], minlength=len(instants.ids))
    return Instants(instants.ids, np.append(0, np.cumsum(counts)), time, refund, instants.until)


def _refunds(orders: str) -> exp.Select:
    """Return when an order's refunds came after the order."""
    back = exp.Dot(this=exp.to_identifier("x"), expression=exp.to_identifier("time"))
    each = exp.select(
        col("customer_id"),
        col("time").as_("ordered_at", copy=False),
        fn(
            "unnest",
            fn("list_transform", col("refunds"), exp.Lambda(this=back, expressions=[exp.to_identifier("x")])),
        ).as_("time", copy=False),
        copy=False,
    ).from_(_named(orders), copy=False)
    later = exp.GT(this=col("time", "e"), expression=col("ordered_at", "e"))
    return (
        exp.select(col("customer_id", "e"), col("time", "e"), exp.true().as_("refund", copy=False), copy=False)
        .from_(each.subquery("e", copy=False), copy=False)
        .where(later, copy=False)
    )


def _whole(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    found: np.ndarray = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found.astype(np.int64, copy=True)


def _micros(column: pa.ChunkedArray) -> np.ndarray:
    return _whole(column.cast(_MICROS))


def _named(table: str, alias: str = "") -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(table, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )
