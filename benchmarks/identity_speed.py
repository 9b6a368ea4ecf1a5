"""Linking by identifiers at size, with known truth: ``python -m benchmarks.identity_speed --persons 6000000``.

People with several records each: telephones that change, that families share and that tills type in for everybody,
e-mail addresses that are missing. Measured is from canonical identifiers (blind indexes) to customers; cleaning,
hashing and writing to the store are not in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tierwise.definitions.identity import Identity
from tierwise.identity.carry import carried
from tierwise.identity.evidence import evidence_of
from tierwise.identity.linking import Linker
from tierwise.identity.solve import solve
from tierwise.store import SYSTEM, Store
from tierwise.store.links import EDGES, HOLDINGS
from tierwise.store.people import VALUES

__all__ = ["incremental", "linked", "main", "people"]

_DECLARED: Final = Identity.model_validate(
    {"identifiers": {"id_number": {"exclusive": True}, "unionid": {}, "phone": {"limit": 20}, "email": {}}}
)
_Ints = npt.NDArray[np.int64]


def people(persons: int, seed: int) -> tuple[pa.Table, _Ints]:
    """Return holdings of records and whose each record is, about 1.67 records a person.

    Args:
        persons: how many people there are.
        seed: of everything drawn.
    """
    drawn = np.random.default_rng(seed)
    truth = np.repeat(np.arange(persons), drawn.choice([1, 2, 3, 4], persons, p=[0.52, 0.32, 0.13, 0.03]))
    records = np.arange(1, len(truth) + 1)
    phone = truth.copy()
    changed = drawn.random(len(truth)) < 0.06
    phone[changed] = persons + np.flatnonzero(changed)
    families = drawn.random(persons) < 0.004  # they use the telephone of the next person
    phone = np.where(families[truth] & ~changed, truth + 1, phone)
    tills = drawn.random(len(truth)) < 0.01
    phone[tills] = 10 * persons + drawn.integers(0, max(persons // 5000, 3), int(tills.sum()))
    parts = [
        _held("id_number", records, truth, drawn.random(len(truth)) < 0.1),
        _held("unionid", records, truth, drawn.random(len(truth)) < 0.35),
        _held("phone", records, phone, drawn.random(len(truth)) < 0.8),
        _held("email", records, truth, drawn.random(len(truth)) < 0.3),
    ]
    return pa.concat_tables(parts), truth


def _held(field: str, records: _Ints, values: _Ints, has: npt.NDArray[np.bool_]) -> pa.Table:
    numbers = np.zeros((int(has.sum()), 2), np.int64)
    numbers[:, 0], numbers[:, 1] = values[has], sum(map(ord, field))
    indexes = pa.Array.from_buffers(pa.binary(16), len(numbers), [None, pa.py_buffer(numbers.tobytes())])
    texts = [pa.repeat(text, len(numbers)) for text in ("crm", field, "openid" if field == "unionid" else field)]
    columns = [pa.array(records[has]), *texts, indexes.cast(pa.binary())]
    return pa.Table.from_arrays(columns, schema=HOLDINGS)


def linked(holdings: pa.Table, records: int) -> _Ints:
    """Return the customer of each record, every one having been a customer of their own."""
    numbers = np.arange(1, records + 1)
    evidence = evidence_of(numbers, holdings, EDGES.empty_table(), _DECLARED)
    return carried(solve(records, evidence.levels, evidence.apart).labels, numbers, {})


def _scores(customers: _Ints, truth: _Ints) -> dict[str, float]:
    hits = _pairs(customers * (int(truth.max()) + 1) + truth)
    said, wanted = _pairs(customers), _pairs(truth)
    return {
        "true_pairs": wanted,
        "precision": round(hits / max(said, 1), 5),
        "recall": round(hits / max(wanted, 1), 4),
    }


def _pairs(groups: _Ints) -> int:
    _, sizes = np.unique(groups, return_counts=True)
    return int((sizes * (sizes - 1) // 2).sum())


def incremental(records: int, added: int, seed: int, folder: Path) -> dict[str, Any]:
    """Fill a store with records that have a telephone each, link them, add some more, and link around these.

    Args:
        records: how many there are first.
        added: how many come then; two thirds have the telephone of somebody known.
        seed: of everything drawn.
        folder: a new folder for the store.
    """
    drawn = np.random.default_rng(seed)
    declared = Identity.model_validate({"identifiers": {"phone": {"limit": 20}}})
    at = datetime(2026, 6, 1, tzinfo=UTC)
    found: dict[str, Any] = {"records": records, "added": added}
    with Store.open(folder / "store.db", key_file=folder / "master.key") as store:
        phones = drawn.integers(0, int(records * 0.8), records)
        found["filled_seconds"] = _timed(lambda: _put(store, "r", phones, at))
        found["everybody_seconds"] = _timed(lambda: Linker(store, declared, SYSTEM, at).link(1, None))
        more = np.where(drawn.random(added) < 2 / 3, drawn.integers(0, records, added), records + np.arange(added))
        arrived = _put(store, "n", more, at)
        linker = Linker(store, declared, SYSTEM, at)
        found["added_seconds"] = _timed(lambda: linker.link(2, arrived))
    return found


def _put(store: Store, prefix: str, phones: _Ints, at: datetime) -> list[int]:
    """Bring one record for each telephone; return their numbers."""
    keys = pa.array([f"{prefix}{number}" for number in range(len(phones))])
    spaces = pa.repeat("crm", len(keys))
    numbers = store.ids.assign(pa.table({"key_space": spaces, "source_key": keys}), at=at)["source_record_id"]
    texts = pa.array([f"+86{13100000001 + int(number) * 7}" for number in phones])
    fixed = [pa.repeat("phone", len(keys)), pa.repeat("phone", len(keys))]
    columns = [numbers, *fixed, texts, pa.array(range(len(keys)), pa.int64())]
    store.people.put(pa.table(columns, names=VALUES.names), at)
    found: list[int] = numbers.to_pylist()
    return found


def _timed(work: Callable[[], object]) -> dict[str, float]:
    wall, processor = time.monotonic(), time.process_time()
    work()
    return {"wall": round(time.monotonic() - wall, 1), "processor": round(time.process_time() - processor, 1)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make people, link their records, print one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity_speed", description=__doc__)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--added", type=int, help="fill a store with so many persons, then link so many new records")
    asked = parser.parse_args(arguments)
    if asked.added:
        with TemporaryDirectory() as folder:
            sys.stdout.write(json.dumps(incremental(asked.persons, asked.added, asked.seed, Path(folder))) + "\n")
        return
    holdings, truth = people(asked.persons, asked.seed)
    wall, processor = time.monotonic(), time.process_time()
    customers = linked(holdings, len(truth))
    found: dict[str, Any] = {
        "persons": asked.persons,
        "records": len(truth),
        "holdings": holdings.num_rows,
        "wall_seconds": round(time.monotonic() - wall, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "customers": len(np.unique(customers)),
        "duplicates_found": len(truth) - len(np.unique(customers)),
        "duplicates": len(truth) - asked.persons,
        **_scores(customers, truth),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
