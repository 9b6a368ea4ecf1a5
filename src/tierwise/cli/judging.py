"""Tierings: whether one tells what its customers bring later, and numbers for its rules that would tell more."""

from __future__ import annotations

from typing import Any, Final

import typer

from tierwise.cli.context import CONTEXT, Context

__all__ = ["quality", "register", "suggest"]

_tiering = typer.Typer(no_args_is_help=True, help="How good a tiering is, and how it could be better.")
_AT: Final = "A past date (its end) or instant; by default one horizon before the last run's."
_HORIZON: Final = "How far ahead is looked: 90d, 12w, 6mo. All of it must be known by now."
_VALUE: Final = "What customers bring: a column of a stream."
_SEED: Final = "The chance that samples are drawn again with."
_GATES: Final = {
    "steps": ("每一档都显著高于下一档", "each tier brings more than the next one down, beyond chance"),
    "sizes": ("没有一档占去几乎所有客户", "no tier has nearly everybody"),
    "inputs": ("规则所用的数值分布稳定（PSI）", "what the rules measure is steady (PSI)"),
    "migration": ("客户所在的档有延续性（kappa）", "who is where lasts (kappa)"),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (quality, suggest):
        _tiering.command()(command)
    app.add_typer(_tiering, name="tiering")


def quality(
    name: str = typer.Argument(..., help="A tiering, such as grade."),
    at: str = typer.Option("", help=_AT),
    horizon: str = typer.Option("90d", help=_HORIZON),
    value: str = typer.Option("orders.kept_amount", help=_VALUE),
    against: str = typer.Option("", help="Another tiering, judged on the same customers."),
    seed: int = typer.Option(20_260_101, min=0, help=_SEED),
) -> None:
    """Judge a tiering at a past instant by what its customers brought afterwards; one score from 0 to 1."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.tierings.quality(name, at or None, horizon, value, against, seed)
    if context.json:
        context.print_json(found)
        return
    context.say(_head(context, found))
    _tiers(context, found)
    _steps(context, found["steps"])
    score = f"{found['score']:.3f} [{found['score_low']:.3f}, {found['score_high']:.3f}]"
    context.say()
    words = context.word("得分（0 到 1，占最佳可能排序的比例）", "score (0 to 1, of the best ranking possible)")
    context.say(f"{words}: {score}")
    apart, even = (
        context.word("各档之间方差占比", "variance between tiers"),
        context.word("规模均衡", "balance of sizes"),
    )
    context.say(f"{apart}: {found['separation']:.3f}   {even}: {found['balance']:.3f}")
    _stability(context, found["stability"])
    for gate in found["gates"]:
        mark = {True: "✓", False: "✗", None: "?"}[gate["passed"]]
        number = "–" if gate["number"] is None else f"{gate['number']:.3g}"
        context.say(f"{mark} {context.word(*_GATES[gate['gate']])}: {number} ({gate['bound']:g})")
    if found["against"]:
        told = found["against"]
        bounds = f"{told['difference']:+.3f} [{told['low']:+.3f}, {told['high']:+.3f}]"
        context.say(
            f"{context.word('得分减去', 'score less that of')} {told['tiering']} ({told['second']:.3f}): {bounds}"
        )


def suggest(
    name: str = typer.Argument(..., help="A tiering, such as grade."),
    at: str = typer.Option("", help=_AT),
    horizon: str = typer.Option("90d", help=_HORIZON),
    value: str = typer.Option("orders.kept_amount", help=_VALUE),
    seed: int = typer.Option(20_260_101, min=0, help=_SEED),
) -> None:
    """Seek numbers for a tiering's rules that tell more of what comes, and show the edit as a patch."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.tierings.suggest(name, at or None, horizon, value, seed)
    if context.json:
        context.print_json(found)
        return
    context.say(_head(context, found))
    scores = f"{found['score_was']:.3f} → {found['score_is']:.3f}"
    bounds = f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
    words = context.word("得分（在未用于寻找的时段上）", "score (of the time it was not sought on)")
    context.say(f"{words}: {scores}, {bounds}")
    titles = {"tier": context.word("档", "tier"), "was": context.word("原来", "was"), "is": context.word("建议", "is")}
    context.rows(found["tiers"], list(titles), titles)
    for note in found["notes"]:
        context.say(f"{context.word('注意', 'note')}: {note}")
    for edit in found["edits"]:
        context.say(f"{edit['path']}: {edit['measured']}: {edit['was']} → {edit['is']}")
    if found["diff"]:
        context.say()
        context.say(found["diff"].rstrip("\n"))


def _head(context: Context, found: dict[str, Any]) -> str:
    label, at, end = found["label"][context.language], f"{found['at']:%Y-%m-%d %H:%M}", f"{found['end']:%Y-%m-%d %H:%M}"
    return context.word(
        f"{label}：{at} UTC 时的各档，在 {end} UTC 之前带来的 {found['value']}",
        f"{label}: the tiers at {at} UTC, and the {found['value']} they brought up to {end} UTC",
    )


def _tiers(context: Context, found: dict[str, Any]) -> None:
    titles = {
        "tier": context.word("档", "tier"),
        "customers": context.word("客户数", "customers"),
        "part": context.word("客户占比", "of customers"),
        "mean": context.word("人均", "mean"),
        "interval": context.word("95% 区间", "95 % interval"),
        "value_part": context.word("价值占比", "of the value"),
        "lift": context.word("倍数", "lift"),
    }
    rows = [
        {
            **{name: one[name] for name in ("customers", "mean", "lift")},
            "tier": one["label"][context.language],
            "part": f"{one['share']:.1%}",
            "interval": "–" if one["mean"] is None else f"{one['mean_low']:,.4g} … {one['mean_high']:,.4g}",
            "value_part": f"{one['value_share']:.1%}",
        }
        for one in found["tiers"]
    ]
    context.rows(rows, list(titles), titles)


def _steps(context: Context, steps: list[dict[str, Any]]) -> None:
    for step in steps:
        mark = "✓" if step["significant"] else "✗"
        bounds = f"{step['difference']:,.4g} [{step['low']:,.4g}, {step['high']:,.4g}]"
        context.say(f"{mark} {step['better']} − {step['worse']}: {bounds}")


def _stability(context: Context, stability: dict[str, Any]) -> None:
    for one in stability["inputs"]:
        context.say(f"PSI {one['measured']}: {one['psi']:.3f}")
    moved = stability["migration"]
    if moved:
        basis = context.word(
            *{"recorded": ("按记录", "as recorded"), "computed": ("按现行规则", "by the rules of now")}[moved["basis"]]
        )
        stayed = context.word(f"留在原档 {moved['stayed']:.1%}", f"{moved['stayed']:.1%} stayed where they were")
        words = context.word("迁移熵", "migration entropy")
        context.say(f"{stayed} ({basis}), {words} {moved['entropy']:.3f}")
