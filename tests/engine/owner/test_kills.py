"""Processes killed at random moments: the last good state stays, the next command works, nothing is half recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.engine.owner.processes import HEAD, ROOT, brand_in
from tests.projects import csv

#: How often in all: a process that runs by itself, an owner while its client has a run done, a client, a reader.
KILLS: Final = 26

#: Forks from where the imports are done once, so that a kill costs a run and not a start; no thread runs here yet.
KILLING: Final = """\
import os, random, signal, sys, time, traceback
from pathlib import Path
from tests.projects import NOW, Brand, csv
import pyarrow.flight
import tierwise.engine.owner.serving

brand = Brand(Path(sys.argv[1]))
HEAD = sys.argv[2]
rows = ["1,a,2026-05-20,200", "2,b,2026-05-20,50"]

def child(body):
    pid = os.fork()
    if pid:
        return pid
    try:
        body()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)

def ended_well(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def runs():
    brand.run(day)

def holds():
    with brand.open(day) as project:
        project.serve(lambda holder: os.write(serves, b"."))

def asks():
    with brand.open(day) as project:
        while True:
            answer = project.estimate("spend > 100")
            assert answer["of"] in (people - 1, people), answer

def stops():
    with brand.open(day) as project:
        project.stop_owner()

def is_whole():
    with brand.open(day) as project:
        shown = project.table("customers")
        assert shown.num_rows in (people - 1, people), shown.num_rows
        state = project.show("tiers").column("state")[0].as_py()
        report = project.run()
        customers = project.table("customers").to_pylist()
        log = project.table("memberships").sort_by("seq").to_pylist()
        states = [run.state for run in project.store.runs.list(1000)]
        assert not [name for name in project.sql("SELECT table_name AS n FROM information_schema.tables").column("n").to_pylist() if "$" in name]
    assert report["customers"] == people and "running" not in states, (report, states)
    assert sum(float(row["spend"]) for row in customers) == sum(float(row.split(",")[3]) for row in rows) - 20
    believed = {(row["customer_id"], row["name"]): row["is"] for row in log if row["kind"] == "tier"}
    assert believed == {(row["customer_id"], "value"): row["value"] for row in customers}
    assert len({row["seq"] for row in log}) == len(log)
    again = {}
    for row in log:
        assert row["was"] == again.get((row["customer_id"], row["kind"], row["name"])), row
        again[row["customer_id"], row["kind"], row["name"]] = row["is"]

people = 3
for seed in range(int(sys.argv[3])):
    rng, day = random.Random(seed), 1 + seed
    rows.append(f"{10 + seed},c{seed},2026-05-21,{1 + seed}")
    people += 1
    brand.write({"data/orders.csv": csv(HEAD, *rows)})
    moment = rng.uniform(0.0, float(sys.argv[4]))
    who = ("alone", "owner", "client", "reader")[seed % 4]
    if who == "alone":
        victim = child(runs)
        time.sleep(moment)
        kill(victim)
    else:
        hears, serves = os.pipe()
        owner = child(holds)
        os.read(hears, 1)
        other = child(asks if who == "reader" else runs)
        time.sleep(moment)
        kill(owner if who == "owner" else other)
        if who == "owner":
            ended_well(other)
        else:
            ended_well(child(stops))
            ended_well(owner)
    ended_well(child(is_whole))
    print(who, round(moment, 3), flush=True)
"""


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    brand = brand_in(tmp_path / "shop")
    command = [sys.executable, "-c", KILLING, str(brand.folder), HEAD, str(KILLS), "1.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == KILLS


FULL: Final = """\
import json, os, resource, signal, sys
from pathlib import Path
from tests.projects import Brand
from tierwise.errors import TierwiseError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
brand = Brand(Path(sys.argv[1]))
try:
    brand.run(1)
except TierwiseError as refused:
    print(json.dumps({"code": refused.code, "message": str(refused), "hint": refused.hint}))
"""


@pytest.mark.parametrize("limit", [1 << 12, 1 << 17, 1 << 19, 1 << 20, 3 << 20])
def test_a_disk_that_fills_during_a_run(tmp_path: Path, limit: int) -> None:
    brand = brand_in(tmp_path / "shop")
    before = brand.rows("customers")
    more = [f"{i},customer number {i * 7919 % 30_000},2026-05-20,{i % 977}" for i in range(10, 30_000)]
    brand.write({"data/orders.csv": csv(HEAD, *more)})
    command = [sys.executable, "-c", FULL, str(brand.folder), str(limit)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    refused = json.loads(done.stdout)
    assert refused["code"] == "engine-refused" and refused["hint"], refused
    assert brand.rows("customers") == before
    assert brand.run(2)["customers"] > 1000
    with brand.open(2) as project:
        assert "running" not in project.show("runs").column("state").to_pylist()
