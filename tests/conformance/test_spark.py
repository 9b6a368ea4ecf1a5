"""The whole language on a real Spark cluster of two workers: every construct, programmes, generated definitions."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sqlglot import exp

from tests.conformance.test_remembering import GOLD_THEN_NOTHING, STAYING, lives, order, programme, refund
from tests.spark_cluster import QUICK
from tierwise.engine.backends.spark.engine import SparkEngine
from tierwise.engine.build import source_of
from tierwise.engine.cells import named_cell
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.engine.sql import col
from tierwise.engine.values import round9
from tierwise.testing.constructs import WORLDS
from tierwise.testing.strategies import cases
from tierwise.testing.truths import OPTIONS
from tierwise.testing.worlds import Case, at, catalogue_of, differences, fill, log_of, said_of, same

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.xdist_group("spark"),
]

#: A cluster plans a statement of a hundred joins for longer than it runs three of a third of them.
_TOGETHER: Final = 40
#: A cluster is half a minute at one of them: TIERWISE_SPARK_EXAMPLES=20 pytest tests/conformance/test_spark.py
_EXAMPLES: Final = int(os.environ.get("TIERWISE_SPARK_EXAMPLES", "0"))
_GENERATED: Final = settings(
    max_examples=max(1, _EXAMPLES), phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


#: Neither the session's zone nor Java's own is UTC: no answer depends on them.
_ELSEWHERE: Final = {
    **QUICK,
    "spark.sql.session.timeZone": "America/New_York",
    "spark.driver.extraJavaOptions": f"{QUICK['spark.driver.extraJavaOptions']} -Duser.timezone=Asia/Tokyo",
    "spark.executor.extraJavaOptions": f"{QUICK['spark.executor.extraJavaOptions']} -Duser.timezone=Europe/London",
}


@pytest.fixture(scope="module")
def engine(spark_master: str) -> Iterator[SparkEngine]:
    with SparkEngine(spark_master, _ELSEWHERE) as engine:
        yield engine


def _option(text: str) -> str:
    """The window or condition an expression ends with: those of one are one pass over the rows."""
    return max((one for one in OPTIONS if one and text.endswith(f", {one})")), key=len, default="")


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (names[start : start + _TOGETHER] for start in range(0, len(names), _TOGETHER))


@pytest.mark.parametrize("world", WORLDS)
def test_every_construct_is_as_the_hand_says(world: str, engine: SparkEngine) -> None:
    case, truths = WORLDS[world]
    names = {f"x{index}": text for index, text in enumerate(sorted(truths, key=_option))}
    case = replace(case, tags=names)
    catalogue = catalogue_of(case)
    with tempfile.TemporaryDirectory() as folder:
        fill(engine, case, catalogue, Path(folder))
        parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
        snapshot = Snapshot(
            case.as_of, "case", parameters, 1, 1, None, log_of(case, Path(folder, "log")), facts=said_of(case)
        )
        now: dict[int, dict[str, Any]] = {customer: {} for customer in case.customers}
        for batch in _batches(list(names)):
            evaluator = Evaluator(engine, catalogue, source_of(catalogue), snapshot)
            for line in evaluator.evaluate(everyone(case.as_of), batch).to_pylist():
                now[line["customer_id"]] |= line
        engine.clear()
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


def _differing(case: Case, engine: SparkEngine, of: Sequence[str] = ("everyone",)) -> list[str]:
    """Where the cluster and the reference differ."""
    try:
        return differences(case, of, engine)
    finally:
        engine.clear()


@pytest.mark.skipif(not _EXAMPLES, reason="takes half a minute: set TIERWISE_SPARK_EXAMPLES=20")
@_GENERATED
@given(case=cases(tags=8, depth=2))
def test_generated_definitions_are_as_the_reference_says(engine: SparkEngine, case: Case) -> None:
    found = _differing(case, engine)
    assert not found, "\n".join(
        [f"{len(found)} differences, as of {case.as_of} in {case.zone}", *found[:9], repr(case)]
    )


_LIVES: Final = [order("2026-01-01", 1000, "a"), order("2026-02-01", 400, "b"), order("2026-03-30", 700, "c")]
_MOMENTS: Final = [
    at(day) for day in ("2026-01-01", "2026-02-12", "2026-04-11", "2026-05-01", "2026-08-09", "2030-01-01")
]
#: Programmes and tiers that are easier to stay in than to reach, each asked at every moment.
_REMEMBERING: Final = {
    "a programme": programme(GOLD_THEN_NOTHING, "2026-04-20"),
    "with refunds": programme(_LIVES, "2026-06-01", [refund("2026-02-10", "b", 400), refund("2026-04-20", "c", 700)]),
    "down to what is earned": programme(_LIVES, "2026-06-01", keep={"term": "3mo", "downgrade": "to_qualified"}),
    "stay": programme([order(f"2026-{day}", 1) for day in ("01-01", "01-02", "01-03", "02-20")], "2026-02-01", keep={}, tiers=STAYING),
}  # fmt: skip


@pytest.mark.parametrize("name", list(_REMEMBERING)[:: 1 if _EXAMPLES > 1 else 2])
def test_tierings_that_remember(name: str, engine: SparkEngine) -> None:
    case = replace(_REMEMBERING[name], moments=_MOMENTS)
    assert not _differing(case, engine, ("everyone", "moments"))


@pytest.mark.skipif(_EXAMPLES < 7, reason="takes a minute: set TIERWISE_SPARK_EXAMPLES=20")
@settings(_GENERATED, max_examples=max(1, _EXAMPLES // 7))
@given(case=lives())
def test_generated_lives_are_as_the_reference_says(engine: SparkEngine, case: Case) -> None:
    assert not _differing(case, engine, ("everyone", "moments"))


def _floats() -> list[float]:
    """Numbers of ten digits that end in a 5, halves and quarters, and any others."""
    chosen = random.Random(5)
    found: list[float] = []
    for _ in range(2_000):
        digits, power = chosen.randrange(10**8, 10**9) * 10 + 5, chosen.randrange(-1, 17)
        found += [float(f"{digits}e{power - 9}"), -float(f"{digits}e{power - 9}")]
        found += [chosen.randrange(10**8, 10**9) / 2 ** chosen.randrange(0, 24), chosen.random() * 10.0**power]
    return found


def test_floats_are_rounded_as_c_rounds_them(engine: SparkEngine) -> None:
    floats = [one for one in _floats() if abs(one) >= 0.1]
    engine.register("floats", pa.table({"n": range(len(floats)), "x": floats}))
    found = engine.arrow(exp.select(round9(col("x")).as_("x")).from_("floats").order_by(col("n")))["x"].to_pylist()
    assert found == [float(f"{one:.8e}") for one in floats]


def test_below_a_tenth_the_neighbour_may_be_the_other_one(engine: SparkEngine) -> None:
    x = 5 / 8192  # 0.0006103515625: the digit before the 5 is even, and stays
    engine.register("floats", pa.table({"x": [x, float("nan"), float("inf"), 0.0, None]}))
    tie, *others = engine.arrow(exp.select(round9(col("x")).as_("x")).from_("floats"))["x"].to_pylist()
    assert float(f"{x:.8e}") == 0.000610351562 and tie in (0.000610351562, 0.000610351563)
    assert others == [None, None, 0.0, None]
