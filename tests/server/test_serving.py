"""`tierwise serve` as it runs: the API, the engine's process and a worker, started again when one is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.projects import Brand

PASSWORD = "correct horse battery"


@pytest.fixture
def served(shop: Brand) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """A server of the shop on a free port: its address, the token of the first start, its process."""
    command = [sys.executable, "-c", "from tierwise.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "--project", str(shop.folder), "--lang", "en", "serve", "--port", "0"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    address = process.stderr.readline().strip()
    token = process.stderr.readline().strip().rpartition(" ")[2]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address), address
    try:
        yield address, token, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def until_ready(client: httpx2.Client) -> None:
    deadline = time.monotonic() + 90
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < deadline, client.get("/ready").text
        time.sleep(0.1)


def test_from_the_first_start_to_a_run(served: tuple[str, str, subprocess.Popen[str]], shop: Brand) -> None:
    address, token, process = served
    with httpx2.Client(base_url=address, timeout=90) as client:
        until_ready(client)
        first = {"token": token, "name": "ann", "password": PASSWORD}
        assert client.post("/v1/setup", json=first).status_code == 201
        csrf = client.post("/v1/session", json={"name": "ann", "password": PASSWORD}).json()["csrf"]
        client.headers["x-csrf-token"] = csrf
        rows = (shop.folder / "data/orders.csv").read_text() + "5,d,2026-05-30,1000\n"
        (shop.folder / "data/orders.csv").write_text(rows)
        key = {"idempotency-key": "once"}
        asked = client.post("/v1/runs", json={"as_of": "2026-06-02"}, headers=key)
        assert asked.status_code == 202
        assert client.post("/v1/runs", json={"as_of": "2026-06-02"}, headers=key).json()["job_id"] == 1
        assert client.post("/v1/runs", json={}, headers=key).status_code == 400, "one key, another wish"
        with client.stream("GET", asked.headers["location"] + "/events") as events:
            told = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
        assert [told[0]["state"] in ("queued", "running"), told[-1]["state"]] == [True, "done"]
        assert client.get("/v1/tierings").json()["items"][0]["customers"] == 2
        (run, *_) = client.get("/v1/runs").json()["items"]
        assert (run["state"], run["report"]["customers"]) == ("done", 3)
        assert process.poll() is None


def test_a_killed_engine_is_started_again(served: tuple[str, str, subprocess.Popen[str]], shop: Brand) -> None:
    address, token, _ = served
    with httpx2.Client(base_url=address, timeout=90) as client:
        until_ready(client)
        client.post("/v1/setup", json={"token": token, "name": "ann", "password": PASSWORD})
        client.post("/v1/session", json={"name": "ann", "password": PASSWORD})
        holder = shop.open().owner()
        assert holder["command"] == "tierwise engine"
        os.kill(holder["pid"], signal.SIGKILL)
        assert len(client.get("/v1/tierings").json()["items"]) == 3, "whoever asks meanwhile waits for the next one"
        assert shop.open().owner()["pid"] != holder["pid"]


def test_an_address_in_use(served: tuple[str, str, subprocess.Popen[str]], shop: Brand, tmp_path: Path) -> None:
    port = served[0].rpartition(":")[2]
    command = [sys.executable, "-c", "from tierwise.cli import main; main()", "--project", str(shop.folder)]
    second = subprocess.run(
        [*command, "serve", "--port", port], capture_output=True, text=True, timeout=90, check=False
    )
    assert second.returncode == 1
    assert f"port {port} is in use" in second.stderr
    assert "Traceback" not in second.stderr
