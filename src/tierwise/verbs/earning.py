"""Earning: what the rows are worth in points by the declared rules, at the as_of of the last run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import BOOLEAN
from tierwise.definitions.language.typed import Aggregate
from tierwise.definitions.points import PointsProgramme
from tierwise.engine.amounts import amounts
from tierwise.engine.build import source_of
from tierwise.engine.cells import Named
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.snapshot import moments
from tierwise.engine.sql import KEY, col
from tierwise.loyalty import Due
from tierwise.verbs.asking import Asking
from tierwise.verbs.opened import Opened
from tierwise.verbs.through import reads

__all__ = ["Earning", "due_of"]

_DUE = pa.schema(
    [
        ("rule", pa.string()),
        ("customer_id", pa.int64()),
        ("reference", pa.string()),
        ("at", pa.timestamp("us")),
        ("points", pa.int64()),
    ]
)


class Earning:
    """The verbs that say what rows are worth."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @reads
    def due(self) -> pa.Table:
        """Return (rule, customer_id, reference, at, points) of everything that earns points at the last run's as_of."""
        opened, asking = self.opened, Asking(self.opened)
        standing = asking.standing()
        snapshot = asking.snapshot(standing, standing.as_of, frozen=True)
        evaluator = Evaluator(opened.engine, opened.catalogue, source_of(opened.catalogue), snapshot)
        programmes = opened.definitions.points.values()
        found = [self._by_rule(evaluator, programme, rule) for programme in programmes for rule in programme.earn]
        return pa.concat_tables(found) if found else _DUE.empty_table()

    def _by_rule(self, evaluator: Evaluator, programme: PointsProgramme, rule: str) -> pa.Table:
        form = programme.earn[rule]
        _, expr = evaluator.catalogue.expression(form.text)
        assert isinstance(expr, Aggregate), "a rule of points adds up or counts rows"
        rows = amounts(evaluator, expr, form.each)
        factors = self._factors(evaluator, programme, rule, rows)
        points = [
            form.earned(amount or Decimal(0), factor)
            for amount, factor in zip(rows["amount"].to_pylist(), factors, strict=True)
        ]
        columns: dict[str, Any] = {"rule": pa.repeat(pa.scalar(rule), rows.num_rows)}
        columns |= {name: rows[name].combine_chunks() for name in ("customer_id", "reference", "at")}
        return pa.table({**columns, "points": pa.array(points, pa.int64())}).cast(_DUE)

    def _factors(self, evaluator: Evaluator, programme: PointsProgramme, rule: str, rows: pa.Table) -> list[Decimal]:
        """Return what the points of each row are multiplied with: conditions as they held at the row's time."""
        factors = [Decimal(1)] * rows.num_rows
        multipliers = [one for one in programme.multiply.values() if not one.rules or rule in one.rules]
        if not multipliers or not rows.num_rows:
            return factors
        wanted = [
            Named(f"m{index}$", BOOLEAN, evaluator.catalogue.expression(one.when, BOOLEAN)[1])
            for index, one in enumerate(multipliers)
        ]
        spine = moments(rows.select(["customer_id", "at"]).rename_columns(["customer_id", "as_of"]))
        relation = evaluator.relation(spine, wanted).subquery("t", copy=False)
        names = [col(named.name) for named in wanted]
        answers = evaluator.backend.arrow(exp.select(*names, copy=False).from_(relation, copy=False).order_by(col(KEY)))
        evaluator.close()
        for index, one in enumerate(multipliers):
            for place, holds in enumerate(answers[f"m{index}$"].to_pylist()):
                if holds:
                    factors[place] *= one.by
        return factors


def due_of(table: pa.Table) -> list[Due]:
    """Return the rows of `Earning.due` as values."""
    columns = [table[name].to_pylist() for name in _DUE.names]
    return [Due(*row) for row in zip(*columns, strict=True)]
