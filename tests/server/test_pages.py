"""What the console's pages ask: the overview, catalogues with lineage, search, points, identity, requests of people."""

from __future__ import annotations

from collections.abc import Callable

from starlette.testclient import TestClient

from tests.projects import Brand

As = Callable[[str], TestClient]
CLUB = "points: {club: {adjust_alone: 100, earn: {all: {from: orders, amount: amount, per: 1, points: 1}}}}\n"


def test_the_overview(as_role: As) -> None:
    found = as_role("analyst").get("/v1/overview?days=30").json()
    assert (found["customers"], found["sales"]["now"]["amount"]) == (2, "250.00")
    (value,) = found["tierings"]
    assert (value["label"]["zh"], [row["customers"] for row in value["tiers"]]) == ("value", [1, 1, 0])
    assert value["flows"] is None, "the history begins with the only run"
    assert [row["segment"] for row in found["segments"]] == ["recent"]
    assert as_role("admin").get("/v1/overview").json()["segments"][1]["segment"] == "patients"
    assert as_role("operator").get("/v1/overview?days=0").status_code == 422


def test_each_definition_says_what_it_is_made_of(as_role: As) -> None:
    mine = as_role("analyst")
    spend = mine.get("/v1/tags/spend").json()
    assert (spend["unit"], spend["reads"]["streams"], spend["used_by"]) == ("money", ["orders"], ["value"])
    assert sum(one["customers"] for one in spend["bins"]) == 2
    assert spend["value"]["sentence"]["zh"]
    (listed,) = mine.get("/v1/tags").json()["items"]
    assert (listed["value"], listed["used_by"]) == ("sum(orders.kept_amount)", ["value"])
    value = mine.get("/v1/tierings/value").json()
    assert [(one["tier"], one["customers"]) for one in value["tiers"]] == [("high", 1), ("some", 1), ("none", 0)]
    assert value["tiers"][0]["rule"]["text"] == "spend >= 100"
    assert value["tiers"][2]["rule"]["sentence"]["en"] == "everybody else"
    recent = mine.get("/v1/segments/recent").json()
    assert (recent["customers"], recent["rule"]["tree"]["call"]) == (2, "exists")
    for path in ("/v1/tags/ill", "/v1/segments/patients", "/v1/tierings/nobody", "/v1/tags/value"):
        assert mine.get(path).status_code == 404, path
    ill = as_role("owner").get("/v1/tags/ill").json()
    assert (ill["sensitive"], ill["used_by"]) == (["health"], ["patients"])


def test_somebody_is_found(as_role: As, shop: Brand) -> None:
    mine = as_role("staff")
    (found,) = mine.get("/v1/customers/search?q=b").json()["items"]
    assert (found["customer_id"], found["value"]) == (2, "some")
    assert mine.get("/v1/customers/search?q=id:1").json()["items"][0]["customer_key"] == "a"
    assert mine.get("/v1/customers/search?q=13800138000").json()["items"] == []
    assert mine.get("/v1/customers/search?q=id:x").status_code == 400
    assert mine.get("/v1/customers/search?q=").status_code == 422


