"""A process that writes to a store without pause and tells what was committed, for tests that kill it."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from tierwise.store import Actor, Store

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
LEASE = timedelta(minutes=1)


def write_on(where: str, anchor: Path, name: str, told: Connection) -> None:
    """Give ids, run, queue and do jobs, seal; after each commit tell which kind of row was added, and its number."""
    chance = random.Random(name)
    actor = Actor("cli", name)
    with Store.open(where, anchor=anchor) as store:
        told.send(("open", 0))
        for turn in itertools.count():
            keys = [f"{name}-{turn}-{number}" for number in range(chance.randint(1, 60))]
            given = store.ids.assign(pa.table({"key_space": ["crm"] * len(keys), "source_key": keys}))
            told.send(("source_record", given["source_record_id"][-1].as_py()))
            run_id = store.runs.begin("run", actor, AT)
            told.send(("run", run_id))
            store.runs.step(run_id, "import", {"rows": len(keys)})
            store.runs.finish(run_id, AT, {"rows": len(keys)})
            told.send(("job", store.jobs.enqueue("run", {"turn": turn}, actor, AT, key=keys[0]).job_id))
            job = store.jobs.claim(name, AT, LEASE, ["run"])
            if job is not None:
                store.jobs.finish(store.jobs.heartbeat(job, AT, LEASE, {"step": "import", "done": 1, "total": 1}), AT)
                told.send(("done", job.job_id))
            if turn % 3 == 0:
                store.audit.seal()
