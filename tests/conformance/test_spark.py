"""Every construct on a real Spark cluster of two workers: what the hand says, as on the other engine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.spark_cluster import QUICK, spark_cluster
from tierwise.engine.backends.spark.engine import SparkEngine
from tierwise.engine.backends.spark.session import stop_session
from tierwise.engine.build import source_of
from tierwise.engine.cells import named_cell
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.testing.constructs import WORLDS
from tierwise.testing.truths import FORMS
from tierwise.testing.worlds import catalogue_of, fill, log_of, same

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.xdist_group("spark"),
    pytest.mark.skipif(not os.environ.get("TIERWISE_SPARK"), reason="starts a cluster: set TIERWISE_SPARK=1"),
]


#: A cluster plans a statement of a hundred joins for longer than it runs three of a third of them.
_TOGETHER: Final = 30


def _batches(names: list[str]) -> Iterator[list[str]]:
    yield from (names[start : start + _TOGETHER] for start in range(0, len(names), _TOGETHER))


def _is_asked(world: str, text: str) -> bool:
    """Whether a construct is asked here: every function and operator, every option once, each way to place once."""
    if world == "stream":
        return text in FORMS or text.startswith("sum(s.q")
    if world == "population":
        return "by=" not in text or "best=" in text
    return True


@pytest.fixture(scope="module")
def engine() -> Iterator[SparkEngine]:
    with spark_cluster() as master:
        with SparkEngine(master, QUICK) as engine:
            yield engine
        stop_session()


@pytest.mark.parametrize("world", WORLDS)
def test_every_construct_is_as_the_hand_says(world: str, engine: SparkEngine) -> None:
    case, everything = WORLDS[world]
    truths = {text: true for text, true in everything.items() if _is_asked(world, text)}
    names = {f"x{index}": text for index, text in enumerate(truths)}
    case = replace(case, tags=names)
    catalogue = catalogue_of(case)
    with tempfile.TemporaryDirectory() as folder:
        fill(engine, case, catalogue, Path(folder))
        parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
        snapshot = Snapshot(case.as_of, "case", parameters, 1, 1, None, log_of(case, Path(folder, "log")))
        now: dict[int, dict[str, Any]] = {customer: {} for customer in case.customers}
        for batch in _batches(list(names)):
            evaluator = Evaluator(engine, catalogue, source_of(catalogue), snapshot)
            for line in evaluator.evaluate(everyone(case.as_of), batch).to_pylist():
                now[line["customer_id"]] |= line
    found = []
    for name, text in names.items():
        kind = named_cell(catalogue, name).kind
        for customer, true in zip(case.customers, truths[text], strict=True):
            value = now[customer][name]
            exact = kind.name in ("decimal", "money") and value is not None and true is not None
            wanted = type(value)(true) if exact else true
            if not same(kind, value, wanted):
                found.append(f"customer {customer}: {text} is {value!r}, not {wanted!r}")
    assert not found, "\n".join(found)
