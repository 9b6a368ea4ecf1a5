"""How many customers a condition holds for, and what each part of it takes away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import BOOLEAN, Kind
from tierwise.definitions.language.nodes import Node, Op
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.sentences import sentence
from tierwise.definitions.language.typed import Apply, Expr
from tierwise.engine.cells import Cells, Named
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.labels import labels_of
from tierwise.engine.snapshot import everyone
from tierwise.engine.sql import all_of, col, filtered

__all__ = ["estimate", "reads_rows"]


def estimate(
    evaluator: Evaluator, catalogue: Catalogue, text: str, base: tuple[str, Mapping[str, Kind]] | None = None
) -> dict[str, Any]:
    """Count the customers for whom a condition holds at the snapshot's as_of, one ``and`` part after the other.

    Args:
        evaluator: over the state of the tables that is asked.
        catalogue: the checked definitions.
        text: the condition.
        base: a table of results and the names it holds, which then are not computed again.

    Raises:
        DefinitionsInvalid: when the condition cannot be parsed or checked, or is none.
    """
    node, expr = catalogue.expression(text, BOOLEAN)
    written, steps = _conjuncts(node, expr)
    wanted = [Named(f"x{index}$", BOOLEAN, step) for index, step in enumerate(steps)]
    relation = evaluator.relation(everyone(evaluator.snapshot.as_of), wanted, base=base)
    counts: list[exp.Expression] = [exp.Count(this=exp.Star())]
    for index in range(len(steps)):
        held = all_of([col(named.name) for named in wanted[: index + 1]])
        counts.append(filtered(exp.Count(this=exp.Star()), held))
    asked = exp.select(*(count.as_(f"n{i}") for i, count in enumerate(counts)), copy=False)
    found = evaluator.backend.arrow(asked.from_(relation.subquery("t", copy=False), copy=False))
    numbers = [int(found.column(i)[0].as_py()) for i in range(len(counts))]
    labels = labels_of(catalogue)
    total, last = numbers[0], numbers[-1]
    everybody = {
        "address": "",
        "text": "",
        "sentence": {"zh": "全部客户", "en": "all customers"},
        "count": total,
    }
    waterfall = [everybody] + [
        {
            "address": f"args.{index}" if len(steps) > 1 else "",
            "text": print_tree(part),
            "sentence": {"zh": sentence(part, "zh", labels), "en": sentence(part, "en", labels)},
            "count": numbers[index + 1],
        }
        for index, part in enumerate(written)
    ]
    return {
        "expression": print_tree(node),
        "sentence": {"zh": sentence(node, "zh", labels), "en": sentence(node, "en", labels)},
        "count": last,
        "of": total,
        "share": last / total if total else 0.0,
        "as_of": evaluator.snapshot.as_of.isoformat() + "Z",
        "snapshot_id": evaluator.snapshot.id,
        "waterfall": waterfall,
    }


def reads_rows(catalogue: Catalogue, text: str, known: Mapping[str, Kind]) -> bool:
    """Return whether a condition reads more than names that a table of results holds.

    Raises:
        DefinitionsInvalid: when the condition cannot be parsed or checked, or is none.
    """
    cells = Cells(catalogue, available=known)
    cells.want(Named("x$", BOOLEAN, catalogue.expression(text, BOOLEAN)[1]))
    read = cells.aggregates, cells.attributes, cells.apart, cells.populations, cells.groups, cells.remembered
    return any(read)


def _conjuncts(node: Node, expr: Expr) -> tuple[tuple[Node, ...], tuple[Expr, ...]]:
    """Return the parts of a top-level ``and``, written and checked, or the whole."""
    if isinstance(node, Op) and node.op == "and" and isinstance(expr, Apply):
        return node.args, expr.args
    return (node,), (expr,)
