"""Experiments: how many customers one needs, and what one says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from tierwise.cli.context import CONTEXT
from tierwise.errors import BadRequest

__all__ = ["analyse", "power", "register"]

_experiment = typer.Typer(no_args_is_help=True, help="Experiments: plan one, and read what it says.")
_SPENDING = typer.Option("obrien_fleming", help="How the error is spent over the looks: obrien_fleming or pocock.")
_LOOKS = typer.Option("", help="How many looks are planned (4), or at which shares of the customers (0.25,0.5,1).")
_ALPHA = typer.Option(0.05, help="The two-sided error of everything together.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _experiment.command()(power)
    _experiment.command()(analyse)
    app.add_typer(_experiment, name="experiment")


def power(
    mean: float = typer.Option(
        ..., help="The metric as it is: a share of customers (0.1), or a mean with --deviation."
    ),
    deviation: float | None = typer.Option(None, help="The standard deviation of an amount."),
    effect: float | None = typer.Option(None, help="The difference that matters (0.02)."),
    relative: float | None = typer.Option(None, help="The same as a share of the mean (0.2)."),
    customers: int | None = typer.Option(None, help="All customers there are: what do they find?"),
    power: float = typer.Option(0.8, help="How often the effect is to be found."),
    alpha: float = _ALPHA,
    arms: int = typer.Option(1, help="How many treatments there are beside the control."),
    metrics: int = typer.Option(1, help="How many metrics are compared."),
    control: float | None = typer.Option(None, help="The control's share of all customers; by default an equal one."),
    looks: str = _LOOKS,
    spending: str = _SPENDING,
    correlation: float = typer.Option(0.0, help="Of the metric with what is known of each customer before."),
    per_day: float | None = typer.Option(None, help="How many customers come in a day."),
    window_days: float = typer.Option(0.0, help="For how many days each one's outcome is observed."),
) -> None:
    """Say how many customers an experiment needs, or what those there are can show."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.experiments.power(
            mean,
            deviation=deviation,
            effect=effect,
            relative=relative,
            customers=customers,
            power=power,
            alpha=alpha,
            arms=arms,
            metrics=metrics,
            control=control,
            looks=_looks(looks),
            spending=spending,
            correlation=correlation,
            per_day=per_day,
            window_days=window_days,
        )
    if context.json:
        context.print_json(found)
        return
    context.say(
        context.word(
            f"{found['customers']:,} 位客户能以 {found['power']:.1%} 的概率发现 {found['effect']:+.4g} 的差别",
            f"{found['customers']:,} customers find a difference of {found['effect']:+.4g} with {found['power']:.1%}",
        )
    )
    if "control" in found:
        context.say(
            context.word(
                f"对照组 {found['control']:,}，每个实验组 {found['treatment']:,}",
                f"control {found['control']:,}, each treatment {found['treatment']:,}",
            )
        )
    if len(found.get("looks", ())) > 1:
        context.rows(found["looks"], ["share", "bound"], {})
        stops = f"{found['stops_at']:,.0f}"
        context.say(context.word(f"平均在 {stops} 位时即可停止", f"stops with {stops} on average"))
    if found.get("days") is not None:
        context.say(context.word(f"需要 {found['days']:,} 天", f"takes {found['days']:,} days"))


def analyse(
    file: Path = typer.Argument(..., help="A CSV or Parquet file with a row for each customer."),
    arm: str = typer.Option(..., help="The column that says who was in which arm."),
    control: str = typer.Option(..., help="The arm the others are compared with."),
    metric: list[str] = typer.Option(..., help="What is compared: visit, spend/orders, 'spend ~ spend_before'."),
    guardrail: list[str] = typer.Option([], help="The same, of which less is better and only harm counts."),
    share: list[str] = typer.Option([], help="The planned weight of an arm (ARM=1); equal ones by default."),
    alpha: float = _ALPHA,
    correction: str = typer.Option(
        "holm", help="How several comparisons are allowed for: holm, benjamini_hochberg, none."
    ),
    looks: str = _LOOKS,
    look: int = typer.Option(0, help="Which of the planned looks this is, from 1."),
    spending: str = _SPENDING,
    unit: str = typer.Option("", help="The column of the customer."),
    assigned_at: str = typer.Option("", help="The column of the instant of the assignment."),
    exposed_at: str = typer.Option("", help="The column of the instant of the first exposure."),
    messaged: str = typer.Option("", help="The column that says who was sent something."),
    window: str = typer.Option("", help="The column that says for how long the outcome was observed."),
    anyway: bool = typer.Option(False, "--anyway", help="Compare although a check failed."),
) -> None:
    """Compare the arms of an experiment, once it is sure that they can be compared."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.experiments.analyse(
            file,
            arm=arm,
            control=control,
            metrics=metric,
            guardrails=guardrail,
            shares=_shares(share),
            alpha=alpha,
            correction=correction,
            looks=_looks(looks),
            look=look,
            spending=spending,
            unit=unit,
            assigned_at=assigned_at,
            exposed_at=exposed_at,
            messaged=messaged,
            window=window,
            anyway=anyway,
        )
    if context.json:
        context.print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    context = CONTEXT.get()
    signs = {
        "passed": context.word("通过", "holds"),
        "warned": context.word("警告", "WARNING"),
        "failed": context.word("不通过", "FAILED"),
    }
    for check in found["checks"]:
        context.say(f"{signs[check['state']]}: {check['said'][context.language]}")
    if found["state"] == "failed" and not found["findings"]:
        context.say(
            context.word("不予比较（--anyway 可强行比较）", "nothing is compared (--anyway compares all the same)")
        )
        return
    titles = {
        "metric": context.word("指标", "metric"),
        "arm": context.word("组", "arm"),
        "control": context.word("对照", "control"),
        "treatment": context.word("实验", "treatment"),
        "effect": context.word("差", "difference"),
        "low": context.word("下限", "low"),
        "high": context.word("上限", "high"),
        "p": "p",
        "verdict": context.word("结论", "verdict"),
    }
    context.rows(found["findings"], list(titles), titles)
    for finding in found["findings"]:
        context.say(f"{finding['metric']} · {finding['arm']}: {finding['said'][context.language]}")


def _looks(text: str) -> int | Sequence[float] | None:
    if not text:
        return None
    try:
        return int(text) if text.strip().isdecimal() else [float(part) for part in text.split(",")]
    except ValueError:
        raise BadRequest(f"`{text}` is no number of looks", "write 4, or 0.25,0.5,1") from None


def _shares(given: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in given:
        name, sign, weight = one.rpartition("=")
        try:
            found[name] = float(weight)
        except ValueError:
            sign = ""
        if not sign:
            raise BadRequest(f"`{one}` is no share of an arm", "write ARM=1")
    return found
