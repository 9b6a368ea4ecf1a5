"""What a run found, as tables for people: tiers with their sizes, segments, tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.json import ParseOptions, ReadOptions, read_json
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.tables import TABLES
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import cast, col, fn
from tierwise.lake import Lake

__all__ = ["segment_sizes", "segments_table", "tables_table", "tags_table", "tier_sizes", "tiers_table"]


_ARROW: Final = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("us")}


def tier_sizes(engine: DuckEngine, catalogue: Catalogue, results: str) -> dict[str, dict[str, int]]:
    """Return how many customers each tier of each tiering has, tiers in their declared order, empty ones included."""
    found = {}
    for name, rules in catalogue.tierings.items():
        select = exp.select(col(name), exp.Count(this=exp.Star())).from_(_t(results)).group_by(col(name))
        counted = dict(engine.rows(select))
        found[name] = {tier: int(counted.get(tier, 0)) for tier in rules}
    return found


def segment_sizes(engine: DuckEngine, catalogue: Catalogue, results: str) -> dict[str, int]:
    """Return how many customers each segment has."""
    if not catalogue.segments:
        return {}
    counts = [fn("count_if", col(name)).as_(name, quoted=True) for name in catalogue.segments]
    row = engine.rows(exp.select(*counts).from_(_t(results)))[0]
    return {name: int(count or 0) for name, count in zip(catalogue.segments, row, strict=True)}


def tiers_table(engine: DuckEngine, catalogue: Catalogue, results: str, about: Mapping[str, Any]) -> pa.Table:
    """Return one row a tier: its labels, how many customers, which share of all."""
    rows = []
    for tiering, sizes in tier_sizes(engine, catalogue, results).items():
        total = sum(sizes.values())
        forms = catalogue.definitions.tierings[tiering].tiers
        for tier, count in sizes.items():
            label = forms[tier].label
            rows.append(
                {
                    "tiering": tiering,
                    "tier": tier,
                    "label_zh": label.text("zh", tier),
                    "label_en": label.text("en", tier),
                    "customers": count,
                    "share": count / total if total else 0.0,
                    **about,
                }
            )
    return _table(rows, ["tiering", "tier", "label_zh", "label_en", "customers", "share", *about])


def segments_table(engine: DuckEngine, catalogue: Catalogue, results: str, about: Mapping[str, Any]) -> pa.Table:
    """Return one row a segment: its labels, how many customers, which share of all."""
    total = int(engine.rows(exp.select(exp.Count(this=exp.Star())).from_(_t(results)))[0][0])
    rows = []
    for name, count in segment_sizes(engine, catalogue, results).items():
        label = catalogue.definitions.segments[name].label
        rows.append(
            {
                "segment": name,
                "label_zh": label.text("zh", name),
                "label_en": label.text("en", name),
                "customers": count,
                "share": count / total if total else 0.0,
                **about,
            }
        )
    return _table(rows, ["segment", "label_zh", "label_en", "customers", "share", *about])


def tags_table(engine: DuckEngine, catalogue: Catalogue, results: str, about: Mapping[str, Any]) -> pa.Table:
    """Return one row a tag: its kind and labels, for how many customers it is known, its smallest and largest value."""
    rows = []
    for name, rule in catalogue.tags.items():
        assert rule.expr is not None
        low, high, known = engine.rows(_spread(name, rule.expr.kind, results))[0]
        label = catalogue.definitions.tags[name].label
        rows.append(
            {
                "tag": name,
                "kind": str(rule.expr.kind),
                "label_zh": label.text("zh", name),
                "label_en": label.text("en", name),
                "known": int(known),
                "min": low,
                "max": high,
                "sensitive": ", ".join(sorted(catalogue.sensitive[name])),
                **about,
            }
        )
    return _table(rows, ["tag", "kind", "label_zh", "label_en", "known", "min", "max", "sensitive", *about])


def tables_table(engine: DuckEngine, lake: Lake, quarantine: pa.Table) -> pa.Table:
    """Return one row a table: in which memory it lives, how many rows, its columns, what one row is."""
    rows = []
    for name in engine.tables():
        if "$" not in name and name != "engine_state":
            count = engine.rows(exp.select(exp.Count(this=exp.Star())).from_(_t(name)))[0][0]
            rows.append(_about_table(name, "engine", count, list(engine.columns(name))))
    for name in ("memberships", "distributions"):
        paths = lake.paths(name)
        if paths:
            count = sum(pq.read_metadata(path).num_rows for path in paths)
            rows.append(_about_table(name, "lake", count, pq.read_schema(paths[0]).names))
    rows.append(_about_table("quarantine", "store", quarantine.num_rows, quarantine.column_names))
    return pa.Table.from_pylist(rows)


def _about_table(name: str, memory: str, rows: int, columns: list[str]) -> dict[str, Any]:
    grain = TABLES[name].grain if name in TABLES else ""
    return {"table": name, "memory": memory, "rows": rows, "columns": ", ".join(columns), "grain": grain}


def _spread(name: str, kind: Kind, results: str) -> exp.Select:
    smallest, largest = (cast(extreme(this=col(name)), "VARCHAR") for extreme in (exp.Min, exp.Max))
    return exp.select(smallest.as_("low"), largest.as_("high"), exp.Count(this=col(name)).as_("known")).from_(
        _t(results)
    )


def _table(rows: list[dict[str, Any]], names: list[str]) -> pa.Table:
    """Return rows as a table, by way of JSON: Arrow's own way imports pandas, where it is, for longer than all else."""
    kinds = {name: {type(row[name]) for row in rows if row[name] is not None} for name in names}
    schema = pa.schema([(name, _ARROW[kind.pop()] if len(kind) == 1 else pa.string()) for name, kind in kinds.items()])
    if not rows:
        return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    lines = "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
    whole = ReadOptions(use_threads=False, block_size=len(lines.encode()) + 1)  # one row may not stand in two blocks
    return read_json(pa.BufferReader(lines.encode()), whole, ParseOptions(explicit_schema=schema))


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
