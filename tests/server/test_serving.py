"""`tierwise serve` as it runs: the API, the engine's process and a worker, started again when killed, gone with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.projects import NOW, Brand
from tierwise.store import SYSTEM

# One server for all of them, in their order: each start takes seconds.
pytestmark = pytest.mark.xdist_group("serving")
COMMAND = [sys.executable, "-c", "from tierwise.cli import main; main()"]
PASSWORD = "correct horse battery"
TILL = """\
live: true
customer: member
row_key: id
streams:
  orders: {time: at, columns: {order_id: id, amount: paid}}
"""


@dataclass
class Served:
    """A server of a shop on a free port: its address, the token of the first start, its process."""

    shop: Brand
    address: str
    token: str
    process: subprocess.Popen[str]

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.address, timeout=90)


def started(shop: Brand) -> Served:
    process = subprocess.Popen(
        [*COMMAND, "--project", str(shop.folder), "--lang", "en", "serve", "--port", "0"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    address = process.stderr.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address), address
    known = any(user.name == "ann" for user in shop.open().store.accounts.all_users())
    token = "" if known else process.stderr.readline().strip().rpartition(" ")[2]
    return Served(shop, address, token, process)


def stopped(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


@pytest.fixture(scope="module")
def served(made: Brand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    shop = made.copy(tmp_path_factory.mktemp("served") / "shop")
    shop.write({"sources/till.yaml": TILL})
    found = started(shop)
    yield found
    if found.process.poll() is None:
        stopped(found.process)


def until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def until_ready(client: httpx2.Client) -> None:
    until(lambda: client.get("/ready").status_code == 200, "it is not ready")


def beside(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_from_the_first_start_to_a_run(served: Served) -> None:
    with served.client() as client:
        until_ready(client)
        first = {"token": served.token, "name": "ann", "password": PASSWORD}
        assert client.post("/v1/setup", json=first).status_code == 201
        csrf = client.post("/v1/session", json={"name": "ann", "password": PASSWORD}).json()["csrf"]
        client.headers["x-csrf-token"] = csrf
        orders = served.shop.folder / "data/orders.csv"
        orders.write_text(orders.read_text() + "5,d,2026-05-30,1000\n")
        key = {"idempotency-key": "once"}
        asked = client.post("/v1/runs", json={"as_of": "2026-06-02"}, headers=key)
        assert asked.status_code == 202
        assert client.post("/v1/runs", json={"as_of": "2026-06-02"}, headers=key).json()["job_id"] == 1
        assert client.post("/v1/runs", json={}, headers=key).status_code in (400, 422), "one key, another wish"
        with client.stream("GET", asked.headers["location"] + "/events") as events:
            told = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
        assert [told[0]["state"] in ("queued", "running"), told[-1]["state"]] == [True, "done"]
        assert client.get("/v1/tierings").json()["items"][0]["customers"] == 2
        (run, *_) = client.get("/v1/runs").json()["items"]
        assert (run["state"], run["report"]["customers"]) == ("done", 3)
        assert served.process.poll() is None


def test_a_killed_engine_is_started_again(served: Served) -> None:
    with served.client() as client:
        until_ready(client)
        client.post("/v1/session", json={"name": "ann", "password": PASSWORD})
        holder = served.shop.open().owner()
        assert holder["command"] == "tierwise engine"
        os.kill(holder["pid"], signal.SIGKILL)
        assert len(client.get("/v1/tierings").json()["items"]) == 3, "whoever asks meanwhile waits for the next one"
        assert served.shop.open().owner()["pid"] != holder["pid"]


def test_an_address_in_use(served: Served) -> None:
    port = served.address.rpartition(":")[2]
    command = [*COMMAND, "--project", str(served.shop.folder)]
    second = subprocess.run(
        [*command, "serve", "--port", port], capture_output=True, text=True, timeout=90, check=False
    )
    assert second.returncode == 1
    assert f"port {port} is in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_killed_as_a_whole_it_loses_no_event_and_leaves_nobody_behind(served: Served) -> None:
    secret, _ = served.shop.open().store.accounts.add_key("till", ["machine"], SYSTEM, NOW)
    mine = {"authorization": f"Bearer {secret}"}

    def send(client: httpx2.Client, first: int, last: int) -> int:
        events = [{"id": f"T{n}", "member": f"m{n % 3}", "at": "2026-05-31", "paid": 10} for n in range(first, last)]
        answer = client.post("/v1/events", json={"source": "till", "events": events}, headers=mine)
        return int(answer.json()["accepted"])

    with served.client() as client:
        until_ready(client)
        assert sum(send(client, n, n + 10) for n in range(0, 200, 10)) == 200
        others = beside(served.process.pid)
        assert len(others) == 2, "the engine's process and a worker"
        served.process.kill()
        served.process.wait(60)
        until(lambda: not any(map(lives, others)), "somebody is left behind")
    again = started(served.shop)
    try:
        with again.client() as client:
            until_ready(client)
            assert sum(send(client, n, n + 10) for n in range(100, 300, 10)) == 200, "half of them once more"

            def spent() -> list[float]:
                found = [client.get(f"/v1/customers/m{n}", headers=mine) for n in range(3)]
                return [
                    next((float(tag["value"] or 0) for tag in one.json().get("tags", ()) if tag["tag"] == "spend"), 0.0)
                    for one in found
                ]

            until(lambda: spent() == [1000.0, 1000.0, 1000.0], "every event has its effect once")
    finally:
        stopped(again.process)
