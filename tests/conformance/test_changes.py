"""Who is due between two instants: whoever's answers differ is among them, whatever is asked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import source_of
from tierwise.engine.cells import named_cell
from tierwise.engine.distributions import Distribution
from tierwise.engine.due import changes_between
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.engine.sql import col
from tierwise.errors import TierwiseError
from tierwise.testing.strategies import cases
from tierwise.testing.worlds import Case, catalogue_of, engine_of, log_of, same

#: More of them: TIERWISE_CASES=2000 pytest tests/conformance/test_changes.py
EXAMPLES = int(os.environ.get("TIERWISE_CASES", "12"))
STEPS = tuple(
    timedelta(microseconds=1) * micros
    for micros in (1, 30_000_000, 3_600_000_000, 86_400_000_000, 7 * 86_400_000_000, 31 * 86_400_000_000)
)


def due(case: Case, step: timedelta) -> tuple[dict[int, set[str]], dict[int, list[str]]]:
    """Why each customer is due between the case's as_of and a step later, and whose answers to what differ."""
    catalogue = catalogue_of(case)
    with engine_of(case, catalogue) as engine, tempfile.TemporaryDirectory() as folder:
        return _due(engine, catalogue, case, step, log_of(case, Path(folder)))


def _due(
    engine: DuckEngine, catalogue: Catalogue, case: Case, step: timedelta, log: tuple[str, ...]
) -> tuple[dict[int, set[str]], dict[int, list[str]]]:
    parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
    until = case.as_of + step

    def evaluator(as_of: datetime, published: Mapping[str, tuple[Distribution, ...]] | None) -> Evaluator:
        snapshot = Snapshot(as_of, "case", parameters, 1, 1, published, log)
        return Evaluator(engine, catalogue, source_of(catalogue), snapshot)

    first = evaluator(case.as_of, None)
    before = first.evaluate(everyone(case.as_of), case.names).to_pylist()
    published = {known: tuple(found) for known, found in first.published.items()}
    after = evaluator(until, published).evaluate(everyone(until), case.names).to_pylist()
    asked = evaluator(case.as_of, published)
    table = changes_between(asked, case.names, until)
    why: dict[int, set[str]] = {}
    for customer, reason in engine.rows(
        exp.select(col("customer_id"), col("why")).from_(exp.to_identifier(table, True))
    ):
        why.setdefault(customer, set()).add(reason)
    asked.close()
    kinds = {name: named_cell(catalogue, name).kind for name in case.names}
    old: Mapping[int, dict[str, Any]] = {line["customer_id"]: line for line in before}
    changed = {
        line["customer_id"]: [
            name for name, kind in kinds.items() if not same(kind, old[line["customer_id"]][name], line[name])
        ]
        for line in after
    }
    return why, {customer: names for customer, names in changed.items() if names}


@settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(case=cases(), step=st.sampled_from(STEPS))
def test_whose_answers_change_is_due(case: Case, step: timedelta) -> None:
    try:
        why, changed = due(case, step)
    except TierwiseError as error:
        pytest.fail(f"{error}: {getattr(error, 'statement', '')[:2000]}")
    missed = {customer: names for customer, names in changed.items() if customer not in why}
    said = {name: case.tags.get(name) for names in missed.values() for name in names}
    assert not missed, f"{missed} by {step} from {case.as_of}: {said} {case!r}"
