"""The report: a machine described without its name, a table of medians with ratios, and what the targets say."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from benchmarks.data import EVENTS, ITEMS, ORDERS

__all__ = ["machine", "section"]

_SHOWN: Final = {
    "scan": "bare scan of the columns",
    "floor": "bare group-by customer of the columns",
    "hand": "hand-tuned DuckDB SQL",
    "evaluate": "**Tierwise, evaluation**",
    "naive": "one query a definition",
    "polars": "Polars, streaming",
    "pandas": "pandas",
    "total": "Tierwise, whole run (build, evaluate, record)",
}
_Figures = Mapping[str, Sequence[Mapping[str, Any]]]


def machine() -> str:
    """Return cores, memory and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "pandas", "pyarrow", "sqlglot"))
    return f"{os.cpu_count()} cores, {memory:.0f} GB of memory, Python {platform.python_version()}, {parts}"


def section(
    customers: int,
    figures: _Figures,
    differences: Mapping[str, Mapping[str, int]],
    load: Sequence[float],
    events: int = EVENTS,
) -> str:
    """Return the part of RESULTS.md about one size.

    Args:
        customers: how many.
        figures: by contender, the figures of each round.
        differences: by rival, the columns in which its answers differ and in how many cells.
        load: the machine's load at each round.
        events: how many a customer has on average.
    """
    rows = customers * (events + ORDERS + ITEMS)
    base = {name: _median(runs, "seconds") for name, runs in figures.items()}
    lines = [
        f"## {customers:,} customers, {rows / 1e6:,.1f} million rows",
        "",
        f"Load of the machine during the rounds: {min(load):.1f} to {max(load):.1f}. Medians of "
        f"{max(len(runs) for runs in figures.values())} interleaved rounds; each contender in a process of its own.",
        "",
        "| contender | wall s | processor s | peak MB | M rows/s | wall / floor | wall / hand | processor / hand |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, shown in _SHOWN.items():
        if name in figures:
            processor = _median(figures[name], "cpu_seconds")
            ratios = [
                _ratio(base[name], base.get("floor")),
                _ratio(base[name], base.get("hand")),
                _ratio(processor, _median(figures.get("hand", ()), "cpu_seconds")),
            ]
            cells = [f"{base[name]:.2f}", f"{processor:.2f}", f"{_median(figures[name], 'peak_mb'):,.0f}"]
            lines.append("| " + " | ".join([shown, *cells, f"{rows / base[name] / 1e6:.1f}", *ratios]) + " |")
    if "total" in figures:
        steps = figures["total"][-1]["steps"]
        lines += ["", "Steps of the whole run, seconds: " + ", ".join(f"{k} {v:.1f}" for k, v in steps.items()) + "."]
    if "estimate" in figures:
        p50, p95 = (_median(figures["estimate"], key) for key in ("p50_ms", "p95_ms"))
        lines += [
            "",
            f"`estimate` of a rule over existing tags, 40 different ones: p50 {p50:.0f} ms, p95 {p95:.0f} ms.",
        ]
    for rival, found in differences.items():
        said = ", ".join(f"{column} {count}" for column, count in found.items()) if found else "none"
        lines += ["", f"Cells that differ from {rival}: {said}."]
    return "\n".join(lines) + "\n"


def _median(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    return statistics.median(run[key] for run in runs) if runs else 0.0


def _ratio(one: float, other: float | None) -> str:
    return f"{one / other:.2f}" if other else ""
