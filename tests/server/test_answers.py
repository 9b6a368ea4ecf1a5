"""What the API answers: sizes, one customer, the past, counts by a rule, rows as they came."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from tests.projects import Brand

As = Callable[[str], TestClient]


def test_sizes(as_role: As) -> None:
    rows = as_role("analyst").get("/v1/tierings").json()["items"]
    assert [(row["tier"], row["customers"], row["label_zh"]) for row in rows] == [
        ("high", 1, "高"), ("some", 1, "some"), ("none", 0, "none"),
    ]  # fmt: skip
    assert {row["state"] for row in rows} == {"fresh"}
    (recent,) = as_role("machine").get("/v1/segments").json()["items"]
    assert (recent["segment"], recent["customers"]) == ("recent", 2)


def test_pages_of_customers(as_role: As) -> None:
    mine = as_role("operator")
    first = mine.get("/v1/customers?limit=1&columns=spend&columns=value").json()
    assert [(row["customer_key"], row["spend"]) for row in first["items"]] == [("a", "200.00")]
    second = mine.get("/v1/customers", params={"limit": 1, "cursor": first["next"]}).json()
    assert ([row["customer_key"] for row in second["items"]], second["next"]) == (["b"], None)
    assert len(mine.get("/v1/customers?segment=recent").json()["items"]) == 2
    (some,) = mine.get("/v1/customers?tiering=value&tier=some").json()["items"]
    assert some["customer_key"] == "b"
    for query, status in (
        ("cursor=nonsense", 400), ("cursor=bnVsbA", 400), ("limit=0", 422), ("limit=1001", 422), ("segment=recnt", 404),
        ("tier=some", 400), ("tiering=value&tier=x", 404), ("columns=nobody", 404),
        ("segment=recent) or (true", 404), ('columns=spend"%20from%20x', 404),
    ):  # fmt: skip
        refused = mine.get(f"/v1/customers?{query}")
        assert refused.status_code == status, query
        assert refused.headers["content-type"] == "application/problem+json"
    assert mine.get("/v1/customers?segment=recnt").json()["detail"] == "did you mean `recent`?"


def test_one_customer(as_role: As) -> None:
    mine = as_role("staff")
    found = mine.get("/v1/customers/b").json()
    (tiering,) = found["tierings"]
    assert (found["customer_id"], tiering["tier"]) == (2, "some")
    what = [item["what"] for item in mine.get("/v1/customers/id:2/timeline").json()["items"]]
    assert what.count("orders") == 2
    assert what[0] == "membership"
    nobody = mine.get("/v1/customers/nobody")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown-name")
    looked = as_role("auditor").get("/v1/audit?on=customer:2").json()["items"]
    assert {entry["action"] for entry in looked} == {"customer.show", "customer.timeline"}
    assert {entry["actor"] for entry in looked} == {"key:test staff"}


def test_expressions(as_role: As) -> None:
    mine = as_role("analyst")
    good = mine.post("/v1/expressions/check", json={"text": "spend>100 and count(orders) >= 1"}).json()
    assert (good["valid"], good["text"], good["kind"]) == (True, "spend > 100 and count(orders) >= 1", "boolean")
    assert "消费" in good["sentence"]["zh"]
    again = mine.post("/v1/expressions/check", json={"tree": good["tree"]}).json()
    assert again["text"] == good["text"]
    for text, code in (("spend > ", "syntax"), ("spned > 1", "unknown-name"), ("spend > 'x'", "kind"), ("", "syntax")):
        bad = mine.post("/v1/expressions/check", json={"text": text}).json()
        assert (bad["valid"], bad["problems"][0]["code"]) == (False, code), text
    assert mine.post("/v1/expressions/check", json={"tree": {"op": "nonsense"}}).json()["valid"] is False
    counted = mine.post("/v1/expressions/estimate", json={"text": "spend > 10 and spend > 100"}).json()
    assert [step["count"] for step in counted["waterfall"]] == [2, 2, 1]
    wrong = mine.post("/v1/expressions/estimate", json={"text": "spend >"})
    assert (wrong.status_code, wrong.json()["problems"][0]["code"]) == (422, "syntax")


def test_the_past(as_role: As) -> None:
    mine = as_role("analyst")
    assert mine.get("/v1/history/count?what=value.high&on=2026-06-01").json()["customers"] == 1
    early = mine.get("/v1/history/count?what=value.high&on=2020-01-01")
    assert early.status_code == 400
    moved = mine.get("/v1/history/migration?tiering=value&earlier=2026-06-01&later=2026-06-01").json()["items"]
    assert {(row["was"], row["is"], row["customers"]) for row in moved} == {("high", "high", 1), ("some", "some", 1)}
    assert mine.get("/v1/history/migration?tiering=value&earlier=soon&later=2026-06-01").status_code == 400
    sizes = mine.get("/v1/history/sizes?what=recent&first=2026-06-01&last=2026-06-01").json()["items"]
    assert sizes[0]["customers"] == 2


def test_rows_as_they_came(as_role: As) -> None:
    found = as_role("operator").get("/v1/quarantine").json()
    assert (found["total"], found["items"][0]["reason"], found["items"][0]["line"]) == (1, "not_a_date", 5)
    admin = as_role("admin")
    rows = admin.post("/v1/sql", json={"query": "select count(*) as n from orders"}).json()
    assert rows == {"columns": ["n"], "rows": [{"n": 3}]}
    for query in ("delete from orders", "select * from read_csv('/etc/passwd')", "select", "select 1; select 2"):
        assert admin.post("/v1/sql", json={"query": query}).status_code == 400, query


def test_a_person(as_role: As, shop: Brand) -> None:
    assert as_role("staff").get("/v1/customers/a/person").json()["customer_id"] == 1
    admin = as_role("admin")
    assert admin.post("/v1/customers/a/erase?dry_run=true").json()["dry_run"] is True
    receipt = admin.post("/v1/customers/a/erase").json()
    assert receipt["customer_id"] == 1
    assert as_role("operator").get("/v1/customers/a").status_code in (404, 410)


# -- what cannot be understood -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"text": 1e999}',
        b'{"text": "\xff"}',
        b'{"text": NaN}',
        b"null",
        b"[" * 100_000,
        b'{"text": {}}',
    ],
    ids=["nothing", "half", "list", "infinite", "no text", "NaN", "null", "deep", "an object"],
)
def test_a_body_that_is_none(as_role: As, body: bytes) -> None:
    owner = as_role("owner")
    for path in ("/v1/expressions/check", "/v1/expressions/estimate", "/v1/runs", "/v1/sql", "/v1/users"):
        found = owner.post(path, content=body, headers={"content-type": "application/json"})
        assert found.status_code in (400, 422), (path, body[:20], found.status_code)
        assert found.headers["content-type"] == "application/problem+json"


def test_what_is_too_large_is_not_read(as_role: As) -> None:
    refused = as_role("admin").post("/v1/sql", content=b"x" * (5 << 20))
    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")


def test_what_is_not_there(client: TestClient) -> None:
    nowhere = client.get("/v1/nowhere")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not-found")
    assert client.put("/health").json()["code"] == "method-not-allowed"
    assert nowhere.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in nowhere.headers["content-security-policy"]


def test_ready(client: TestClient, shop: Brand) -> None:
    assert client.get("/health").json() == {"state": "ok"}
    shop.write({"definitions/more.yaml": "tags: {x: nonsense(}\n"})
    found = client.get("/ready")
    assert (found.status_code, found.json()["parts"]["definitions"]) == (503, "definitions-invalid")
