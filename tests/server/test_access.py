"""Who may do what: every route and role, sessions and keys, and what nobody is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from tests.server.conftest import Clock
from tierwise.server.access import MAY, rights_required
from tierwise.server.app import ROUTERS
from tierwise.server.routers import OWN, PUBLIC
from tierwise.store.accounts import ROLES

PASSWORD = "correct horse battery"


def routes(client: TestClient) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield (method, path, rights) of every route there is."""
    for module in ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            rights = rights_required(one.call for one in _all_dependencies(route.dependant))
            for method in route.methods or ():
                yield method, route.path, rights


def _all_dependencies(dependant: Any) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one
        yield from _all_dependencies(one)


def asked(client: TestClient, method: str, path: str) -> int:
    for name, value in (("customer", "id:1"), ("path:path", "definitions/shop.yaml"), ("name", "nobody")):
        path = path.replace(f"{{{name}}}", value)
    path = path.replace("{run_id}", "1")
    path = re.sub(r"\{\w+_id\}", "99", path)
    return client.request(method, path, json={} if method in ("POST", "PUT", "PATCH") else None).status_code


def test_every_route_says_what_it_needs(client: TestClient) -> None:
    found = {(method, path): rights for method, path, rights in routes(client)}
    assert {route for route, rights in found.items() if not rights} == PUBLIC | OWN
    assert all(len(rights) <= 1 for rights in found.values())
    described = client.get("/v1/openapi.json").json()["paths"]
    served = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert served == {(method, path.replace(":path", "")) for method, path in found}


def test_nobody_may_do_anything(client: TestClient) -> None:
    for method, path, _ in routes(client):
        if (method, path) not in PUBLIC:
            assert asked(client, method, path) == 401, (method, path)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_it_may_and_nothing_else(
    role: str, client: TestClient, as_role: Callable[[str], TestClient]
) -> None:
    mine = as_role(role)
    for method, path, rights in routes(client):
        if (method, path) in PUBLIC or not rights:
            continue
        status = asked(mine, method, path)
        assert (status == 403) == (not rights <= MAY[role]), (role, method, path, status)
        assert status < 500, (role, method, path, status)


def test_what_each_role_may() -> None:
    assert set(MAY) == set(ROLES)
    assert "people.read" not in MAY["analyst"]
    assert {role for role, rights in MAY.items() if "sensitive.read" in rights} == {"owner", "admin"}
    assert {role for role, rights in MAY.items() if "sql" in rights} == {"owner", "admin"}


# -- users and sessions ------------------------------------------------------------------------------------------------


def first_user(client: TestClient) -> None:
    said = {"token": "first", "name": "ann", "password": PASSWORD}
    assert client.post("/v1/setup", json=said).status_code == 201


def test_the_first_user_is_made_once(client: TestClient) -> None:
    wrong = client.post("/v1/setup", json={"token": "guess", "name": "eve", "password": PASSWORD})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "forbidden")
    first_user(client)
    again = client.post("/v1/setup", json={"token": "first", "name": "eve", "password": PASSWORD})
    assert again.status_code == 403


def test_a_session_reads_and_with_its_token_writes(client: TestClient, clock: Clock) -> None:
    first_user(client)
    assert client.post("/v1/session", json={"name": "ann", "password": "wrong wrong wrong"}).status_code == 401
    begun = client.post("/v1/session", json={"name": "ann", "password": PASSWORD})
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/v1/tierings").status_code == 200
    new = {"name": "bob", "roles": ["staff"], "password": PASSWORD}
    assert client.post("/v1/users", json=new).status_code == 403, "another page cannot know the token"
    token = {"x-csrf-token": begun.json()["csrf"]}
    assert client.post("/v1/users", json=new, headers=token).status_code == 201
    assert PASSWORD not in client.get("/v1/users").text
    clock.forward(hours=13)
    assert client.get("/v1/tierings").status_code == 401, "nobody used it for half a day"


