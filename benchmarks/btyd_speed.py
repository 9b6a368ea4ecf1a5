"""How fast purchase models are fitted and scored, beside lifetimes: ``python -m benchmarks.btyd_speed``."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tierwise.value.btyd import BGNBD, GammaGamma

__all__ = ["CONTENDERS", "main", "make_customers"]

#: x, t_x, T in days and the mean value of the repeat purchases.
Columns = Mapping[str, NDArray[np.float64]]

_HORIZON_DAYS: Final = 90
_GIGABYTE: Final = 1 << 20


def make_customers(path: Path, customers: int) -> None:
    """Write simulated customers as whole days, the same ones whenever it is asked.

    They come over a year and a half, buy at rates of their own, and leave after a purchase with a chance of their own.
    """
    rng = np.random.default_rng(20_260_601)
    T = rng.integers(30, 548, customers).astype(np.float64)
    rate, leaves = rng.gamma(0.5, 1 / 30, customers), np.maximum(rng.beta(0.8, 2.5, customers), 1e-9)
    x, tx, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive = np.arange(customers)
    while alive.size:
        now[alive] += np.maximum(np.ceil(rng.exponential(1 / np.maximum(rate[alive], 1e-9))), 1)
        alive = alive[now[alive] <= T[alive]]
        x[alive] += 1
        tx[alive] = now[alive]
        alive = alive[rng.random(alive.size) >= leaves[alive]]
    own = rng.gamma(3.7, 1 / 15.4, customers)
    mean = np.where(x > 0, rng.gamma(6.2 * np.maximum(x, 1)) / own / np.maximum(x, 1), 0)
    np.savez(path, x=x, tx=tx, T=T, mean=np.round(np.where(x > 0, np.maximum(mean, 0.01), 0), 2))


def _tierwise(columns: Columns) -> dict[str, float]:
    model = BGNBD().fit(columns["x"], columns["tx"], columns["T"])
    spend = GammaGamma().fit(columns["x"], columns["mean"])
    expected = model.expected_purchases(_HORIZON_DAYS, columns["x"], columns["tx"], columns["T"])
    alive = model.p_alive(columns["x"], columns["tx"], columns["T"])
    worth = spend.expected_spend(columns["x"], columns["mean"])
    answers = {"expected": expected.sum(), "alive": alive.mean(), "worth": (expected * worth).sum()}
    return {**model.params_, **spend.params_, **answers}


def _lifetimes(columns: Columns) -> dict[str, float]:
    """The same with lifetimes as its documentation has it, one row a customer."""
    warnings.simplefilter("ignore")
    rival: Any = importlib.import_module("lifetimes")
    x, tx, T, mean = (columns[name] for name in ("x", "tx", "T", "mean"))
    model = rival.BetaGeoFitter().fit(x, tx, T)
    came = x > 0
    spend = rival.GammaGammaFitter().fit(x[came], mean[came])
    expected = model.conditional_expected_number_of_purchases_up_to_time(_HORIZON_DAYS, x, tx, T)
    alive = model.conditional_probability_alive(x, tx, T)
    worth = spend.conditional_expected_average_profit(x, mean)
    answers = {"expected": np.sum(expected), "alive": np.mean(alive), "worth": np.sum(expected * worth)}
    return {**model.params_, **spend.params_, **answers}


#: What is measured: name → what it does with the columns of customers.
CONTENDERS: Final[Mapping[str, Callable[[Columns], dict[str, float]]]] = {
    "tierwise": _tierwise,
    "lifetimes": _lifetimes,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the customers, run each contender in a process of its own, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.btyd_speed", description=__doc__)
    parser.add_argument("--customers", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one:
        name, file = asked.one
        sys.stdout.write(json.dumps(_measured(CONTENDERS[name], Path(file))))
        return
    lines = ["| customers | what | wall s | CPU s | peak GB | load | r, alpha, a, b | p, q, v | purchases | value |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for customers in asked.customers:
            path = Path(folder, f"{customers}.npz")
            make_customers(path, customers)
            for name in asked.contenders:
                load = os.getloadavg()[0]
                command = [sys.executable, "-m", "benchmarks.btyd_speed", "--one", name, str(path)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                found = json.loads(done.stdout)
                purchases = ", ".join(f"{found[key]:.4f}" for key in ("r", "alpha", "a", "b"))
                spend = ", ".join(f"{found[key]:.3f}" for key in ("p", "q", "v"))
                answers = f"{found['expected']:,.1f} | {found['worth']:,.0f}"
                figures = f"{found['wall']:.2f} | {found['cpu']:.2f} | {found['peak']:.2f} | {load:.1f}"
                lines.append(f"| {customers:,} | {name} | {figures} | {purchases} | {spend} | {answers} |")
            path.unlink()
    sys.stdout.write("\n".join(lines) + "\n")


def _measured(run: Callable[[Columns], dict[str, float]], path: Path) -> dict[str, float]:
    with np.load(path) as stored:
        columns = {name: stored[name] for name in stored.files}
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    found = run(columns)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    values = {name: float(value) for name, value in found.items()}
    return {**values, "wall": wall, "cpu": cpu, "peak": after.ru_maxrss / _GIGABYTE}


if __name__ == "__main__":
    main()
