"""A store outlives what befalls it: killed writers, a killed server, a full disk, a file that is gone."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from tests.servers import PostgresServer
from tests.store.writers import write_on
from tierwise.errors import EngineRefused
from tierwise.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and limits of files are POSIX")
KILLS = 12


def _keys(*names: str) -> pa.Table:
    return pa.table({"key_space": ["crm"] * len(names), "source_key": list(names)})


def _check(where: str, anchor: Path, committed: dict[str, int]) -> None:
    """A store in which nothing is wrong, and everything that was told is there."""
    with Store.open(where, anchor=anchor) as store:
        assert store.check() == []
        records = store.ids.customers()["source_record_id"].to_pylist()
        assert max(records, default=0) >= committed.get("source_record", 0)
        assert store.runs.get(committed["run"]).run_id if "run" in committed else True
        assert store.jobs.get(committed["job"]).state if "job" in committed else True
        if "done" in committed:
            assert store.jobs.get(committed["done"]).state == "done"


def test_writers_that_are_killed_leave_a_good_store(where: str, tmp_path: Path) -> None:
    """Twice six kills at random moments; the second half with two writers at once."""
    anchor = tmp_path / "audit.anchor"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.writers"])
    chance = random.Random(11)
    committed: dict[str, int] = {}
    for kill in range(KILLS):
        writers = []
        for number in range(1 + (kill >= KILLS // 2)):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=write_on, args=(where, anchor, f"w{kill}-{number}", there), daemon=True)
            process.start()
            there.close()
            writers.append((process, here))
        for _, here in writers:
            for _ in range(chance.randint(1, 15)):
                kind, number = here.recv()
                committed[kind] = max(number, committed.get(kind, 0))
        time.sleep(chance.uniform(0, 0.03))
        for process, _ in writers:
            process.kill()
        for process, here in writers:
            process.join()
            try:
                while here.poll():
                    kind, number = here.recv()
                    committed[kind] = max(number, committed.get(kind, 0))
            except EOFError:
                pass
        _check(where, anchor, committed)
    assert {"source_record", "run", "job", "done"} <= set(committed)


@pytest.mark.postgres
def test_a_server_that_is_killed_loses_nothing_it_has_confirmed(own_server: PostgresServer, tmp_path: Path) -> None:
    chance = random.Random(5)
    confirmed: list[str] = []
    for kill in range(3):
        errors: list[EngineRefused] = []

        def write(prefix: str, errors: list[EngineRefused]) -> None:
            with Store.open(own_server.url, anchor=tmp_path / "anchor") as store:
                try:
                    for number in range(10_000):
                        store.ids.assign(_keys(f"{prefix}-{number}"))
                        confirmed.append(f"{prefix}-{number}")
                except EngineRefused as error:
                    errors.append(error)

        thread = threading.Thread(target=write, args=(f"k{kill}", errors))
        before = len(confirmed)
        thread.start()
        while len(confirmed) < before + 5:
            assert thread.is_alive()
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        own_server.kill()
        thread.join()
        assert "could not be used" in errors[0].message
        own_server.start()
        with Store.open(own_server.url, anchor=tmp_path / "anchor") as store:
            assert store.check() == []
            assert set(confirmed) <= set(store.ids.customers()["source_key"].to_pylist())


@pytest.mark.postgres
def test_an_open_store_goes_on_when_its_server_is_back(own_server: PostgresServer, tmp_path: Path) -> None:
    with Store.open(own_server.url, anchor=tmp_path / "anchor") as store:
        store.ids.assign(_keys("a"))
        own_server.kill()
        with pytest.raises(EngineRefused, match="could not be used") as refused:
            store.ids.assign(_keys("b"))
        assert "try again" in refused.value.hint
        own_server.start(same_port=True)
        assert store.ids.assign(_keys("a", "b"))["source_record_id"].to_pylist() == [1, 2]


FILL = """
import resource, sys, pyarrow as pa
from tierwise.errors import EngineRefused
from tierwise.store import Store
with Store.open(sys.argv[1]) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    for batch in range(200):
        names = [f"c{batch}-{number}" for number in range(2_000)]
        try:
            store.ids.assign(pa.table({"key_space": ["crm"] * len(names), "source_key": names}))
        except EngineRefused as error:
            print(f"refused: {error}")
            print(store.ids.customers().num_rows == batch * 2_000)
            sys.exit(0)
sys.exit("nothing was refused")
"""


def test_a_full_disk_leaves_nothing_half_done(path: Path) -> None:
    """No file may grow beyond four megabytes, which is what a full disk looks like to SQLite."""
    command = [sys.executable, "-c", FILL, str(path), str(4 * 2**20)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no room" in done.stdout
    assert done.stdout.splitlines()[-1] == "True", "the batch that failed has left nothing"
    with Store.open(path) as store:
        assert store.check() == []
        before = store.ids.customers().num_rows
        store.ids.assign(_keys("there is room again"))
        assert store.ids.customers().num_rows == before + 1


@pytest.mark.postgres
def test_a_servers_full_disk_leaves_nothing_half_done(own_server: PostgresServer, tmp_path: Path) -> None:
    """No file of the server may grow beyond 20 MB: more than a segment of its log, less than the keys need."""
    with Store.open(own_server.url, anchor=tmp_path / "anchor") as store:
        store.ids.assign(_keys("a"))
    own_server.kill()
    own_server.start(same_port=True, file_limit_bytes=20 * 2**20)
    with Store.open(own_server.url, anchor=tmp_path / "anchor") as store:
        with pytest.raises(EngineRefused, match="no room"):
            store.ids.assign(_keys(*("c" * 1_000 + str(number) for number in range(25_000))))
        assert store.ids.customers()["source_key"].to_pylist() == ["a"]
        assert store.check() == []
        assert store.ids.assign(_keys("b"))["source_record_id"].to_pylist() == [2]


def test_a_file_that_is_gone_is_told(path: Path) -> None:
    with Store.open(path) as store:
        store.ids.assign(_keys("a"))
        for file in path.parent.glob("store.db*"):
            file.unlink()
        with pytest.raises(EngineRefused, match="was removed while it was open"):
            store.ids.assign(_keys("b"))
        path.write_bytes(b"")
        with pytest.raises(EngineRefused, match="was replaced while it was open"):
            store.ids.version()