def test_logging_out(client: TestClient) -> None:
    first_user(client)
    csrf = client.post("/v1/session", json={"name": "ann", "password": PASSWORD}).json()["csrf"]
    assert client.delete("/v1/session").status_code == 403
    cookie = client.cookies["tierwise_session"]
    assert client.delete("/v1/session", headers={"x-csrf-token": csrf}).status_code == 204
    client.cookies.set("tierwise_session", cookie)
    assert client.get("/v1/session").status_code == 401


def test_too_many_wrong_passwords(client: TestClient, clock: Clock) -> None:
    first_user(client)
    for _ in range(8):
        client.post("/v1/session", json={"name": "ann", "password": "wrong wrong wrong"})
    right = {"name": "ann", "password": PASSWORD}
    assert client.post("/v1/session", json=right).status_code == 401
    clock.forward(minutes=16)
    assert client.post("/v1/session", json=right).status_code == 200


def test_nobody_gives_more_than_they_have(client: TestClient, as_role: Callable[[str], TestClient]) -> None:
    admin = as_role("admin")
    owner = {"name": "eve", "roles": ["owner"], "password": PASSWORD}
    assert admin.post("/v1/users", json=owner).status_code == 403
    assert admin.post("/v1/keys", json={"name": "k", "roles": ["owner"]}).status_code == 403
    assert admin.post("/v1/users", json={**owner, "roles": ["king"]}).json()["code"] == "bad-request"
    first_user(client)
    assert admin.patch("/v1/users/ann", json={"disabled": True}).status_code == 403
    mine = as_role("owner")
    last = mine.patch("/v1/users/ann", json={"disabled": True})
    assert (last.status_code, last.json()["title"]) == (400, "nobody would be left who owns this project")


def test_a_key_ends(as_role: Callable[[str], TestClient], client: TestClient, clock: Clock) -> None:
    admin = as_role("admin")
    made = admin.post("/v1/keys", json={"name": "shop", "roles": ["machine"], "days": 1}).json()
    assert made["secret"] not in admin.get("/v1/keys").text
    mine = {"authorization": f"Bearer {made['secret']}"}
    assert client.get("/v1/me", headers=mine).json()["actor"] == "key:shop"
    clock.forward(days=2)
    assert client.get("/v1/me", headers=mine).status_code == 401
    other = admin.post("/v1/keys", json={"name": "app", "roles": ["machine"]}).json()
    mine = {"authorization": f"Bearer {other['secret']}"}
    assert client.get("/v1/me", headers=mine).status_code == 200
    admin.delete(f"/v1/keys/{other['key_id']}")
    refused = client.get("/v1/me", headers=mine)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


# -- what is sensitive -------------------------------------------------------------------------------------------------


def test_what_is_sensitive_is_nowhere_for_others(as_role: Callable[[str], TestClient]) -> None:
    analyst, admin = as_role("analyst"), as_role("admin")
    for path, name, key in (("/v1/tags", "ill", "tag"), ("/v1/segments", "patients", "segment")):
        assert name in {row[key] for row in admin.get(path).json()["items"]}
        assert name not in {row[key] for row in analyst.get(path).json()["items"]}
    assert "ill" not in analyst.get("/v1/customers").json()["items"][0]
    assert "ill" in admin.get("/v1/customers").json()["items"][0]
    one = analyst.get("/v1/customers/b").json()
    assert (one["hidden"], [tag["tag"] for tag in one["tags"]]) == (2, ["spend"])
    assert analyst.get("/v1/customers?segment=patients").status_code == 404
    assert analyst.get("/v1/customers?columns=ill").status_code == 404
    for text in ("ill", "patients and spend > 1", 'was_in("patients", on="2026-05-01")'):
        found = analyst.post("/v1/expressions/estimate", json={"text": text})
        assert found.status_code in (403, 422), text
        assert found.json().get("title", "").startswith(("`ill`", "`patients`")) or found.status_code == 422
    assert analyst.get("/v1/history/count?what=patients&on=2026-06-01").status_code == 404
    names = {row["name"] for row in analyst.get("/v1/language").json()["names"]}
    assert names == {"spend", "value", "recent"}
