"""Points: show, earn, redeem, undo, adjust with two people, settle, report."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import typer

from tierwise.cli.context import CONTEXT

if TYPE_CHECKING:
    from tierwise.store import Entry

__all__ = [
    "adjust",
    "approve",
    "decline",
    "earn",
    "give_back",
    "proposals",
    "redeem",
    "register",
    "report",
    "reverse",
    "settle",
    "show_points",
    "statement",
]

_points = typer.Typer(no_args_is_help=True, help="Points: what customers have earned, spent and lost.")
_CUSTOMER = "The brand's customer number, or id:42."
_KEY = typer.Option("", help="A key of your own: what is asked again with it is done once. By default a new one.")
_COLUMNS = ["entry_id", "at", "kind", "points", "available_after", "pending_after", "owed_after", "reference", "actor"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _points.command("show")(show_points)
    for command in (statement, earn, redeem, give_back, reverse, adjust, proposals, approve, decline, settle, report):
        _points.command()(command)
    app.add_typer(_points, name="points")


def show_points(customer: str = typer.Argument(..., help=_CUSTOMER)) -> None:
    """Show what a customer has, and when it comes and goes."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.points.balance(customer)
    if context.json:
        context.print_json(found.as_json())
        return
    context.say(
        context.word(
            f"可用 {found.available:,}，待生效 {found.pending:,}，欠 {found.owed:,}",
            f"available {found.available:,}, pending {found.pending:,}, owed {found.owed:,}",
        )
    )
    if found.lots:
        context.rows(found.as_json()["lots"], ["points", "available_at", "expires_at"], {})


def statement(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    limit: int = typer.Option(50, min=1, help="At most so many entries, the newest."),
) -> None:
    """Show a customer's entries, the newest first."""
    with CONTEXT.get().open() as project:
        _entries(project.points.statement(customer, limit))


def earn() -> None:
    """Let the rows of the last run earn what they are worth, and take back what was refunded."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.points.earn()
    if context.json:
        context.print_json(done)
        return
    context.say(
        context.word(
            f"{done['rows']:,} 行：发放 {done['earned']:,} 分，收回 {done['taken_back']:,} 分",
            f"{done['rows']:,} rows: {done['earned']:,} points earned, {done['taken_back']:,} taken back",
        )
    )
    if done["too_old"]:
        words = context.word("行太早，积分已过期", "rows are so old that their points would have expired")
        context.say(f"{done['too_old']:,} {words}")
    for refusal in done["refusals"]:
        context.say(context.word("拒绝：", "refused: ") + refusal)


def redeem(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    points: int = typer.Argument(..., help="How many."),
    reference: str = typer.Option("", help="The order or whatever they are spent on."),
    key: str = _KEY,
) -> None:
    """Spend a customer's points, those that expire first before others."""
    with CONTEXT.get().open() as project:
        _entries([project.points.redeem(customer, points, key=_key(key), reference=reference or None)])


def give_back(
    entry: int = typer.Argument(..., help="The entry of the redemption."),
    points: int = typer.Argument(..., help="How many."),
    key: str = _KEY,
) -> None:
    """Undo a redemption or a part of it: the points go back to where they came from."""
    with CONTEXT.get().open() as project:
        _entries([project.points.give_back(entry, points, key=_key(key))])


def reverse(
    entry: int = typer.Argument(..., help="The entry that earned."),
    points: int = typer.Argument(..., help="How many."),
    key: str = _KEY,
) -> None:
    """Take back what an entry earned, or a part of it; what is spent already is owed."""
    with CONTEXT.get().open() as project:
        _entries([project.points.reverse(entry, points, key=_key(key))])


def adjust(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    points: int = typer.Argument(..., help="How many; fewer with a minus sign, after --."),
    reason: str = typer.Option(..., help="Why; it is kept with the entry."),
    key: str = _KEY,
) -> None:
    """Correct a balance by hand; a large correction waits for a second person."""
    from tierwise.store import Entry

    context = CONTEXT.get()
    with context.open() as project:
        done = project.points.adjust(customer, points, reason=reason, key=_key(key))
    if isinstance(done, Entry):
        _entries([done])
    elif context.json:
        context.print_json({"proposal": done.proposal_id, "state": done.state})
    else:
        context.say(
            context.word(
                f"提案 {done.proposal_id} 等待第二人批准：tierwise points approve {done.proposal_id}",
                f"proposal {done.proposal_id} waits for a second person: tierwise points approve {done.proposal_id}",
            )
        )


def proposals() -> None:
    """List the adjustments that wait for a second person."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.points.proposals()
    rows = [
        {
            "proposal": one.proposal_id,
            "customer_id": one.customer_id,
            "points": one.points,
            "reason": one.reason,
            "by": str(one.proposed_by),
            "at": one.proposed_at,
        }
        for one in found
    ]
    if context.json:
        context.print_json(rows)
    else:
        context.rows(rows, ["proposal", "customer_id", "points", "reason", "by", "at"], {})


def approve(proposal: int = typer.Argument(..., help="Its number.")) -> None:
    """Agree to an adjustment that somebody else proposed, and do it."""
    with CONTEXT.get().open() as project:
        _entries([project.points.approve(proposal)])


def decline(proposal: int = typer.Argument(..., help="Its number.")) -> None:
    """Refuse an adjustment that somebody else proposed."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.points.decline(proposal)
    if context.json:
        context.print_json({"proposal": done.proposal_id, "state": done.state})
    else:
        context.say(context.word(f"提案 {done.proposal_id} 已拒绝", f"proposal {done.proposal_id} declined"))


def settle() -> None:
    """Release and expire everybody's points that are due; nobody's balance waits for it."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.points.settle()
    if context.json:
        context.print_json(done)
    else:
        context.say(
            context.word(
                f"{done['customers']:,} 位客户：生效 {done['released']:,} 分，过期 {done['expired']:,} 分",
                f"{done['customers']:,} customers: {done['released']:,} points released, {done['expired']:,} expired",
            )
        )


def report() -> None:
    """Show what is outstanding, when it would expire, and what became of the points of each month."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.points.report()
    if context.json:
        context.print_json(found)
        return
    rows = [
        {"account": name, "points": found[name]}
        for name in ("earned", "adjusted", "redeemed", "expired", "available", "pending", "owed", "difference")
    ]
    context.rows(rows, ["account", "points"], {})
    if found["worth"] is not None:
        context.say(
            context.word(f"未兑积分价值：{found['worth']}", f"the outstanding points are worth {found['worth']}")
        )
    context.rows(found["by_earned"], ["month", "points", "spent", "expired", "taken_back", "left", "breakage"], {})
    context.rows(found["by_expiry"], ["month", "points"], {})


def _key(given: str) -> str:
    return given or f"cli {uuid.uuid4()}"


def _entries(found: list[Entry]) -> None:
    context = CONTEXT.get()
    rows: list[dict[str, Any]] = [entry.as_json() for entry in found]
    if context.json:
        context.print_json(rows)
    else:
        context.rows(rows, _COLUMNS, {})
