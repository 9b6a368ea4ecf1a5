"""Second factors: a code of the authenticator lets somebody in once; without one an owner may do nothing on a server."""

from __future__ import annotations

import base64
from typing import Any

from starlette.testclient import TestClient

from tests.projects import Brand
from tests.server.conftest import Clock
from tests.server.test_access import PASSWORD, first_user
from tierwise.server import create_app
from tierwise.server.second_factor import STEP_SECONDS, code_at, step_of


def code(secret: str, clock: Clock, ahead: int = 0) -> str:
    plain = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return code_at(plain, int(clock().timestamp()) // STEP_SECONDS + ahead)


def logged_in(client: TestClient, **more: str) -> Any:
    found = client.post("/v1/session", json={"name": "ann", "password": PASSWORD, **more})
    if found.status_code == 200:
        client.headers["x-csrf-token"] = found.json()["csrf"]
    return found


def enrolled(client: TestClient, clock: Clock) -> str:
    first_user(client)
    assert logged_in(client).status_code == 200
    begun = client.post("/v1/second-factor", json={"password": PASSWORD}).json()
    assert begun["address"].startswith("otpauth://totp/Tierwise:ann?")
    secret = str(begun["secret"])
    assert client.post("/v1/second-factor/confirm", json={"code": "000000"}).status_code == 400
    assert client.post("/v1/second-factor/confirm", json={"code": code(secret, clock)}).json() == {"confirmed": True}
    return secret


def test_a_code_is_needed_and_taken_once(client: TestClient, clock: Clock) -> None:
    secret = enrolled(client, clock)
    missing = logged_in(client)
    assert (missing.status_code, missing.json()["second_factor"]) == (401, "needed")
    assert logged_in(client, code=code(secret, clock)).status_code == 401, "it was used to confirm"
    clock.forward(seconds=60)
    right = code(secret, clock)
    assert logged_in(client, code="12345").json()["second_factor"] == "wrong"
    assert logged_in(client, code=f"{right[:3]} {right[3:]}").status_code == 200
    assert logged_in(client, code=right).status_code == 401
    assert client.post("/v1/second-factor", json={"password": PASSWORD}).status_code == 400, "there is one"
    assert client.patch("/v1/users/ann", json={"second_factor": False}).status_code == 200
    assert logged_in(client).status_code == 200


def test_wrong_codes_lock_the_user_out(client: TestClient, clock: Clock) -> None:
    secret = enrolled(client, clock)
    clock.forward(minutes=1)
    for _ in range(8):
        logged_in(client, code="999999" if code(secret, clock) != "999999" else "999998")
    assert logged_in(client, code=code(secret, clock)).status_code == 401
    clock.forward(minutes=16)
    assert logged_in(client, code=code(secret, clock)).status_code == 200


def test_on_a_server_an_owner_may_do_nothing_without_one(shop: Brand, clock: Clock) -> None:
    app = create_app(shop.open(), clock, secure=True, setup_token="first")
    with TestClient(app, base_url="https://shop.example") as client:
        first_user(client)
        begun = logged_in(client)
        assert "secure" in begun.headers["set-cookie"].lower()
        assert begun.headers["strict-transport-security"] == "max-age=31536000"
        assert client.get("/v1/tierings").json()["second_factor"] == "missing"
        assert client.get("/v1/me").json()["rights"] == []
        assert client.post("/v1/second-factor", json={"password": "something else"}).status_code == 403
        secret = client.post("/v1/second-factor", json={"password": PASSWORD}).json()["secret"]
        client.post("/v1/second-factor/confirm", json={"code": code(secret, clock)})
        assert client.get("/v1/tierings").status_code == 200


def test_a_clock_may_be_half_a_minute_off(clock: Clock) -> None:
    secret = bytes(range(20))
    now = int(clock().timestamp()) // STEP_SECONDS
    assert [step_of(secret, code_at(secret, now + off), clock()) for off in (-2, -1, 0, 1, 2)] == [
        None, now - 1, now, now + 1, None,
    ]  # fmt: skip


def test_who_guesses_is_held_back(client: TestClient, clock: Clock) -> None:
    codes = [client.get("/v1/me", headers={"authorization": f"Bearer tw_{n}"}).status_code for n in range(31)]
    assert (codes.count(401), codes[-1]) == (30, 429)
    late = client.post("/v1/session", json={"name": "ann", "password": PASSWORD})
    assert (late.status_code, late.json()["code"], late.headers["retry-after"]) == (429, "too-many", "2")
    clock.forward(seconds=2)
    assert client.get("/v1/me", headers={"authorization": "Bearer tw_x"}).status_code == 401
