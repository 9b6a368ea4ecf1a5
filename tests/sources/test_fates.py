"""What becomes of rows with known, repeated and changed keys is what a plain reading of the rules says, line by line."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.projects import NOW, Brand, counted, csv
from tierwise.definitions.load import load
from tierwise.lake import Lake
from tierwise.sources.collect import import_sources
from tierwise.store import Store

Row = tuple[str, str, int]

SOURCE = """\
file: data/rows.csv
customer: customer
streams:
  orders:  {where: 'amount >= 2', time: time, columns: {order_id: id, amount: amount}}
  refunds: {where: 'amount <= 2', time: time, columns: {order_id: id, amount: amount}}
"""
#: Which rows a stream takes; a row with an amount of 2 is in both.
STREAMS: dict[str, Callable[[Row], bool]] = {"orders": lambda row: row[2] >= 2, "refunds": lambda row: row[2] <= 2}


class Plain:
    """The rules in plain Python: what the lake holds of each stream, and what becomes of the lines of a file."""

    def __init__(self, on_change: str, keyed: bool) -> None:
        self.on_change, self.keyed = on_change, keyed
        self.known: dict[str, dict[Any, Row]] = {name: {} for name in STREAMS}

    def read(self, rows: Sequence[Row]) -> dict[str, int]:
        keys = {name: self.keys([row if takes(row) else None for row in rows]) for name, takes in STREAMS.items()}
        ranks: list[list[int]] = [[] for _ in rows]
        for name, of in keys.items():
            seen: dict[Any, Row] = {}
            for line, key in of.items():
                ranks[line].append(self.rank(rows[line], seen.get(key), self.known[name].get(key)))
                if self.on_change == "replace" or key not in seen:
                    seen[key] = rows[line]
        refused = {line for line, found in enumerate(ranks) if -1 in found}
        for name, of in keys.items():
            self.keep(name, {line: (key, rows[line]) for line, key in of.items() if line not in refused})
        best = [max(found) for line, found in enumerate(ranks) if line not in refused]
        counts = {
            "new": best.count(3), "replaced": best.count(2), "duplicate": best.count(1) + best.count(0),
            "quarantined": len(refused), "kept_first": best.count(1),
        }  # fmt: skip
        return {name: count for name, count in counts.items() if count}

    def keys(self, rows: Sequence[Row | None]) -> dict[int, Any]:
        """Return the key of each line: its id, or the row with its how-many-th occurrence."""
        taken = {line: row for line, row in enumerate(rows) if row is not None}
        return {
            line: row[0] if self.keyed else (row, sum(rows[before] == row for before in range(line)))
            for line, row in taken.items()
        }

    def rank(self, row: Row, before: Row | None, known: Row | None) -> int:
        previous = (before or known) if self.on_change == "replace" else (known or before)
        if previous is None:
            return 3
        return 0 if previous == row else {"replace": 2, "keep_first": 1, "quarantine": -1}[self.on_change]

    def keep(self, name: str, lines: dict[int, tuple[Any, Row]]) -> None:
        chosen: dict[Any, Row] = {}
        for key, row in lines.values():
            if self.on_change == "replace" or key not in chosen:
                chosen[key] = row
        for key, row in chosen.items():
            if self.on_change == "replace" or key not in self.known[name]:
                self.known[name][key] = row


def current(lake: Lake, name: str) -> list[tuple[str, int]]:
    """Return (id, amount) of the newest version of each row."""
    stored = lake.read(name)
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(stored.to_pylist(), key=lambda row: int(row["import_id"])) if stored is not None else []:
        newest[row["row_key"]] = row
    return sorted((row["order_id"], int(row["amount"])) for row in newest.values())


rows = st.lists(st.tuples(st.sampled_from("123"), st.just("a"), st.integers(1, 3)), max_size=7)


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("on_change", ["replace", "keep_first", "quarantine"])
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(files=[[("1", "a", 2), ("1", "a", 3), ("1", "a", 2), ("2", "a", 1)], [("1", "a", 3), ("2", "a", 1)]])
@example(files=[[("1", "a", 1), ("1", "a", 2), ("1", "a", 1), ("1", "a", 1)], [("1", "a", 1), ("1", "a", 2)]])
@given(files=st.lists(rows, min_size=1, max_size=3))
def test_fates_are_those_of_the_plain_rules(on_change: str, keyed: bool, files: list[list[Row]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/store.db") as store:
        source = SOURCE + f"on_change: {on_change}\n" + ("row_key: id\n" if keyed else "")
        brand = Brand(
            Path(folder), {"sources/rows.yaml": source, "definitions/empty.yaml": "tags: {n: count(orders)}\n"}
        )
        definitions, problems = load(brand.folder)
        assert definitions is not None and not problems
        lake, plain = Lake(brand.folder / "lake"), Plain(on_change, keyed)
        for number, file in enumerate(files):
            text = csv("id,customer,time,amount,n", *(f"{i},{c},2026-01-02,{amount}," for i, c, amount in file))
            brand.write({"data/rows.csv": text + "\n" * number})  # blank lines: never the same file twice
            (report,) = import_sources(definitions, lake, Path(folder) / "q", store, NOW.replace(tzinfo=None))
            assert counted(report.as_json()) == plain.read(file)
            for name, known in plain.known.items():
                assert current(lake, name) == sorted((row[0], row[2]) for row in known.values())