def test_points(as_role: As, shop: Brand) -> None:
    shop.write({"definitions/club.yaml": CLUB})
    mine, other = as_role("operator"), as_role("admin")
    path, first = "/v1/customers/a/points", {"idempotency-key": "k-1"}
    said = {"points": 80, "reason": "a broken bottle"}
    made = mine.post(f"{path}/adjust", json=said, headers=first).json()["entry"]
    again = mine.post(f"{path}/adjust", json=said, headers=first).json()["entry"]
    assert (made["entry_id"], again["replayed"]) == (again["entry_id"], True)
    reused = mine.post(f"{path}/adjust", json={**said, "points": 81}, headers=first)
    assert (reused.status_code, reused.json()["code"]) == (422, "key-reused")
    assert mine.post(f"{path}/adjust", json=said).status_code == 422, "a key is needed"
    spent = mine.post(f"{path}/redeem", json={"points": 30}, headers={"idempotency-key": "k-2"}).json()
    refused = mine.post(f"{path}/redeem", json={"points": 90}, headers={"idempotency-key": "k-3"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not-enough")
    back = mine.post(
        f"/v1/points/entries/{spent['entry_id']}/give-back", json={"points": 10}, headers={"idempotency-key": "k-4"}
    )
    assert back.json()["available_after"] == 60
    assert as_role("analyst").get(path).json()["available"] == 60
    assert [row["kind"] for row in mine.get(f"{path}/entries").json()["items"]] == ["give_back", "redeem", "adjust"]
    large = mine.post(f"{path}/adjust", json={"points": 500, "reason": "a jubilee"}, headers={"idempotency-key": "k-5"})
    number = large.json()["proposal"]["proposal_id"]
    assert mine.post(f"/v1/points/proposals/{number}/approve").json()["code"] == "second-person"
    assert len(mine.get("/v1/points/proposals").json()["items"]) == 1
    assert other.post(f"/v1/points/proposals/{number}/approve").json()["available_after"] == 560
    assert mine.get("/v1/points").json()["outstanding"] == 560
    assert mine.post("/v1/customers/nobody/points/redeem", json={"points": 1}, headers=first).status_code == 404


def test_what_people_ask(as_role: As, shop: Brand) -> None:
    mine = as_role("operator")
    asked = mine.post("/v1/requests", json={"customer": "b", "kind": "export", "note": "by letter"})
    assert (asked.status_code, asked.json()["due_at"][:10]) == (201, "2026-06-16")
    file = mine.post("/v1/customers/b/export")
    assert file.headers["content-disposition"] == 'attachment; filename="customer-2.json"'
    held = file.json()
    assert (held["customer_id"], len(held["rows"]["orders"]), held["requests"][0]["note"]) == (2, 2, "by letter")
    assert list((shop.folder / "store/exports").iterdir()) == []
    assert mine.app.state.project.store.exports.list() == []  # type: ignore[attr-defined]
    number = asked.json()["request_id"]
    assert mine.post(f"/v1/requests/{number}/close", json={"state": "done"}).json()["state"] == "done"
    assert mine.post(f"/v1/requests/{number}/close", json={"state": "done"}).status_code == 400
    assert mine.get("/v1/requests?state=open").json()["items"] == []
    assert (
        mine.post("/v1/requests", json={"customer": "b", "kind": "erase", "note": "a secret word"}).status_code == 201
    )
    as_role("admin").post("/v1/customers/b/erase")
    assert "a secret word" not in mine.get("/v1/requests").text
    actions = {entry["action"] for entry in as_role("auditor").get("/v1/audit?on=customer:2").json()["items"]}
    assert {"request.export", "person.export", "request.erase", "request.close"} <= actions


def test_who_is_one_person(as_role: As, shop: Brand) -> None:
    mine = as_role("operator")
    assert mine.get("/v1/identity").json()["declared"] is False
    assert mine.get("/v1/identity/reviews").json()["items"] == []
    assert mine.get("/v1/identity/reviews/7").status_code == 404
    merge = {"one": "a", "other": "b", "reason": "the same person"}
    assert mine.post("/v1/identity/merge", json=merge).json()["code"] == "bad-request", "no identity is declared"
    shop.write({"definitions/identity.yaml": "identity: {}\n"})
    done = mine.post("/v1/identity/merge", json=merge)
    assert done.status_code == 200, done.text
    assert mine.get("/v1/identity/why?one=a&other=b").json()["same"] is True
    assert mine.post("/v1/identity/merge", json={**merge, "reason": ""}).status_code == 422
    parted = mine.post("/v1/identity/split", json={"customer": "a", "records": ["b"], "reason": "two after all"})
    assert parted.status_code == 200, parted.text
    assert mine.get("/v1/identity/why?one=a&other=b").json()["same"] is False
    assert as_role("analyst").post("/v1/identity/merge", json=merge).status_code == 403
