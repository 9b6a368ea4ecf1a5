"""The event log: what was acknowledged is there, whatever is killed, torn, full or broken."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tierwise.errors import Overloaded, ProjectBusy
from tierwise.server.ingest.frames import frames, open_frame
from tierwise.server.ingest.log import EventLog
from tierwise.store import Store

KILLS = 30
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def clock() -> datetime:
    return NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as store:
        yield store


def said(folder: Path, store: Store) -> list[bytes]:
    """Return every record that can be read in the log of a folder, in order."""
    found = []
    for segment in store.segments.all():
        key = store.segments.key(segment.segment_id)
        path = folder / f"{segment.segment_id:012d}.log"
        assert key is not None
        for offset, _, body in frames(path.read_bytes()) if path.exists() else ():
            payload = open_frame(AESGCM(key), segment.segment_id, offset, body)
            assert payload is not None
            found.append(payload)
    return found


def write_until_killed(folder: Path, start: int) -> None:
    """Write records from four threads, noting each in a file once it is acknowledged, until somebody kills us."""
    log = EventLog(folder / "log", Store.open(folder / "store.db"), clock)
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def go_on(thread: int) -> None:
        for number in range(start + thread, start + 10_000_000, 4):
            log.append(b"%d" % number).result()
            os.write(acknowledged, b"%d\n" % number)

    threads = [threading.Thread(target=go_on, args=(thread,)) for thread in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_nothing_acknowledged_is_lost_and_nothing_is_doubled_by_any_kill(tmp_path: Path, store: Store) -> None:
    chance = random.Random(7)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tierwise.server.ingest.log", "tierwise.store"])
    noted = tmp_path / "acknowledged"
    noted.touch()
    for kill in range(KILLS):
        before = noted.stat().st_size
        process = context.Process(target=write_until_killed, args=(tmp_path, kill * 10_000_000))
        process.start()
        while noted.stat().st_size == before:
            assert process.is_alive()
            process.join(0.002)
        process.join(chance.uniform(0, 0.05))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    acknowledged = {int(line) for line in noted.read_text().split("\n")[:-1] if line}
    found = [int(payload) for payload in said(tmp_path / "log", store)]
    assert len(acknowledged) >= KILLS
    assert acknowledged - set(found) == set()
    assert len(found) == len(set(found))


def test_one_flush_serves_all_who_wait(tmp_path: Path, store: Store) -> None:
    flushes, go = [], threading.Event()

    def flush(handle: int) -> None:
        flushes.append(handle)
        go.wait(30)

    log = EventLog(tmp_path / "log", store, clock, flush)
    first = log.append(b"first")
    rest = [log.append(b"%d" % number) for number in range(100)]
    assert not first.done(), "nothing is acknowledged before the flush has ended"
    go.set()
    for one in (first, *rest):
        one.result(30)
    assert len(flushes) <= 3
    log.close()
    assert said(tmp_path / "log", store) == [b"first", *(b"%d" % number for number in range(100))]


def test_after_a_failed_flush_nothing_is_acknowledged_any_more(tmp_path: Path, store: Store) -> None:
    calls: list[int] = []

    def flush(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")

    log = EventLog(tmp_path / "log", store, clock, flush)
    log.append(b"kept").result(30)
    lost: Future[None] = log.append(b"lost")
    with pytest.raises(Overloaded, match="Input/output error"):
        lost.result(30)
    with pytest.raises(Overloaded):
        log.append(b"later")
    assert len(calls) == 2, "a second flush of that file may lie"
    assert log.state()["state"] != "ok"
    log.close()
    again = EventLog(tmp_path / "log", store, clock)
    again.append(b"after the restart").result(30)
    again.close()
    found = said(tmp_path / "log", store)
    assert (found[0], found[-1]) == (b"kept", b"after the restart")


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path, store: Store) -> None:
    log = EventLog(tmp_path / "log", store, clock)
    log.append(b"kept").result(30)
    (path,) = (tmp_path / "log").glob("*.log")
    with path.open("ab") as file:  # what a write leaves that ends in the middle of a record
        file.write(b"\x40\x00\x00\x00half")
    log.close()
    assert said(tmp_path / "log", store) == [b"kept"]


def test_who_sends_too_much_is_asked_to_come_again(tmp_path: Path, store: Store) -> None:
    log = EventLog(tmp_path / "log", store, clock, most_bytes=1_000)
    log.append(bytes(900)).result(30)
    with pytest.raises(Overloaded, match="wait to be absorbed"):
        log.append(bytes(200))
    (segment,) = store.segments.all()
    log.absorbed(segment, log.end(segment))
    log.append(bytes(200)).result(30)
    log.close()


def test_one_process_writes(tmp_path: Path, store: Store) -> None:
    log = EventLog(tmp_path / "log", store, clock)
    with pytest.raises(ProjectBusy):
        EventLog(tmp_path / "log", store, clock)
    log.close()
    EventLog(tmp_path / "log", store, clock).close()
