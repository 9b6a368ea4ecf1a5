"""Every construct reached by refreshing: rows come late, wrong, of somebody else, in vain, and the hand's truth remains."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tierwise.definitions.language.reference import Row, Said
from tierwise.engine.cells import named_cell
from tierwise.testing.chains import Chain, State
from tierwise.testing.constructs import WORLDS, is_asked_once
from tierwise.testing.pieces import in_pieces
from tierwise.testing.worlds import Case, at, row, same

#: What is asked at once: a plan of sixty names is quicker than two of thirty, one of a thousand slower.
TOGETHER = 60


def _truths(world: str) -> dict[str, Sequence[Any]]:
    return {text: truth for text, truth in WORLDS[world][1].items() if is_asked_once(world, text)}


def _asked() -> Iterator[tuple[str, int]]:
    for world in WORLDS:
        if world != "history":  # what was recorded cannot be received: see the lived history below
            yield from ((world, start) for start in range(0, len(_truths(world)), TOGETHER))


@pytest.mark.parametrize(("world", "start"), list(_asked()))
def test_truth(world: str, start: int) -> None:
    truths = dict(list(_truths(world).items())[start : start + TOGETHER])
    case = replace(WORLDS[world][0], tags={f"x{index}": text for index, text in enumerate(truths)})
    with tempfile.TemporaryDirectory() as folder, Chain(Path(folder)) as chain:
        found = [line for state in in_pieces(case) for line in chain.advance(state)]
        last, touched = chain.steps[-1], chain.steps[-1].report["everyone_because"]
        found += chain.whole()
        found += chain.believed(0)
    assert not found, "\n".join(found[:10])
    assert touched == "", "the last state is reached by evaluating the touched alone"
    for name, text in case.tags.items():
        kind = named_cell(last.catalogue, name).kind
        for customer, true in zip(case.customers, truths[text], strict=True):
            value = last.answers[customer, name]
            exact = kind.name in ("decimal", "money") and value is not None and true is not None
            wanted: Any = type(value)(true) if exact else true  # type: ignore[call-arg,misc]
            assert same(kind, value, wanted), f"customer {customer}: {text} is {value!r}, not {wanted!r}"


# -- a lived history ---------------------------------------------------------------------------------------------------

RULES: dict[str, Any] = {
    "tierings": {"grade": {"ordered": True, "tiers": {"gold": "last(s.n) >= 40", "silver": "last(s.n) >= 20", "none": "otherwise"}}},
    "segments": {"many": "last(s.n) > 15"},
}  # fmt: skip
#: Asked on 15 June at 4:00; 90 days before is 17 March at 4:00, 30 days before 16 May at 4:00.
LIVED: dict[str, tuple[Any, Any, Any]] = {
    'was_tier("grade", "gold")': (True, False, False),
    'was_tier("grade", "gold", within="90d")': (False, False, False),
    'was_tier("grade", "gold", within="91d")': (True, False, False),
    'was_tier("grade", "silver", within="1d")': (True, True, False),
    'tier_since("grade")': (at("2026-03-17 04:00"), at("2026-05-16 04:00"), at("2026-01-01")),
    'entered("grade", "silver")': (True, True, False),
    'entered("grade", "silver", within="30d")': (False, False, False),
    'entered("grade", "silver", within="31d")': (False, True, False),
    'entered("grade", "gold")': (False, False, False),  # the first run finds, and what is found now comes after
    'entered("grade", "none")': (False, True, False),
    'left("grade", "gold")': (True, False, False),
    'left("grade", "gold", within="90d")': (False, False, False),
    'left("grade", "gold", within="91d")': (True, False, False),
    'entered("many")': (True, True, False),
    'entered("many", within="14d")': (False, True, False),
    'left("many")': (True, False, False),
    'left("many", within="30d")': (False, False, False),
    'tier("grade") == "gold"': (True, False, False),
    'to_next("grade")': (None, 15, None),
}
#: When somebody's n was what.
CAME = (
    (1, "2025-12-31", 40), (2, "2026-01-31", 5), (1, "2026-03-17 03:00", 20), (2, "2026-05-16 04:00", 25),
    (1, "2026-06-15 04:00", 45),
)  # fmt: skip
#: In grade 1 is gold, then silver on 17 March; 2 is none, then silver on 16 May. Of `many` they are kept out for a time.
SAID = {
    1: [Said(1, "many", False, at("2026-05-01"), at("2026-06-01"))],
    2: [Said(2, "many", False, at("2026-05-10"), at("2026-06-10"))],
}
REFRESHED = (
    "2026-01-01", "2026-02-01", "2026-03-17 04:00", "2026-05-01", "2026-05-16 04:00", "2026-06-01", "2026-06-10", "2026-06-15 04:00",
)  # fmt: skip


def test_what_refreshes_record_is_what_rules_read_later() -> None:
    tags = {f"x{index}": text for index, text in enumerate(LIVED)}
    with tempfile.TemporaryDirectory() as folder, Chain(Path(folder)) as chain:
        found = []
        for when in map(at, REFRESHED):
            rows: dict[int, list[Row]] = {1: [], 2: []}
            for customer, time, n in CAME:
                if at(time) <= when:
                    rows[customer].append(row(time, f"{customer} {time}", n=n))
            said = {customer: [one for one in own if one.since <= when] for customer, own in SAID.items()}
            there = {3: [row("2020-01-01", "there")]}
            case = Case(tags, when, (1, 2, 3), {"s": rows}, there, said=said, **RULES)
            found += chain.advance(State(case))
        found += chain.whole()
        last = chain.steps[-1]
        log = [(c, change.name, change.into, f"{change.at:%m-%d}", change.cause) for c, change in chain.log]
        for name, text in tags.items():
            assert tuple(last.answers[customer, name] for customer in (1, 2, 3)) == LIVED[text], text
    assert not found, "\n".join(found)
    assert [line for line in log if line[1] == "many"] == [
        (1, "many", "in", "01-01", "first_run"), (1, "many", "out", "05-01", "manual"), (1, "many", "in", "06-01", "manual"),
        (2, "many", "in", "06-10", "manual"),
    ]  # fmt: skip
