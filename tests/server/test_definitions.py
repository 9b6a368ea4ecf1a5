"""Definition files through the API: the whole project is checked first, nobody's edit is lost, nothing leaves the folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from tests.projects import Brand

As = Callable[[str], TestClient]
FILE = "/v1/definitions/files/definitions/shop.yaml"


def test_what_is_declared(as_role: As, shop: Brand) -> None:
    found = as_role("analyst").get("/v1/definitions").json()
    assert [one["path"] for one in found["files"]] == ["tierwise.yaml", "sources/orders.yaml", "definitions/shop.yaml"]
    assert (found["digest"], found["problems"]) == (shop.open().definitions.digest, [])


def test_an_edit_keeps_what_people_wrote(as_role: As, shop: Brand) -> None:
    mine = as_role("analyst")
    read = mine.get(FILE)
    text = "# 顾客价值\n" + read.json()["text"].replace(">= 100", ">= 150")
    saved = mine.put(FILE, json={"text": text}, headers={"if-match": read.headers["etag"]})
    assert (saved.status_code, saved.json()["problems"]) == (200, [])
    assert (shop.folder / "definitions/shop.yaml").read_text() == text
    assert mine.get(FILE).headers["etag"] == saved.headers["etag"] != read.headers["etag"]
    (move,) = [one for one in mine.get("/v1/diff").json()["items"] if "value" in str(one)]
    assert "150" in str(move)
    (entry,) = as_role("auditor").get("/v1/audit?on=definitions:definitions/shop.yaml").json()["items"]
    assert (entry["action"], entry["actor"]) == ("definitions.save", "key:test analyst")
    assert mine.get("/v1/tierings").json()["items"][0]["state"] == "stale"


def test_of_two_who_edit_one_the_second_is_told(as_role: As, shop: Brand) -> None:
    mine = as_role("analyst")
    etag, text = mine.get(FILE).headers["etag"], mine.get(FILE).json()["text"]
    assert mine.put(FILE, json={"text": text + "# one\n"}, headers={"if-match": etag}).status_code == 200
    late = mine.put(FILE, json={"text": text + "# two\n"}, headers={"if-match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "outdated")
    assert mine.put(FILE, json={"text": text}).status_code == 412, "and who does not say which version is meant"
    assert (shop.folder / "definitions/shop.yaml").read_text().endswith("# one\n")


def test_what_would_be_wrong_is_not_saved(as_role: As, shop: Brand) -> None:
    mine = as_role("analyst")
    before = (shop.folder / "definitions/shop.yaml").read_text()
    for text, code in (
        ("tags: {x: 'nonsense('}", "syntax"), ("tags: {spend: count(nobody)}", "unknown-name"), ("tags: [", "yaml"),
        ("segments: {recent: spend > 1}", "unknown-name"),
    ):  # fmt: skip
        refused = mine.put(FILE, json={"text": text}, headers={"if-match": mine.get(FILE).headers["etag"]})
        assert refused.status_code == 422, text
        problem = refused.json()["problems"][0]
        assert (problem["code"], problem["where"]["file"]) == (code, "definitions/shop.yaml")
        assert problem["where"]["line"] >= 1
    assert (shop.folder / "definitions/shop.yaml").read_text() == before


def test_a_new_file_and_its_end(as_role: As, shop: Brand) -> None:
    mine, new = as_role("operator"), "/v1/definitions/files/definitions/teams/east.yaml"
    text = {"text": "segments: {big: spend > 500}\n"}
    first = {"if-none-match": "*"}
    looked = mine.put(new, params={"dry_run": True}, json=text, headers=first)
    assert (looked.status_code, (shop.folder / "definitions/teams").exists()) == (200, False)
    made = mine.put(new, json=text, headers=first)
    assert made.status_code == 200
    assert mine.put(new, json=text, headers=first).status_code == 412, "it is there already"
    twice = mine.put(FILE.replace("shop", "west"), json=text, headers=first)
    assert twice.json()["problems"][0]["code"] == "duplicate-name"
    assert mine.delete(new, headers={"if-match": made.headers["etag"]}).status_code == 200
    assert not (shop.folder / "definitions/teams/east.yaml").exists()
    assert mine.get(new).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "..%2F..%2Fetc%2Fpasswd", "definitions/../../outside.yaml", "store/store.db", "definitions/.hidden.yaml",
        "/etc/passwd", "data/orders.csv", "definitions/x.sh", "definitions/sub/../../lake/x.yaml", "tierwise.yaml.bak",
        "definitions\\..\\x.yaml",
    ],
)  # fmt: skip
def test_nothing_else_is_read_or_written(name: str, as_role: As, shop: Brand) -> None:
    mine = as_role("admin")
    path = f"/v1/definitions/files/{name}"
    assert mine.get(path).status_code in (400, 404)
    assert mine.put(path, json={"text": "x"}, headers={"if-none-match": "*"}).status_code in (400, 404)


def test_a_link_does_not_lead_out(as_role: As, shop: Brand) -> None:
    outside = shop.folder.parent / "outside.yaml"
    outside.write_text("tags: {}\n")
    (shop.folder / "definitions/link.yaml").symlink_to(outside)
    assert as_role("admin").get("/v1/definitions/files/definitions/link.yaml").status_code == 400


def test_the_settings_stay(as_role: As) -> None:
    mine, path = as_role("admin"), "/v1/definitions/files/tierwise.yaml"
    etag = mine.get(path).headers["etag"]
    assert mine.delete(path, headers={"if-match": etag}).status_code == 400
    too_large = mine.put(path, json={"text": "#" * (1 << 20) + "\n"}, headers={"if-match": etag})
    assert too_large.status_code in (400, 422)
