"""What a cluster cannot compute of what is declared, found before it runs: every statement is said in Spark's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue, Rule
from tierwise.definitions.language.kinds import BOOLEAN, TEXT, Kind
from tierwise.definitions.language.typed import Expr
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.backends.spark.dialect import for_spark
from tierwise.engine.build import build_known_customers, source_of, stream_table
from tierwise.engine.cells import Named
from tierwise.engine.depth import deep
from tierwise.engine.evaluate import KNOWN_CUSTOMERS, Evaluator
from tierwise.engine.received import IDS
from tierwise.engine.run import Inputs, build_one, in_order
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.engine.sql import cast, null, physical
from tierwise.errors import EngineRefused, Place, Problem
from tierwise.lake import Lake

__all__ = ["gaps"]

_AS_OF: Final = datetime(2026, 1, 1)
_KNOWN: Final = "known$"


def gaps(catalogue: Catalogue) -> list[Problem]:
    """Return a problem for every rule of a tag, tiering or segment that Spark's SQL has no words for.

    Example:
        >>> from tierwise.definitions.check import check
        >>> from tierwise.definitions.load import define
        >>> rule = 'exists(orders, where=matches(order_id, "[[:alpha:]]+"))'
        >>> catalogue, _ = check(define("shop", segments={"odd": rule, "good": "exists(orders)"})[0])
        >>> [problem.message for problem in gaps(catalogue)]
        ['`odd` cannot be computed on Spark: Java reads this pattern of matches() otherwise than RE2']
    """
    found = []
    with DuckEngine(None, threads=1) as engine:
        said = _Said(engine)
        kinds = _without_rows(said, catalogue)
        parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
        snapshot = Snapshot(_AS_OF, "", parameters, 0, 0)
        for name, expr, place in _rules(catalogue):
            evaluator = Evaluator(said, catalogue, source_of(catalogue), snapshot)
            try:
                evaluator.table(everyone(_AS_OF), [Named("x$", expr.kind, expr)], base=(_KNOWN, kinds))
            except EngineRefused as error:
                message = f"`{name}` cannot be computed on Spark: {error.message}"
                found.append(Problem("engine", message, place, error.hint))
            finally:
                evaluator.close()
    return found


def _rules(catalogue: Catalogue) -> Iterator[tuple[str, Expr, Place]]:
    """Yield every expression that is computed, with the definition it is of and where it stands."""
    rules: list[tuple[str, Rule]] = [*catalogue.tags.items(), *catalogue.segments.items()]
    for name, tiers in catalogue.tierings.items():
        rules += [(f"{name}.{tier}", rule) for tier, rule in tiers.items()]
        rules += [(f"{name}.{tier}", rule) for tier, rule in catalogue.stays.get(name, {}).items()]
    for name, rule in rules:
        if rule.expr is not None:
            yield name, rule.expr, rule.place


def _without_rows(backend: _Said, catalogue: Catalogue) -> dict[str, Kind]:
    """Make every table, without a row, and one of all answers; return the kinds of the answers.

    The names a rule reads are taken as given: what is wrong with them is said of them.
    """
    kinds = {name: rule.expr.kind for name, rule in catalogue.tags.items() if rule.expr is not None}
    kinds |= dict.fromkeys(catalogue.tierings, TEXT) | dict.fromkeys(catalogue.segments, BOOLEAN)
    ids = pa.table({"source_record_id": pa.array([], pa.int64()), "customer_id": pa.array([], pa.int64())})
    ids = ids.append_column("customer_key", pa.array([], pa.string()))
    backend.register(IDS, ids)
    nowhere = Lake(Path("there is no such lake"))
    for stream in in_order(catalogue):
        build_one(backend, stream, Inputs(catalogue, nowhere, 0, ids, 0, {}), stream_table(stream.name))
    for name, columns in catalogue.lookups.items():
        _empty(backend, f"lookup_{name}", {"key": TEXT, **columns})
    build_known_customers(backend, [stream_table(name) for name in catalogue.streams], False, False, KNOWN_CUSTOMERS)
    _empty(backend, _KNOWN, kinds)
    return kinds


def _empty(backend: _Said, name: str, kinds: dict[str, Kind]) -> None:
    columns = [cast(null(), physical(kind)).as_(column, quoted=True) for column, kind in kinds.items()]
    backend.create(name, exp.select(cast(null(), "BIGINT").as_("customer_id"), *columns).where(exp.false()))


class _Said:
    """An engine without rows that has every statement said in Spark's words before it is run."""

    at_once: int | None = None

    def __init__(self, engine: DuckEngine) -> None:
        self._engine = engine
        self._macros: dict[str, exp.Expression] = {}

    def create(self, name: str, select: exp.Expression, *, temporary: bool = False) -> int:
        """Make a table of a SELECT that Spark has words for."""
        self._say(select)
        return self._engine.create(name, select, temporary=temporary)

    def insert(self, name: str, select: exp.Expression) -> int:
        """Add the rows of a SELECT that Spark has words for to a table."""
        self._say(select)
        return self._engine.insert(name, select)

    def view(self, name: str, select: exp.Expression) -> None:
        """Make a temporary view of a SELECT that Spark has words for."""
        self._say(select)
        self._engine.view(name, select)

    def register(self, name: str, table: pa.Table) -> None:
        """Make a temporary table of Arrow rows."""
        self._engine.register(name, table)

    def define(self, name: str, body: exp.Expression) -> None:
        """Define a function of one argument ``w``."""
        self._macros[name] = body
        self._engine.define(name, body)

    def drop(self, name: str) -> None:
        """Drop a table, if it is there."""
        self._engine.drop(name)

    def arrow(self, select: exp.Expression) -> pa.Table:
        """Return the rows of a SELECT that Spark has words for."""
        self._say(select)
        return self._engine.arrow(select)

    def _say(self, select: exp.Expression) -> None:
        with deep():
            for_spark(select, self._macros)
