"""The points ledger outlives what befalls it: killed writers lose nothing acknowledged and repeat nothing."""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tierwise.store import Actor, Earn, Entry, Redeem, Request, Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANN = Actor("cli", "ann")
KILLS = 25
CUSTOMERS = 5


def asked(seed: int, number: int) -> Request:
    """The deed of this number: the same whoever asks, before a kill or after it."""
    chance = random.Random(f"{seed}/{number}")
    who, points = chance.randint(1, CUSTOMERS), chance.randint(1, 50)
    said: dict[str, Any] = {"key": f"{seed}/{number}", "at": NOW, "actor": ANN, "customer_id": who, "points": points}
    return Earn(**said) if chance.random() < 0.6 else Redeem(**said)


def post_on(where: str, anchor: Path, seed: int, begin: int, told: Connection) -> None:
    """Post deeds without pause, eight in the queue at a time; tell of each what came of it, once that is certain."""
    with Store.open(where, anchor=anchor) as store:
        number = begin
        while True:
            waiting = [(number + i, store.points.submit(asked(seed, number + i))) for i in range(8)]
            for one, promise in waiting:
                refused = promise.exception()
                told.send((one, None if refused else promise.result().entry_id))
            number += 8


def test_killed_writers_lose_nothing_and_do_nothing_twice(where: str, tmp_path: Path) -> None:
    anchor = tmp_path / "audit.anchor"
    with Store.open(where, anchor=anchor) as store:
        keys = [f"c{number}" for number in range(CUSTOMERS)]
        store.ids.assign(pa.table({"key_space": ["crm"] * CUSTOMERS, "source_key": keys}))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.test_points_faults"])
    chance = random.Random(3)
    acknowledged: dict[tuple[int, int], int] = {}
    kills = 0
    while kills < KILLS:
        writers = []
        for seed in (1, 2):  # two processes at once, each with a queue of its own
            here, there = context.Pipe(duplex=False)
            begin = 1 + max((number for other, number in acknowledged if other == seed), default=-1)
            # It begins again a little earlier: what was acknowledged must be known.
            arguments = (where, anchor, seed, max(0, begin - 4), there)
            process = context.Process(target=post_on, args=arguments, daemon=True)
            process.start()
            there.close()
            writers.append((seed, process, here))
        for seed, _, here in writers:
            for _ in range(chance.randint(1, 40)):
                _note(acknowledged, seed, here.recv())
        time.sleep(chance.uniform(0, 0.02))
        for _, process, _ in writers:
            process.kill()
            kills += 1
        for seed, process, here in writers:
            process.join()
            try:
                while here.poll():
                    _note(acknowledged, seed, here.recv())
            except (EOFError, OSError):
                pass
    with Store.open(where, anchor=anchor) as store:
        assert store.check() == []
        earlier = store.points.post_many([asked(seed, number) for seed, number in acknowledged])
        for entry_id, found in zip(acknowledged.values(), earlier, strict=True):
            assert isinstance(found, Entry) and found.replayed and found.entry_id == entry_id
        assert store.check() == []


def _note(acknowledged: dict[tuple[int, int], int], seed: int, told: tuple[int, int | None]) -> None:
    number, entry_id = told
    if entry_id is not None:
        before = acknowledged.setdefault((seed, number), entry_id)
        assert before == entry_id, "a repeated deed has its first answer"
