"""Events sent to the API, until somebody is in another tier by them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.projects import NOW, TIERS, Brand
from tests.server.conftest import Clock
from tierwise.server.ingest.absorber import Absorber
from tierwise.server.ingest.log import EventLog
from tierwise.store import SYSTEM, Segment

TILL = """\
live: true
customer: member
row_key: id
streams:
  orders: {time: at, columns: {order_id: id, amount: paid}}
"""
WEB = """\
live: true
customer: userId
row_key: messageId
streams:
  events: {where: 'type == "track"', time: timestamp, columns: {type: event}}
"""


@pytest.fixture
def machine(shop: Brand, as_role: Callable[[str], TestClient]) -> TestClient:
    shop.write({"sources/till.yaml": TILL, "sources/web.yaml": WEB})
    return as_role("machine")


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def tier_of(client: TestClient, customer: str) -> str:
    found = client.get(f"/v1/customers/{customer}")
    return str(found.json()["tierings"][0]["tier"]) if found.status_code == 200 else ""


def test_an_event_moves_somebody_once_however_often_it_is_sent(machine: TestClient) -> None:
    order = {"id": "A-1", "member": "b", "at": "2026-05-31", "paid": 60.0}
    said = {"source": "till", "events": [order, {"id": "", "member": "b"}]}
    assert tier_of(machine, "b") == "some"
    for _ in range(3):
        answer = machine.post("/v1/events", json=said)
        assert answer.status_code == 200
        assert (answer.json()["accepted"], answer.json()["refusals"][0]["path"]) == (1, "events.1.id")
    until(lambda: tier_of(machine, "b") == "high")
    state = machine.app.state.ingest.state  # type: ignore[attr-defined]
    until(lambda: state() == {"state": "ok", "backlog_bytes": 0})
    (spend,) = [tag["value"] for tag in machine.get("/v1/customers/b").json()["tags"] if tag["tag"] == "spend"]
    assert float(spend) == 120, "50 and 10 there were, and 60 once"


def test_an_event_library_is_understood_by_its_write_key(machine: TestClient, shop: Brand) -> None:
    store = machine.app.state.project.store  # type: ignore[attr-defined]
    secret, _ = store.accounts.add_key("web", ["browser"], SYSTEM, NOW)
    basic = {"authorization": "Basic " + base64.b64encode(f"{secret}:".encode()).decode()}
    event = {"messageId": "m-1", "userId": "b", "event": "Viewed", "timestamp": "2026-05-30T10:00:00Z"}
    assert machine.post("/v1/track", json=event, headers=basic).json()["success"]
    batch = {"batch": [{**event, "type": "track"}, {**event, "type": "track", "messageId": "m-2"}]}
    assert machine.post("/v1/batch", json=batch, headers=basic).json()["accepted"] == 2
    project = machine.app.state.project  # type: ignore[attr-defined]
    until(lambda: len(_events(project.lake.read("events"))) == 2)
    assert _events(project.lake.read("events")) == ["Viewed", "Viewed"]
    assert machine.get("/v1/tierings", headers=basic).status_code == 403, "everybody can read a browser's key"
    assert machine.get("/v1/me", headers={"authorization": "Basic !"}).status_code == 401
    assert machine.post("/v1/track", json=event).json()["code"] == "bad-request", "whose events are these?"


def _events(found: object) -> list[str]:
    return [] if found is None else [str(one) for one in found.column("type").to_pylist()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "bad-request"), ({"source": "till"}, "bad-request"), ({"source": "tll", "events": [{}]}, "unknown-name"),
     ({"source": "orders", "events": [{}]}, "unknown-name"), ({"source": "till", "rows": []}, "bad-request")],
)  # fmt: skip
def test_what_cannot_be_taken_says_why(machine: TestClient, body: dict[str, object], code: str) -> None:
    refused = machine.post("/v1/events", json=body)
    assert (refused.status_code, refused.json()["code"]) == (404 if code == "unknown-name" else 400, code)
    assert refused.headers["content-type"] == "application/problem+json"


def test_events_that_nothing_tells_apart_are_not_taken(machine: TestClient, shop: Brand) -> None:
    shop.write({"sources/till.yaml": TILL.replace("row_key: id\n", "")})
    refused = machine.post("/v1/events", json={"source": "till", "events": [{"id": "a"}]})
    assert "row_key" in refused.json()["detail"]


class _Killed(Exception):
    pass


class _KilledBeforeItIsNoted(EventLog):
    def absorbed(self, segment: Segment, offset: int) -> None:
        raise _Killed


def test_what_was_absorbed_before_a_kill_has_no_second_effect(tmp_path: Path) -> None:
    shop = Brand(tmp_path / "shop", {"sources/till.yaml": TILL, "definitions/shop.yaml": TIERS})
    clock, folder = Clock(), tmp_path / "log"
    record = b'{"source":"till","rows":[{"id":"%d","member":"a","at":"2026-05-31","paid":"60"}]}'
    with shop.open() as project:
        log = _KilledBeforeItIsNoted(folder, project.store, clock)
        log.append(record % 1).result(30)
        with pytest.raises(_Killed):
            Absorber(project, log, clock).step()
        log.append(record % 2).result(30)
        log.close()
        again = EventLog(folder, project.store, clock)
        absorber = Absorber(project, again, clock)
        assert (absorber.step(), absorber.step()) == (2, 0)
        assert [row["amount"] for row in project.table("orders").to_pylist()] == [60, 60]
        assert list(folder.glob("*.log")) == [], "what is in the lake is kept nowhere else"
        assert project.store.segments.all() == []
        again.append(record % 3).result(30)
        absorber.step()
        clock.forward(minutes=6)
        absorber.step()
        absorber.step()
        assert list(folder.glob("*.log")) == [], "nor in a segment that was written for long enough"
        again.append(record % 4).result(30)
        assert absorber.step() == 1
        again.close()
        assert len(project.table("orders")) == 4
