"""Draws whole lives: worlds that come piece by piece, with definitions edited and things said by hand between."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tierwise.definitions.language.reference import Row, Said
from tierwise.testing.chains import Chain, State
from tierwise.testing.drawing import VALUES, Pick, draw_world
from tierwise.testing.vocabulary import TIERS
from tierwise.testing.worlds import Case
from tierwise.testing.writer import KINDS, Writer

__all__ = ["Life", "disagreements", "draw_life"]

_STEPS: Final = tuple(
    timedelta(microseconds=1) * micros
    for micros in (0, 1, 3_600_000_000, 86_400_000_000, 7 * 86_400_000_000, 31 * 86_400_000_000, 90 * 86_400_000_000)
)
#: How many refreshes follow the first run.
_REFRESHES: Final = (1, 1, 2)
#: Which streams a life has: fewer are quicker.
_STREAMS: Final = (
    ("s",),
    ("s", "events"),
    ("s", "visits"),
    ("s", "orders", "refunds"),
    ("orders", "refunds", "s", "events"),
)
#: What somebody says something of by hand: tags of these kinds, tierings, segments.
_SAID_KINDS: Final = ("integer", "boolean", "text", "money", "tier", "segment")


@dataclass(frozen=True)
class Life:
    """The states a world was known in, one refresh after each, and an instant to ask about at the end.

    `seed` draws it again; `again` is the step that is asked for once more.
    """

    seed: int
    states: Sequence[State] = field(repr=False)
    asked: datetime
    again: int


def draw_life(seed: int, tags: int = 4, depth: int = 2) -> Life:
    """Draw a life.

    Args:
        seed: which; the same number gives the same life.
        tags: how many tags are defined beside the tierings and a segment.
        depth: how deep their expressions are nested at most.
    """
    pick = random.Random(seed).choice
    case, windows, times = draw_world(pick)
    streams = pick(_STREAMS)
    case = replace(case, streams={name: case.streams[name] for name in streams})
    instants = [case.as_of]
    for _ in range(pick(_REFRESHES)):
        instants.insert(0, instants[0] - pick(_STEPS))
    definitions, kinds = _definitions(pick, windows, streams, tags, depth)
    arrivals = {stream: _arrivals(pick, case, stream) for stream in case.streams}
    records = {c: [(pick((0, 0, 1, 2)), one) for one in own] for c, own in case.records.items()}
    names = {**kinds, **dict.fromkeys(definitions[0]["tierings"], "tier"), "vips": "segment"}
    said = [_said(pick, case, names, instants, number) for number in range(1, pick((0, 1, 3)) + 1)]
    edited = pick((0, 0, 0, 1, 2))
    bands = case.lookups["band"]
    other = {**bands, "app": {**bands["app"], "rate": 2}} if pick((True, False, False)) else bands
    states = []
    for step, as_of in enumerate(instants):
        states.append(
            State(
                replace(
                    case,
                    as_of=as_of,
                    streams={stream: _at(step, case, rows) for stream, rows in arrivals.items()},
                    records={c: [one for came, one in own if came <= step] for c, own in records.items()},
                    said=_said_by(step, said, instants),
                    lookups={"band": other if step < 1 else bands},
                    **definitions[1 if step < edited else 0],
                ),
                pick(("refresh", "refresh", "refresh", "publish", "run")) if step else "run",
            )
        )
    return Life(seed, states, pick(times), pick(range(len(states) - 1)))


def disagreements(life: Life) -> list[str]:
    """Live a life; say where its first run, its refreshes, and what is asked at the end are not what the reference says.

    At the end is asked, by the seed, from nothing as of the last refresh, as of any instant by what is known now, or once
    more as of a step by what was known and believed then. In every other life everyone is evaluated in portions of two.
    """
    with tempfile.TemporaryDirectory() as folder, Chain(Path(folder), 2 if life.seed % 2 else None) as chain:
        found = [line for state in life.states for line in chain.advance(state)]
        match life.seed % 3:
            case 0:
                return found + chain.whole()
            case 1:
                return found + chain.as_of(life.asked)
            case _:
                return found + chain.believed(life.again)


# -- definitions -------------------------------------------------------------------------------------------------------


def _definitions(
    pick: Pick, windows: Sequence[str], streams: Sequence[str], tags: int, depth: int
) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
    """Return two versions of definitions that differ in some rules, and the kinds of the tags."""
    writer, alone = Writer(pick, depth, windows, streams), Writer(pick, 1, windows, streams)
    alone.alone = True
    now: dict[str, str] = {}
    before: dict[str, str] = {}
    for index in range(tags):
        if index == tags // 2:
            vips = [writer.write("boolean") for _ in range(2)]
            golds = [writer.write("boolean") for _ in range(2)]
            silver = writer.write("boolean")
            writer.memberships = True
        name, kind = f"t{index}", pick(KINDS)
        now[name] = writer.write(kind)
        before[name] = writer.write(kind) if pick((True, False)) else now[name]
        writer.tags[name] = kind
    grades = [{"ordered": True, "tiers": {"gold": gold, "silver": silver, "none": "otherwise"}} for gold in golds]
    club = {"club": _remembering(pick, alone)} if pick((True, False, False)) else {}
    versions = zip((now, before), vips, grades, strict=True)
    return [{"tags": t, "segments": {"vips": v}, "tierings": {"grade": g, **club}} for t, v, g in versions], writer.tags


def _remembering(pick: Pick, writer: Writer) -> dict[str, Any]:
    """Return a programme, or a tiering with a condition to stay."""
    gold: Any = writer.write("boolean")
    if pick((True, False)):
        gold = {"rule": gold, "stay": writer.write("boolean")}
    tiers = {"gold": gold, "silver": writer.write("boolean"), "none": "otherwise"}
    if isinstance(gold, dict) and pick((True, False)):
        return {"tiers": tiers}
    keep = {
        "term": pick(("7d", "30d", "100d", "3mo", "1y")),
        "downgrade": pick(("one_step", "to_qualified")),
        "grace": pick((None, "10d", "1mo")),
        "on_refund": pick(("reassess", "ignore")),
    }
    return {"tiers": tiers, "keep": keep}


# -- rows --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Arrival:
    """A row: when it is there as it is, what stood there before, until when it is there."""

    customer: int
    row: Row
    comes: int
    before: tuple[int, Row] | None
    goes: int


def _arrivals(pick: Pick, case: Case, stream: str) -> list[_Arrival]:
    found = []
    listed = [(customer, one) for customer, own in case.streams[stream].items() for one in own]
    for customer, one in listed:
        other, wrong = pick(listed)
        before = pick(
            (None, None, None, (customer, replace(wrong, row_key=one.row_key)), (other, one), (customer, replace(one, time=wrong.time)))
        )  # fmt: skip
        found.append(_Arrival(customer, one, pick((0, 0, 1, 2)), before, pick((9, 9, 9, 9, 9, 1, 2))))
    return found


def _at(step: int, case: Case, arrivals: Sequence[_Arrival]) -> dict[int, list[Row]]:
    """Return the rows that are known at a step."""
    rows: dict[int, list[Row]] = {customer: [] for customer in case.customers}
    for arrival in arrivals:
        if arrival.comes <= step < arrival.goes:
            rows[arrival.customer].append(arrival.row)
        elif step < arrival.comes and arrival.before is not None:
            rows[arrival.before[0]].append(arrival.before[1])
    return rows


# -- by hand -----------------------------------------------------------------------------------------------------------


def _said(
    pick: Pick, case: Case, kinds: Mapping[str, str], instants: Sequence[datetime], number: int
) -> tuple[int, int, Said, int]:
    """Return who was said what of by hand, at which step, and at which it was revoked."""
    name = pick([name for name, kind in kinds.items() if kind in _SAID_KINDS])
    values = {"tier": TIERS, "segment": (True, False)}.get(kinds[name]) or VALUES[kinds[name]]
    value = pick([one for one in values if one is not None])
    step = pick(range(len(instants)))
    since = instants[step] - pick((timedelta(0), timedelta(0), timedelta(days=10)))
    until = pick((None, since + timedelta(hours=1), since + timedelta(days=20), instants[-1]))
    until = until if until is None or until > since else None
    return pick(case.customers), step, Said(number, name, value, since, until), pick((9, 9, step + 1))


def _said_by(
    step: int, said: Sequence[tuple[int, int, Said, int]], instants: Sequence[datetime]
) -> dict[int, list[Said]]:
    """Return what is said by hand at a step; what is revoked by then ended when it was."""
    found: dict[int, list[Said]] = {}
    for customer, since, one, revoked in said:
        if since <= step:
            ends = [end for end in (one.until, instants[revoked] if revoked <= step else None) if end is not None]
            found.setdefault(customer, []).append(replace(one, until=min(ends, default=None)))
    return found
