"""Value: whether purchase models foretell what the customers do."""

from __future__ import annotations

import typer

from tierwise.cli.context import CONTEXT

__all__ = ["backtest", "register"]

_value = typer.Typer(no_args_is_help=True, help="What customers are worth, and whether a model can tell.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _value.command()(backtest)
    app.add_typer(_value, name="value")


def backtest(
    horizon: str = typer.Option("90d", help="How far ahead is asked: 90d, 12w, 6mo."),
    model: str = typer.Option("bg_nbd", help="pareto_nbd, bg_nbd, mbg_nbd, nbd or past_rate; simpler ones follow."),
) -> None:
    """Fit a purchase model at past days and compare with what came after each."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.value.backtest(horizon, model)
    if context.json:
        context.print_json(found)
        return
    titles = {
        "from": context.word("起点", "from"),
        "days": context.word("天数", "days"),
        "model": context.word("模型", "model"),
        "customers": context.word("客户数", "customers"),
        "actual": context.word("实际购买", "came"),
        "expected": context.word("预测购买", "foretold"),
        "ratio": context.word("预测/实际", "foretold / came"),
        "mae": context.word("每客平均误差", "mean error"),
        "past_rate_ratio": context.word("历史频率/实际", "past rate / came"),
        "past_rate_mae": context.word("历史频率误差", "its mean error"),
        "coverage": context.word("区间覆盖率", "in interval"),
    }
    context.rows(found["origins"], list(titles), titles)
    context.say(
        context.word(
            f"截至 {found['as_of']} UTC，预测 {found['horizon_days']} 天",
            f"as of {found['as_of']} UTC, {found['horizon_days']} days ahead",
        )
    )
    if found["passed"]:
        context.say(context.word("模型在过去各起点上都守住了水平", "the model kept its level at every past day"))
    for failure in found["failures"]:
        context.say(f"{context.word('不可信', 'not to be believed')}: {failure}")
    for note in found["notes"]:
        context.say(f"{context.word('注意', 'note')}: {note}")
