"""Identity: which records are one person, why, and what was decided about it by hand."""

from __future__ import annotations

from typing import Any

import typer

from tierwise.cli.context import CONTEXT, Context

__all__ = ["match", "merge", "register", "report_identity", "review", "split", "why"]

_KEY_HELP = "The customer's number, telephone, e-mail address …, or id:42."
_REASON_HELP = "Why, in words; it is kept with the decision."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    identity = typer.Typer(
        no_args_is_help=True, help="Which records are one person: reported, explained, matched, merged and taken apart."
    )
    identity.command("report")(report_identity)
    identity.command()(why)
    identity.command()(merge)
    identity.command()(split)
    identity.command()(match)
    identity.command()(review)
    app.add_typer(identity, name="identity")


def report_identity() -> None:
    """Show how many records are how many customers, what links them, and what links nobody."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.identity.report()
    if context.json:
        context.print_json(found)
        return
    if not found["declared"]:
        words = context.word(
            "项目没有声明身份识别：每条记录就是一位客户。在 definitions/ 里写上 `identity: {}` 即可开始合并。",
            "the project declares no identity: every record is a customer of its own; "
            "`identity: {}` in a file of definitions/ begins to link them",
        )
        context.say(words)
    context.say(
        context.word(
            f"{found['records']:,} 条记录，{found['customers']:,} 位客户，其中 {found['merged']:,} 位由多条记录合并，"
            f"最多 {found['largest']:,} 条",
            f"{found['records']:,} records are {found['customers']:,} customers; {found['merged']:,} have several "
            f"records, the most {found['largest']:,}",
        )
    )
    last = found["last_linking"] or {}
    rows = [{"identifier": name, **counts} for name, counts in last.get("identifiers", {}).items()]
    if rows:
        titles = {
            "identifier": context.word("识别依据", "identifier"),
            "edges": context.word("连接", "edges"),
            "hubs": context.word("共用过多", "shared by too many"),
            "contested": context.word("有冲突", "contested"),
            "placeholders": context.word("占位值", "placeholders"),
        }
        context.rows(rows, [*titles], titles)
    if last.get("contradictory"):
        context.say(
            context.word(
                f"{last['contradictory']:,} 条记录有两个不同的唯一标识，未参与合并",
                f"{last['contradictory']:,} records have two different exclusive identifiers; nothing links them",
            )
        )


def why(
    one: str = typer.Argument(..., help=_KEY_HELP),
    other: str = typer.Argument(..., help="Another one, of the same customer or of another."),
) -> None:
    """Say why two records are one customer, step by step, or what is known of their being two."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.identity.why(one, other)
    if context.json:
        context.print_json(found)
        return
    if found["same"]:
        number = found["customers"][0]
        context.say(context.word(f"是同一位客户 id:{number}", f"one customer, id:{number}"))
        _steps(context, found["way"])
    else:
        names = ", ".join(f"id:{number}" for number in found["customers"])
        context.say(context.word(f"不是同一位客户：{names}", f"two customers: {names}"))
    if found["history"]:
        context.say(context.word("历史：", "history:"))
        _steps(context, found["history"])


def _steps(context: Context, steps: list[dict[str, Any]]) -> None:
    titles = {
        "record": context.word("记录", "record"),
        "kind": context.word("关系", "relation"),
        "method": context.word("依据", "by"),
        "other": context.word("另一条", "other"),
        "recorded_at": context.word("自", "since"),
        "actor": context.word("操作者", "actor"),
        "reason": context.word("原因", "reason"),
        "retracted_at": context.word("撤回于", "retracted"),
    }
    context.rows(steps, [*titles], titles)


def merge(
    one: str = typer.Argument(..., help=_KEY_HELP),
    other: str = typer.Argument(..., help="The other customer; the older number survives."),
    reason: str = typer.Option(..., help=_REASON_HELP),
) -> None:
    """Say that two customers are one person; it can be taken apart again."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.identity.merge(one, other, reason=reason)
    _decided(context, done)


def split(
    customer: str = typer.Argument(..., help=_KEY_HELP),
    records: list[str] = typer.Argument(..., help="The numbers of the records to take out, crm:c-7 or c-7."),
    reason: str = typer.Option(..., help=_REASON_HELP),
) -> None:
    """Take records out of a customer, as another person; later evidence does not undo it."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.identity.split(customer, records, reason=reason)
    _decided(context, done)


def match() -> None:
    """Match all records by probability: link what is sure enough, put up for review what is doubtful."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.identity.match()
    if context.json:
        context.print_json(done)
        return
    context.say(
        context.word(
            f"比较了 {done['matched']:,} 条记录：{done['linked']:,} 对合并，{done['reviews_opened']:,} 对待人工确认",
            f"{done['matched']:,} records matched: {done['linked']:,} pairs linked, "
            f"{done['reviews_opened']:,} put up for review",
        )
    )


def review(
    number: int | None = typer.Argument(None, help="A pair's number; without one the open pairs are listed."),
    same: bool = typer.Option(False, "--same", help="They are one person."),
    different: bool = typer.Option(False, "--different", help="They are two people, for good."),
    reason: str = typer.Option("", help=_REASON_HELP),
    limit: int = typer.Option(20, help="How many pairs to list."),
) -> None:
    """List the pairs that may be one person, show one side by side, or decide it."""
    context = CONTEXT.get()
    if same and different:
        raise typer.BadParameter("either --same or --different")
    if number is None:
        if same or different:
            raise typer.BadParameter("name the pair that is decided")
        _queue(context, limit)
        return
    with context.open() as project:
        if same or different:
            _decided(context, project.identity.decide(number, "same" if same else "different", reason=reason))
            return
        found = project.identity.review(number)
    if context.json:
        context.print_json(found)
        return
    context.say(f"{found['record']}  {found['other']}  {found['score']:.3f}  {found['state']}")
    context.rows(found["said"], ["field", "record", "other"], {})
    context.say(", ".join(f"{name} {level}" for name, level in found["levels"].items()))


def _queue(context: Context, limit: int) -> None:
    with context.open() as project:
        found = project.identity.reviews(limit)
    if context.json:
        context.print_json(found)
        return
    rows = [{**one, "levels": ", ".join(f"{n} {level}" for n, level in one["levels"].items())} for one in found]
    context.rows(rows, ["review_id", "record", "other", "score", "levels"], {})


def _decided(context: Context, done: dict[str, Any]) -> None:
    if context.json:
        context.print_json(done)
        return
    moved, before, after = done["moved"], done["customers_before"], done["customers"]
    context.say(
        context.word(
            f"{moved:,} 条记录换了客户：{before:,} 位客户变为 {after:,} 位；下次 run 或 refresh 后标签和分层随之更新",
            f"{moved:,} records have another customer now: {before:,} customers became {after:,}; "
            "tags and tiers follow with the next run or refresh",
        )
    )
