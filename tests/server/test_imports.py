"""A file through the API: uploaded, looked at, rehearsed, committed, imported by a run; and every way it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.projects import Brand, csv
from tests.server.conftest import Clock

As = Callable[[str], TestClient]
MORE = csv(
    "编号,会员,下单时间,实付金额,手机号", "9,a,2026-05-28,300,13800138000", "10,e,2026-05-29,x,", "11,f,2026-05-29,7,"
)


def sent(client: TestClient, content: bytes = MORE.encode("gb18030"), name: str = "店.csv") -> dict[str, Any]:
    found = client.post("/v1/imports", params={"name": name}, content=content)
    assert found.status_code == 201, found.text
    answer: dict[str, Any] = found.json()
    return answer


def declared(look: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = look["source"]
    columns = {"order_id": "编号", "amount": "实付金额"}
    return {**source, "streams": {"orders": {"time": "下单时间", "columns": columns}}}


def test_from_the_file_to_the_rows(as_role: As, shop: Brand) -> None:
    mine = as_role("operator")
    found = sent(mine)
    look, path = found["look"], f"/v1/imports/{found['upload_id']}"
    assert (look["encoding"], look["source"]["customer"]) == ("gb18030", "会员")
    assert "13800138000" not in str(found)
    asked = {"source": "store", "declaration": declared(look)}
    report = mine.post(f"{path}/rehearse", json=asked).json()
    assert (report["rows_read"], report["new"], report["reasons"]) == (3, 2, {"not_a_number": 1})
    assert report["quarantine"][0]["line"] == 3
    assert not (shop.folder / "data/店.csv").exists(), "nothing is the project's yet"
    done = mine.post(f"{path}/commit", json=asked)
    assert (done.status_code, done.json()["state"], done.json()["file"]) == (202, "committed", "data/店.csv")
    job = mine.get(f"/v1/jobs/{done.json()['job_id']}").json()
    assert (job["kind"], job["state"]) == ("run", "queued")
    assert mine.post(f"{path}/commit", json=asked).status_code == 400, "it is the project's already"
    assert (shop.folder / "sources/store.yaml").read_text().startswith("file: data/店.csv\n")
    mine.app.state.project.run()  # type: ignore[attr-defined]
    assert mine.get(path).json()["report"]["new"] == 2
    rows = mine.get("/v1/quarantine", params={"source": "store"}).json()
    assert (rows["total"], rows["items"][0]["reason"]) == (1, "not_a_number")
    file = mine.get("/v1/quarantine/file", params={"source": "store"})
    assert file.headers["content-disposition"] == 'attachment; filename="quarantine.csv"'
    assert "10,e,2026-05-29,x," in file.content.decode("utf-8-sig").replace('"', "")


def test_a_declared_source_gets_a_newer_file(as_role: As, shop: Brand) -> None:
    mine = as_role("operator")
    newer = (shop.folder / "data/orders.csv").read_text() + "9,a,2026-05-28,300\n"
    found = sent(mine, newer.encode(), "export.csv")
    path = f"/v1/imports/{found['upload_id']}"
    assert found["look"]["fits"] == ["orders"]
    assert mine.post(f"{path}/rehearse", json={"source": "orders"}).json()["new"] == 1
    refused = mine.post(f"{path}/commit", json={"source": "orders"})
    assert (refused.status_code, refused.json()["title"]) == (400, "there is a file `data/orders.csv` already")
    assert mine.post(f"{path}/commit", json={"source": "orders", "replace": True}).status_code == 202
    assert (shop.folder / "data/orders.csv").read_text() == newer


def test_what_is_refused_leaves_nothing_behind(as_role: As, shop: Brand, clock: Clock) -> None:
    mine = as_role("operator")
    for name in ("../x.csv", ".x.csv", "x.exe", "a/b.csv", "x", "x.csv\n", "C:x.csv", ""):
        assert mine.post("/v1/imports", params={"name": name}, content=b"a,b\n1,2\n").status_code in (400, 422), name
    for content in (b"", b"\x00\x01" * 99, b"PK\x03\x04"):
        refused = mine.post("/v1/imports", params={"name": "x.csv"}, content=content)
        assert refused.status_code in (400, 422), content[:4]
        assert refused.headers["content-type"] == "application/problem+json"
    large = mine.post("/v1/imports", params={"name": "x.csv"}, content=b"x", headers={"content-length": str(2 << 30)})
    assert large.status_code == 413
    found = sent(mine)
    path, bad = f"/v1/imports/{found['upload_id']}", {"source": "s", "declaration": {"streams": {}}}
    for form in (
        bad,
        {"source": "nobody"},
        {"source": "s", "declaration": {"customer": "会员", "streams": {"orders": {}}}},
    ):
        assert mine.post(f"{path}/rehearse", json=form).status_code in (404, 422), form
        assert mine.post(f"{path}/commit", json=form).status_code in (404, 422), form
    taken = {"source": "orders", "declaration": declared(found["look"])}
    assert mine.post(f"{path}/commit", json=taken).status_code == 412, "there is a source of this name"
    assert mine.post(f"{path}/commit", json={"source": "a/../b"}).status_code == 422
    assert not (shop.folder / "data/店.csv").exists()
    assert mine.delete(path).json()["state"] == "discarded"
    forgotten = sent(mine)
    clock.forward(hours=25)
    sent(mine, name="later.csv")
    assert mine.get(f"/v1/imports/{forgotten['upload_id']}").json()["state"] == "discarded"
    left = [place.name for place in (shop.folder / "store/uploads").rglob("*") if place.is_file()]
    assert left == ["later.csv"]
    assert len(mine.get("/v1/imports").json()["items"]) >= 3


@pytest.mark.parametrize("role", ["analyst", "staff", "machine", "auditor"])
def test_who_may_not_import(role: str, as_role: As) -> None:
    assert as_role(role).post("/v1/imports", params={"name": "x.csv"}, content=b"a,b\n1,2\n").status_code == 403
