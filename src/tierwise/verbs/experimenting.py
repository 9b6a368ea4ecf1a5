"""Experiments: how many customers one needs, and what one says; they need files or tables, not the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tierwise.errors import BadRequest, SourceUnreadable
from tierwise.verbs.opened import Opened

if TYPE_CHECKING:  # SciPy is loaded by whoever asks, not by every command
    from tierwise.evaluation import Looks, Plan, Trial

__all__ = ["Experimenting"]


class Experimenting:
    """The verbs of experiments; hangs on the façade as ``project.experiments``."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def analyse(
        self,
        rows: str | Path | pa.Table,
        *,
        arm: str,
        control: str,
        metrics: Sequence[str],
        guardrails: Sequence[str] = (),
        shares: Mapping[str, float] | None = None,
        alpha: float = 0.05,
        correction: str = "holm",
        looks: int | Sequence[float] | None = None,
        look: int = 0,
        spending: str = "obrien_fleming",
        unit: str = "",
        assigned_at: str = "",
        exposed_at: str = "",
        messaged: str = "",
        window: str = "",
        anyway: bool = False,
    ) -> dict[str, Any]:
        """Compare the arms of an experiment; return checks, findings and what they mean (see ``docs/experiments.md``).

        Args:
            rows: a table, or a CSV or Parquet file, with a row for each customer.
            arm: the column that says who was in which arm.
            control: the arm the others are compared with.
            metrics: what is compared: ``column``, ``column/column``, and ``~ column`` for what was known before.
            guardrails: the same, of which less is better and only harm counts.
            shares: the planned weight of each arm; equal ones by default.
            alpha: the two-sided error of all comparisons together.
            correction: ``holm``, ``benjamini_hochberg`` or ``none``.
            looks: how many looks were planned, or the shares of the customers at which.
            look: which of them this is, from 1.
            spending: how the error is spent over the looks: ``obrien_fleming`` or ``pocock``.
            unit: the column of the customer, so that nobody is counted twice.
            assigned_at: the column of the instant of the assignment.
            exposed_at: the column of the instant of the first exposure.
            messaged: the column that says who was sent something.
            window: the column that says for how long the outcome was observed.
            anyway: whether to compare although a check failed.

        Raises:
            SourceUnreadable: when the file cannot be read.
            UnknownName: when a column or an arm is not there.
            BadRequest: when a column has missing or impossible values, or an argument no meaning.
            TooLittleData: when there is only one arm.
        """
        from tierwise.evaluation import Design, analyse, read_metric

        table = rows if isinstance(rows, pa.Table) else _read(Path(rows))
        read = [read_metric(text, table.column_names) for text in metrics]
        read += [read_metric(text, table.column_names, guardrail=True) for text in guardrails]
        design = Design(
            arm,
            control,
            tuple(read),
            dict(shares or {}),
            alpha,
            correction,
            None if looks is None else _looks(looks, spending),
            look,
            unit,
            assigned_at,
            exposed_at,
            messaged,
            window,
        )
        return analyse(table, design, anyway=anyway).as_json()

    def power(
        self,
        mean: float,
        *,
        deviation: float | None = None,
        effect: float | None = None,
        relative: float | None = None,
        customers: int | None = None,
        power: float = 0.8,
        alpha: float = 0.05,
        arms: int = 1,
        metrics: int = 1,
        control: float | None = None,
        looks: int | Sequence[float] | None = None,
        spending: str = "obrien_fleming",
        correlation: float = 0.0,
        per_day: float | None = None,
        window_days: float = 0,
    ) -> dict[str, Any]:
        """Return how many customers find an effect, or what those there are find.

        With an effect it is asked how many customers are needed; with an effect and `customers`, how often they find
        it; with `customers` alone, which effect they find.

        Args:
            mean: the metric as it is; without a deviation a share of customers.
            deviation: its standard deviation, if it is an amount.
            effect: the difference of the means that matters.
            relative: the same as a share of the mean.
            customers: all customers of all arms.
            power: how often the effect is to be found.
            alpha: the two-sided error of everything together.
            arms: how many treatments there are.
            metrics: how many metrics are compared.
            control: the control's share; by default an equal one.
            looks: how many looks are planned, or at which shares of the customers.
            spending: how the error is spent over the looks.
            correlation: of the metric with what is known before (CUPED).
            per_day: how many customers come in a day.
            window_days: how long each one's outcome is observed.

        Raises:
            BadRequest: when neither an effect nor customers are given, or a number has no meaning.
        """
        from tierwise.evaluation import Looks, Trial, detectable, needed, power_of

        if effect is not None and relative is not None:
            raise BadRequest("the effect is given twice", "give it as a difference or as a share of the mean")
        wanted = effect if relative is None else relative * mean
        planned = Looks() if looks is None else _looks(looks, spending)
        trial = Trial(mean, deviation, alpha, arms, control, planned, correlation, metrics)
        if wanted is None and customers is None:
            raise BadRequest(
                "there is nothing to work out", "give the effect that matters, or how many customers there are"
            )
        if wanted is None:
            assert customers is not None
            return _told(trial, detectable(trial, customers, power), per_day, window_days)
        if customers is None:
            return _told(trial, needed(trial, wanted, power), per_day, window_days)
        found = power_of(trial, wanted, customers)
        return {"effect": wanted, "relative": wanted / mean if mean else None, "power": found, "customers": customers}


def _looks(looks: int | Sequence[float], spending: str) -> Looks:
    from tierwise.evaluation import Looks

    return Looks.evenly(looks, spending) if isinstance(looks, int) else Looks(tuple(looks), spending)


def _told(trial: Trial, plan: Plan, per_day: float | None, window_days: float) -> dict[str, Any]:
    """Return a plan as plain values."""
    return asdict(plan) | {
        "relative": plan.effect / trial.mean if trial.mean else None,
        "days": None if per_day is None else plan.days(per_day, window_days),
        "looks": [
            {"share": share, "bound": bound} for share, bound in zip(trial.looks.fractions, trial.limits, strict=True)
        ],
    }


def _read(path: Path) -> pa.Table:
    """Return a file's rows; one that is broken is refused, for who is missing may not be missing by chance."""
    from tierwise.sources.records import read_csv, read_parquet

    if not path.is_file():
        raise SourceUnreadable(f"there is no file {path}", "name a CSV or Parquet file")
    reader = read_parquet(path) if path.name.lower().endswith(".parquet") else read_csv(path)
    tables = []
    for batch in reader:
        for reject in batch.rejects:
            raise SourceUnreadable(
                f"{path.name}:{reject.line}: {reject.detail or reject.reason}",
                "correct the line: leaving rows out makes the arms unlike",
            )
        tables.append(batch.table)
    if not tables:
        raise SourceUnreadable(f"{path.name} has no rows", "an experiment has a row for each customer")
    return pa.concat_tables(tables)
