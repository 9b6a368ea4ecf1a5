"""Why one customer is where they are, what would move them up, and when time alone would move them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue, Rule
from tierwise.definitions.language.kinds import BOOLEAN, Kind
from tierwise.definitions.language.nodes import COMPARISONS, Node, Op
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.sentences import sentence
from tierwise.definitions.language.typed import Apply, Const, Expr, ParameterOf, Value, walk_typed
from tierwise.engine.cells import Named, named_cell
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.labels import both, labels_of
from tierwise.engine.remembering import STATE_COLUMNS
from tierwise.engine.snapshot import customers, moments
from tierwise.engine.sql import col, equals, number

__all__ = ["explain"]

#: How far ahead `next_change` looks.
_HORIZON_DAYS: Final = 400
#: How many instants between two others are asked about in one evaluation: a day is narrowed to a minute in two.
_AT_ONCE: Final = 64


@dataclass
class _Asked:
    """Sub-expressions asked in one evaluation, by column."""

    cells: dict[Expr, str] = field(default_factory=dict)

    def name(self, expr: Expr) -> str:
        return self.cells.setdefault(expr, f"x{len(self.cells)}$")

    def named(self) -> list[Named]:
        return [Named(name, expr.kind, expr) for expr, name in self.cells.items()]


@dataclass(frozen=True)
class _Condition:
    """One comparison or plain condition inside a rule."""

    node: Node
    expr: Expr
    address: str


def explain(
    evaluator: Evaluator,
    catalogue: Catalogue,
    customer_id: int,
    customer_key: str,
    results: tuple[str, str, Mapping[str, Kind]] | None = None,
) -> dict[str, Any]:
    """Explain one customer at the snapshot's as_of: what the run found, and every condition from one evaluation.

    `next_change` says when time alone would move the customer, with the rows, groups and distributions of now: the
    first of the next 400 local midnights (just before, or after) with another tier, narrowed to the minute.

    Args:
        evaluator: over the state of the tables that is asked.
        catalogue: the checked definitions.
        customer_id: who.
        customer_key: the brand's number of them.
        results: the tables of results and of programmes and the names the first holds, when they are of the snapshot:
            then only the conditions are worked out again.
    """
    return _Explanation(evaluator, catalogue, customer_id, customer_key, results).run()


class _Explanation:
    def __init__(
        self,
        evaluator: Evaluator,
        catalogue: Catalogue,
        customer_id: int,
        customer_key: str,
        results: tuple[str, str, Mapping[str, Kind]] | None,
    ) -> None:
        self.evaluator, self.catalogue, self.id, self.key = evaluator, catalogue, customer_id, customer_key
        self.results = results
        self.labels = labels_of(catalogue)
        self.asked = _Asked()
        self.values: dict[str, Value] = {}
        self.as_of = evaluator.snapshot.as_of

    def run(self) -> dict[str, Any]:
        catalogue = self.catalogue
        rules = [*catalogue.segments.values(), *(r for tiers in catalogue.tierings.values() for r in tiers.values())]
        rules += [rule for stays in catalogue.stays.values() for rule in stays.values()]
        for rule in rules:
            self.ask(rule)
        names = [*catalogue.tags, *catalogue.tierings, *catalogue.segments]
        wanted = [named_cell(catalogue, name) for name in names] + self.asked.named()
        spine, columns = customers([self.id], self.as_of), [named.name for named in wanted]
        if self.results is None:
            states = [f"{name}.{suffix}" for name in self.programmes for suffix in STATE_COLUMNS]
            self.values = self.row(self.evaluator.table(spine, wanted), [*columns, *states])
        else:
            base = self.found(self.results[0]), self.results[2]
            self.values = self.row(self.evaluator.table(spine, wanted, base=base), columns) | self.states()
        changes = self.next_changes(list(catalogue.tierings))
        return {
            "customer_id": self.id,
            "customer_key": self.key,
            "as_of": self.as_of.isoformat() + "Z",
            "snapshot_id": self.evaluator.snapshot.id,
            "tierings": [self.tiering(name, changes.get(name)) for name in catalogue.tierings],
            "segments": [self.segment(name) for name in catalogue.segments],
            "tags": [self.tag(name) for name in catalogue.tags],
        }

    @property
    def programmes(self) -> list[str]:
        return [name for name, form in self.catalogue.definitions.tierings.items() if form.keep is not None]

    def found(self, results: str) -> str:
        """Return a table of what the run found of the customer."""
        mine = exp.select("*").from_(exp.Table(this=exp.to_identifier(results, quoted=True)))
        return self.evaluator.temporary("found", mine.where(equals(col("customer_id"), number(self.id))))

    def states(self) -> dict[str, Value]:
        """Return where the run found the customer in each programme."""
        if self.results is None or not self.programmes:
            return {}
        ends = [suffix.removesuffix("$") for suffix in STATE_COLUMNS]
        select = exp.select(col("tiering"), *(col(end) for end in ends)).from_(exp.to_table(self.results[1]))
        rows = self.evaluator.backend.arrow(select.where(equals(col("customer_id"), number(self.id)))).to_pylist()
        found = {row["tiering"]: row for row in rows}
        return {
            f"{name}.{suffix}": found.get(name, {}).get(end)
            for name in self.programmes
            for suffix, end in zip(STATE_COLUMNS, ends, strict=True)
        }

    def row(self, table: str, names: Sequence[str]) -> dict[str, Value]:
        source = exp.Table(this=exp.to_identifier(table, quoted=True))
        rows = self.evaluator.backend.arrow(exp.select(*(col(name) for name in names)).from_(source)).to_pylist()
        return rows[0] if rows else dict.fromkeys(names)

    def ask(self, rule: Rule) -> None:
        """Ask for a rule's truth, and for its conditions' truth and sides."""
        if rule.expr is None or rule.node is None:
            return
        self.asked.name(rule.expr)
        for condition in self.conditions_of(rule):
            self.asked.name(condition.expr)
            for side in _sides(condition.expr):
                self.asked.name(side)

    def conditions_of(self, rule: Rule) -> Iterator[_Condition]:
        """Yield the comparisons and plain conditions of a rule, each with its address."""
        assert rule.expr is not None and rule.node is not None
        typed: dict[str, Expr] = {}
        for part in walk_typed(rule.expr):
            if part.kind == BOOLEAN:
                typed.setdefault(part.address, part)
        pending: list[tuple[str, Node]] = [("", rule.node)]
        while pending:
            address, node = pending.pop(0)
            if isinstance(node, Op) and node.op in ("and", "or", "not"):
                below = [(f"{address}.args.{i}".lstrip("."), arg) for i, arg in enumerate(node.args)]
                pending = below + pending
            elif address in typed:
                yield _Condition(node, typed[address], address)

    # -- parts of the answer ----------------------------------------------------------------------------------------

    def tiering(self, name: str, change: dict[str, Any] | None) -> dict[str, Any]:
        form = self.catalogue.definitions.tierings[name]
        chosen = str(self.values[name])
        tiers: list[dict[str, Any]] = []
        for tier, rule in self.catalogue.tierings[name].items():
            holds = rule.expr is None or bool(self.values[self.asked.name(rule.expr)])
            tiers.append(
                {
                    "tier": tier,
                    "label": both(form.tiers[tier].label, tier),
                    "matched": holds,
                    "chosen": tier == chosen,
                    "rule": "otherwise" if rule.node is None else print_tree(rule.node),
                    "sentence": self.said(rule.node),
                    "conditions": self.conditions(rule),
                    **self.stay(name, tier),
                }
            )
        above = tiers[: [tier["tier"] for tier in tiers].index(chosen)] if chosen in form.tiers else []
        up = [
            {"tier": t["tier"], "label": t["label"], "missing": [c for c in t["conditions"] if not c["holds"]]}
            for t in above
        ]
        return {
            "tiering": name,
            "label": both(form.label, name),
            "tier": chosen,
            "tier_label": both(form.tiers[chosen].label, chosen)
            if chosen in form.tiers
            else {"zh": chosen, "en": chosen},
            "clause": f"tiers.{chosen}",
            "tiers": tiers,
            "up": list(reversed(up)),
            "next_change": change,
            **self.programme(name),
        }

    def stay(self, name: str, tier: str) -> dict[str, Any]:
        """Return what a customer stays in a tier by, when that is declared apart."""
        rule = self.catalogue.stays.get(name, {}).get(tier)
        if rule is None or rule.expr is None:
            return {}
        holds = bool(self.values[self.asked.name(rule.expr)])
        return {"stay": {"holds": holds, "sentence": self.said(rule.node), "conditions": self.conditions(rule)}}

    def programme(self, name: str) -> dict[str, Any]:
        """Return where a programme has the customer, and its terms in words."""
        keep = self.catalogue.definitions.tierings[name].keep
        if keep is None:
            return {}
        state = {suffix.removesuffix("$"): self.values[f"{name}.{suffix}"] for suffix in STATE_COLUMNS}
        words = {language: keep.keeping.sentence(language) for language in ("zh", "en")}
        return {"programme": {**state, "sentence": words}}

    def segment(self, name: str) -> dict[str, Any]:
        rule, form = self.catalogue.segments[name], self.catalogue.definitions.segments[name]
        return {
            "segment": name,
            "label": both(form.label, name),
            "member": bool(self.values[name]),
            "sentence": self.said(rule.node) if not form.list else _listed(form.list),
            "conditions": [] if form.list else self.conditions(rule),
            "sensitive": sorted(self.catalogue.sensitive[name]),
        }

    def tag(self, name: str) -> dict[str, Any]:
        form = self.catalogue.definitions.tags[name]
        return {
            "tag": name,
            "label": both(form.label, name),
            "value": self.values[name],
            "unit": form.unit,
            "sensitive": sorted(self.catalogue.sensitive[name]),
        }

    def said(self, node: Node | None) -> dict[str, str]:
        if node is None:
            return {"zh": "其余客户", "en": "everyone else"}
        return {"zh": sentence(node, "zh", self.labels), "en": sentence(node, "en", self.labels)}

    def conditions(self, rule: Rule) -> list[dict[str, Any]]:
        if rule.expr is None:
            return []
        found = []
        for condition in self.conditions_of(rule):
            sides = _sides(condition.expr)
            values = [self.values[self.asked.name(side)] for side in sides]
            varying = [
                value for side, value in zip(sides, values, strict=True) if not isinstance(side, Const | ParameterOf)
            ]
            holds = bool(self.values[self.asked.name(condition.expr)])
            operator = condition.expr.function if isinstance(condition.expr, Apply) else ""
            shown = varying[0] if varying else values[0] if values else None
            found.append(
                {
                    "address": condition.address,
                    "text": print_tree(condition.node),
                    "sentence": self.said(condition.node),
                    "holds": holds,
                    "value": shown,
                    "operator": operator if operator in COMPARISONS else "",
                    "threshold": _threshold(sides, values),
                    "short_by": None if holds else _short_by(operator, sides, values),
                }
            )
        return found

    # -- time alone -------------------------------------------------------------------------------------------------

    def next_changes(self, tierings: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        """Return, by tiering, when time alone moves the customer to which tier, or None within the horizon."""
        if not tierings:
            return {}
        zone = self.catalogue.zone
        today = zone.day_of(self.as_of)
        days = [zone.midnight(today + timedelta(days=n)) for n in range(1, _HORIZON_DAYS + 1)]
        tiers = self.tiers_at(days, tierings)
        found: dict[str, dict[str, Any] | None] = dict.fromkeys(tierings)
        spans: dict[str, tuple[datetime, datetime]] = {}
        for name in tierings:
            first = next((i for i, row in enumerate(tiers) if row[name] != self.values[name]), None)
            if first is not None:
                spans[name] = (self.as_of if first == 0 else days[first - 1], days[first])
        for name, (at, tier) in self.narrow(spans).items():
            days_ahead = (zone.day_of(at) - today).days
            found[name] = {"at": at.isoformat() + "Z", "tier": tier, "days": days_ahead}
        return found

    def tiers_at(self, instants: Sequence[datetime], tierings: Sequence[str]) -> list[dict[str, Any]]:
        ids = pa.array([self.id] * len(instants), pa.int64())
        table = pa.table({"customer_id": ids, "as_of": pa.array(instants, pa.timestamp("us"))})
        frozen = {key: tuple(versions) for key, versions in self.evaluator.published.items()}
        snapshot = replace(self.evaluator.snapshot, distributions=frozen)
        later = Evaluator(self.evaluator.backend, self.catalogue, self.evaluator.source, snapshot, groups_of_now=True)
        rows: list[dict[str, Any]] = later.evaluate(moments(table), list(tierings)).to_pylist()
        return rows

    def narrow(self, spans: Mapping[str, tuple[datetime, datetime]]) -> dict[str, tuple[datetime, str]]:
        """Narrow the changes of tierings between two instants each: all at once, until they are a minute apart."""
        found: dict[str, tuple[datetime, str]] = {}
        pending = dict(spans)
        while pending:
            steps = {
                name: [low + (high - low) * i / _AT_ONCE for i in range(1, _AT_ONCE)] + [high]
                for name, (low, high) in pending.items()
            }
            instants = sorted({instant for listed in steps.values() for instant in listed})
            rows = dict(zip(instants, self.tiers_at(instants, list(pending)), strict=True))
            for name, listed in steps.items():
                index = next(i for i, instant in enumerate(listed) if rows[instant][name] != self.values[name])
                low, high = (pending[name][0] if index == 0 else listed[index - 1]), listed[index]
                pending[name] = (low, high)
                if high - low <= timedelta(minutes=1):
                    found[name] = (high, str(rows[high][name]))
                    del pending[name]
        return found


def _listed(name: str) -> dict[str, str]:
    return {"zh": f"在名单「{name}」上", "en": f"is on the list {name}"}


def _sides(expr: Expr) -> tuple[Expr, ...]:
    """Return the two sides of a comparison (of a chain, all of them), or nothing of a plain condition."""
    if isinstance(expr, Apply) and expr.function in COMPARISONS:
        return expr.args
    if isinstance(expr, Apply) and expr.function == "and":  # a chain: a <= x < b
        sides = [side for part in expr.args if isinstance(part, Apply) for side in part.args]
        return tuple(dict.fromkeys(sides))
    if (
        isinstance(expr, Apply)
        and expr.function in ("in", "not_in", "missing", "present")
        and expr.args[0].kind.of is None
    ):
        return expr.args[:1]
    return ()


def _threshold(sides: Sequence[Expr], values: Sequence[Value]) -> Value:
    fixed = [value for side, value in zip(sides, values, strict=True) if isinstance(side, Const | ParameterOf)]
    if fixed:
        return fixed[-1] if len(fixed) == 1 else tuple(fixed)
    return values[1] if len(values) == 2 else None


def _short_by(operator: str, sides: Sequence[Expr], values: Sequence[Value]) -> Value:
    """By how much a comparison of two numbers or times fails; None where that says nothing."""
    if operator not in ("<", "<=", ">", ">=") or len(values) != 2:
        return None
    left, right = values
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return None
    if isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal):
        if isinstance(left, float) or isinstance(right, float):
            return abs(float(left) - float(right))
        return abs(Decimal(left) - Decimal(right))
    if isinstance(left, datetime) and isinstance(right, datetime):
        return abs(left - right) / timedelta(days=1)
    if isinstance(left, date) and isinstance(right, date):
        return abs((left - right).days)
    return None
