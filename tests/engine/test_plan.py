"""Which passes a plan makes: windows that read much of the same rows share one, and sharing changes no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tierwise.engine.build import source_of
from tierwise.engine.cells import Cells, named_cell
from tierwise.engine.clock import Clock
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.plan import Compiler
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.testing.worlds import Case, catalogue_of, engine_of, row

AS_OF = datetime(2026, 6, 30, 16)
TAGS = {
    "d7": 'count(events, within="7d")',
    "d30": 'count(events, within="30d")',
    "d90": 'days(events, within="90d")',
    "d365": 'count(events, within="365d")',
    "ever": "last(events.time)",
    "best": 'top(events.type, within="90d")',
    "kinds": 'distinct(events.type, within="90d")',
    "few": 'distinct(events.type, within="30d")',
}


def passes_of(names: list[str], oldest: Mapping[str, datetime]) -> list[set[str]]:
    """The names of each pass."""
    case = Case(tags={name: TAGS[name] for name in names}, as_of=AS_OF)
    catalogue = catalogue_of(case)
    cells = Cells(catalogue)
    for name in names:
        cells.want(named_cell(catalogue, name))
    source = replace(source_of(catalogue), oldest=oldest)
    compiler = Compiler(cells, source, Clock(catalogue.zone, AS_OF), {}, False)
    of_cell = {compiler.column_of(cells.named[name].expr): name for name in names}  # type: ignore[arg-type]
    return [{of_cell[cell] for cell in found} for _, found in compiler.passes(0, "spine")]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (None, [{"d7", "d30"}, {"d90"}, {"d365"}, {"ever"}]),  # it is not known how long there are rows
        (3650, [{"d7", "d30", "d90"}, {"d365"}, {"ever"}]),  # 30 of 90 days are read with the 90, a year of ten is not
        (730, [{"d7", "d30", "d90"}, {"d365", "ever"}]),
        (200, [{"d7", "d30", "d90", "d365", "ever"}]),
    ],
)
def test_a_window_that_reads_much_of_a_longer_one_is_done_with_it(days: int | None, expected: list[set[str]]) -> None:
    oldest = {} if days is None else {"events": AS_OF - timedelta(days=days)}
    found = passes_of(["d7", "d30", "d90", "d365", "ever"], oldest)
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_values_are_counted_where_the_best_of_them_is_chosen() -> None:
    assert sorted(map(sorted, passes_of(["best", "kinds", "few"], {}))) == [["best", "kinds"], ["few"]]


def test_sharing_passes_changes_no_answer() -> None:
    rows = {
        who: [
            row(f"{AS_OF - timedelta(days=day, hours=who):%Y-%m-%d %H:%M}", type="view" if day % who else "search")
            for day in range(0, 400, 2)
        ]
        for who in (1, 3, 17)
    }
    case = Case(tags=TAGS, as_of=AS_OF, customers=(1, 2, 3, 17), streams={"events": rows})
    catalogue = catalogue_of(case)
    snapshot = Snapshot(AS_OF, catalogue.definitions.digest, {}, 1, 1)
    with engine_of(case, catalogue) as engine:
        apart, shared = (
            Evaluator(engine, catalogue, replace(source_of(catalogue), oldest=oldest), snapshot)
            .evaluate(everyone(AS_OF), list(TAGS))
            .to_pylist()
            for oldest in ({}, {"events": AS_OF - timedelta(days=400)})
        )
    assert shared == apart
    by_customer = {one["customer_id"]: one for one in shared}
    assert [by_customer[who]["d7"] for who in (1, 2, 3, 17)] == [4, 0, 4, 4]
    assert [by_customer[who]["kinds"] for who in (1, 2, 3, 17)] == [1, 0, 2, 2]
    assert [by_customer[who]["best"] for who in (1, 2, 3, 17)] == ["search", None, "view", "view"]
