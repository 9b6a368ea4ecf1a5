"""Consent of a whole project: declared, recorded, withdrawn, loaded from files with errors, merged, exported, erased."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from tests.projects import RECORDS, Brand, csv
from tierwise.cli import main
from tierwise.errors import BadRequest, KeyReused, TierwiseError, UnknownName

CONSENT = """\
consent:
  channels: {sms: 短信, wechat: 微信}
  purposes:
    marketing:
      channels: [sms, wechat]
      lasts: 2y
      texts:
        "2025-01": {zh: 我同意接收优惠信息, since: 2025-01-01}
        "2026-01": {zh: 我同意接收优惠与活动信息, since: 2026-01-01}
    health_advice:
      sensitive: health
      texts: {"1": {zh: 我单独同意使用我的健康信息, en: I separately agree}}
identity:
  identifiers: {phone: {}}
tags:
  town: city
"""
HEAD = "customer,purpose,state,said_at,channel,text,evidence"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    brand = Brand(
        tmp_path_factory.mktemp("consent"),
        {
            "definitions/consent.yaml": CONSENT,
            "sources/customers.yaml": RECORDS,
            "data/customers.csv": csv("id,city", "a,x", "b,y", "c,z"),
        },
    )
    brand.receive()
    return brand


@pytest.fixture
def brand(made: Brand, tmp_path: Path) -> Brand:
    return made.copy(tmp_path / "brand")


def states(brand: Brand, customer: str = "a", day: float = 0) -> dict[tuple[str, str], str]:
    with brand.open(day) as project:
        found = project.consent.show(customer)
    return {(one["purpose"], one["channel"]): one["state"] for one in found["states"]}


def test_a_grant_takes_the_newest_text_and_lasts_as_declared(brand: Brand) -> None:
    assert set(states(brand).values()) == {"silent"}
    with brand.open() as project:
        [sms] = project.consent.record("a", "marketing", ["sms"], key="form 1")
        [old] = project.consent.record("a", "marketing", ["wechat"], key="form 2", said_at="2025-06-01 09:00")
        [own] = project.consent.record("a", "health_advice", key="form 3", evidence="page 7")
    assert (sms.text_version, str(sms.expires_at)) == ("2026-01", "2028-06-01 04:00:00+00:00")
    assert (old.text_version, str(old.said_at)) == ("2025-01", "2025-06-01 01:00:00+00:00")
    assert (own.text_version, own.sensitive, own.channel, own.expires_at) == ("1", "health", "", None)
    assert states(brand, day=366)["marketing", "wechat"] == "expired"
    assert states(brand, day=366)["marketing", "sms"] == "granted"


def test_withdrawing_is_as_easy_as_granting(brand: Brand) -> None:
    with brand.open() as project:
        project.consent.record("a", "marketing", ["sms", "wechat"], key="form 1")
        project.consent.record("a", "health_advice", key="form 2", evidence="page 7")
        project.consent.withdraw("a", "", ["sms"], key="reply TD")
        assert [one.channel for one in project.consent.withdraw("a", "", ["sms"], key="reply TD")] == ["sms"]
    assert states(brand) == {
        ("marketing", "sms"): "withdrawn",
        ("marketing", "wechat"): "granted",
        ("health_advice", ""): "granted",
    }
    with brand.open() as project:
        project.consent.withdraw("a", key="call")
        project.consent.withdraw("b", "marketing", key="never asked")
    assert set(states(brand).values()) == {"withdrawn"}
    assert states(brand, "b")["marketing", "sms"] == "withdrawn", "who refuses before being asked has refused"
    brand.write({"definitions/consent.yaml": CONSENT.replace("marketing:", "offers:")})
    with brand.open() as project:
        again = project.consent.withdraw("a", "marketing", key="once more")
    assert {one.channel for one in again} == {"sms", "wechat"}, "what is no longer declared can be withdrawn"


#: Whom, what, by which channels and in which words, and how it is refused.
IMPOSSIBLE: tuple[tuple[str, str, list[str], dict[str, str], str], ...] = (
    ("z", "marketing", ["sms"], {}, "no customer `z`"),
    ("a", "marketng", ["sms"], {}, "did you mean `marketing`"),
    ("a", "marketing", [], {}, "granted by channel"),
    ("a", "marketing", ["smss"], {}, "did you mean `sms`"),
    ("a", "health_advice", ["sms"], {"evidence": "p"}, "agreed to as a whole"),
    ("a", "health_advice", [], {}, "needs evidence"),
    ("a", "marketing", ["sms"], {"text": "2024-01"}, "no version `2024-01`"),
    ("a", "marketing", ["sms"], {"text": "2026-01", "said_at": "2025-06-01"}, "shown since 2026-01-01"),
    ("a", "marketing", ["sms"], {"said_at": "2024-06-01"}, "no text of `marketing` had been shown"),
    ("a", "marketing", ["sms"], {"said_at": "yesterday"}, "is no instant"),
    ("a", "marketing", ["sms"], {"said_at": "2026-06-02"}, "in the future"),
    ("a", "marketing", ["sms"], {"until": "2026-05-01"}, "in the past"),
    ("a", "marketing", ["sms"], {"until": "2029-01-01"}, "would end later"),
    ("a", "marketing", ["sms"], {"said_at": "2025-06-01", "until": "2026-01-01"}, "have run out on 2026-01-01"),
    ("a", "marketing", ["sms"], {"until": "9999-12-31"}, "would end later|no instant"),
)


def test_what_cannot_be_is_refused(brand: Brand) -> None:
    with brand.open() as project:
        for customer, purpose, channels, more, says in IMPOSSIBLE:
            with pytest.raises((BadRequest, UnknownName)) as refused:
                project.consent.record(customer, purpose, channels, key="k", **more)
            assert re.search(says, str(refused.value)), str(refused.value)
    assert set(states(brand).values()) == {"silent"}


def test_without_a_declaration_nobody_is_asked(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/customers.yaml": RECORDS, "data/customers.csv": csv("id,city", "a,x")})
    brand.receive()
    with brand.open() as project, pytest.raises(UnknownName, match="no consent is declared"):
        project.consent.record("a", "marketing", ["sms"], key="k")
    assert states(brand) == {}


ROWS = (
    "a,marketing,granted,2025-06-01 09:00,sms,2025-01,form 1",
    "a,marketing,withdrawn,2025-07-01,sms,,",
    "b,marketing,granted,2026-02-01,wechat,,form 2",
    "b,health_advice,granted,2026-02-01,,1,page 7",
    "z,marketing,granted,2026-02-01,sms,,form 3",
    "b,marketng,granted,2026-02-01,sms,,form 4",
    "b,marketing,granted,2026-02-01,fax,,form 5",
    "b,marketing,yes,2026-02-01,sms,,form 6",
    "b,marketing,granted,01/02/2026,sms,,form 7",
    "b,marketing,granted,2026-02-01,sms,2024-01,form 8",
    "b,health_advice,granted,2026-02-01,,1,",
    "b,marketing,granted,2999-09-01,sms,,form 9",
    "b,marketing,granted",
)


def test_a_file_with_errors_loses_no_sound_row_and_guesses_none(brand: Brand) -> None:
    file = brand.folder / "consents.csv"
    brand.write({"consents.csv": csv(HEAD, *ROWS)})
    with brand.open() as project:
        tried = project.consent.load(file, dry_run=True)
        assert (tried["recorded"], tried["refused"]) == (6, 7), "what only the store can tell is not tried"
        done = project.consent.load(file, refused=brand.folder / "refused.csv")
    counts = {name: done[name] for name in ("rows_read", "recorded", "duplicate", "refused")}
    assert counts == {"rows_read": 13, "recorded": 4, "duplicate": 0, "refused": 9}
    told = [(one["line"], one["column"], one["code"]) for one in done["refusals"]]
    assert told == [
        (6, "customer", "unknown-name"),
        (7, "purpose", "unknown-name"),
        (8, "channel", "unknown-name"),
        (9, "state", "bad-request"),
        (10, "said_at", "bad-request"),
        (11, "text", "unknown-name"),
        (12, None, "bad-request"),
        (13, None, "bad-request"),
        (14, None, "broken"),
    ]
    assert done["refusals"][0]["original"] == ROWS[4]
    assert (brand.folder / "refused.csv").read_text(encoding="utf-8-sig").count("\n") == 10
    assert states(brand)["marketing", "sms"] == "withdrawn"
    assert states(brand, "b")["health_advice", ""] == "granted"
    with brand.open(1) as project:
        again = project.consent.load(file)
        assert (again["recorded"], again["duplicate"], again["refused"]) == (0, 4, 9), "a file that comes twice"
        assert project.store.check() == []


def test_a_file_that_means_nothing_is_refused_whole(brand: Brand) -> None:
    for text, says in (
        ("customer,purpose,state\na,marketing,granted\n", "no column `said_at`"),
        (f"{HEAD},chanel\n", "did you mean `channel`"),
        ("", "is empty"),
    ):
        brand.write({"x.csv": text})
        with brand.open() as project, pytest.raises(TierwiseError, match=says):
            project.consent.load(brand.folder / "x.csv")
    with brand.open() as project, pytest.raises(BadRequest, match="there is no file"):
        project.consent.load(brand.folder / "nowhere.csv")


def test_a_workbook_and_keys_of_the_file(brand: Brand) -> None:
    with xlsxwriter.Workbook(str(brand.folder / "c.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["customer", "purpose", "state", "said_at", "channel", "key"])
        sheet.write_row(1, 0, ["a", "marketing", "granted", "2026-02-01", "sms", "k1"])
        sheet.write_row(2, 0, ["b", "marketing", "granted", "2026-02-01", "sms", "k1"])
    with brand.open() as project:
        done = project.consent.load(brand.folder / "c.xlsx")
    assert (done["recorded"], [one["code"] for one in done["refusals"]]) == (1, ["key-reused"])


def test_a_merge_takes_the_strictest_and_a_split_gives_it_back(brand: Brand) -> None:
    with brand.open() as project:
        project.consent.record("a", "marketing", ["sms"], key="1")
        project.consent.withdraw("b", "marketing", ["sms"], key="2")
        project.identity.merge("a", "b", "one person")
    assert states(brand)["marketing", "sms"] == "withdrawn"
    with brand.open(1) as project:
        project.consent.record("b", "marketing", ["sms"], key="3")
    assert states(brand, day=1)["marketing", "sms"] == "granted"
    with brand.open(1) as project:
        project.identity.split("a", ["b"], "two persons after all")
        assert project.store.check() == []
    assert (states(brand, "a")["marketing", "sms"], states(brand, "b")["marketing", "sms"]) == ("granted", "granted")
    with brand.open(1) as project, pytest.raises(KeyReused):
        project.consent.record("b", "marketing", ["wechat"], key="3")


def test_what_is_held_is_given_and_erased(brand: Brand) -> None:
    with brand.open() as project:
        project.consent.record("a", "health_advice", key="1", evidence="canary evidence")
        project.people.export("a", brand.folder / "a.json")
        held = json.loads((brand.folder / "a.json").read_text(encoding="utf-8"))["consent"]
        assert [one["evidence"] for one in held["statements"]] == ["canary evidence"]
        assert [one["state"] for one in held["states"]] == ["granted"]
        project.people.erase("a")
        assert project.store.check() == []
        assert project.consent.report()["texts"][0]["grants"] == 1, "that somebody agreed stays provable"
    left = [path for path in brand.folder.rglob("*") if path.is_file() and b"canary evidence" in path.read_bytes()]
    assert left == []


def test_the_report_says_which_words_still_stand(brand: Brand) -> None:
    with brand.open() as project:
        project.consent.record("a", "marketing", ["sms"], key="1")
        project.consent.record(
            "b", "marketing", ["sms"], key="2", text="2025-01", said_at="2025-06-01", until="2027-01-01"
        )
        project.consent.record("c", "health_advice", key="3", evidence="x")
    edited = CONSENT.replace("我同意接收优惠与活动信息", "我同意一切").replace("health_advice", "advice")
    brand.write({"definitions/consent.yaml": edited})
    with brand.open() as project:
        found = project.consent.report()
        with pytest.raises(BadRequest, match="had other words when people agreed"):
            project.consent.record("b", "marketing", ["wechat"], key="4")
    assert {(one["purpose"], one["text_version"]): one["declared"] for one in found["texts"]} == {
        ("health_advice", "1"): "gone",
        ("marketing", "2025-01"): "same",
        ("marketing", "2026-01"): "changed",
    }
    assert found["states"][1] == {"purpose": "marketing", "channel": "sms", "granted": 2, "withdrawn": 0, "expired": 0}


def run(capsys: pytest.CaptureFixture[str], brand: Brand, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["consent", *words, "--project", str(brand.folder)])
    out = capsys.readouterr()
    return int(str(ended.value.code)), out.out, out.err


def test_from_the_command_line(brand: Brand, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, brand, "record", "a", "marketing", "--channel", "sms", "--channel", "wechat", "--json")
    made: list[dict[str, Any]] = json.loads(out)
    assert (code, [one["channel"] for one in made]) == (0, ["sms", "wechat"])
    code, out, _ = run(capsys, brand, "withdraw", "a", "--channel", "sms", "--lang", "en")
    assert (code, "withdrawn" in out) == (0, True)
    code, out, _ = run(capsys, brand, "show", "a", "--lang", "zh")
    assert (code, "撤回" in out, "未表态" in out) == (0, True, True)
    code, out, err = run(capsys, brand, "record", "a", "marketing", "--lang", "en")
    assert (code, "name those that were agreed to: sms, wechat" in err) == (1, True)
    brand.write({"c.csv": csv(HEAD, *ROWS)})
    code, out, _ = run(capsys, brand, "import", str(brand.folder / "c.csv"), "--lang", "en")
    assert (code, "13 rows read: 4 recorded, 0 known, 9 refused" in out, "did you mean" in out) == (1, True, True)
    code, out, _ = run(capsys, brand, "report", "--json")
    assert (code, {one["purpose"] for one in json.loads(out)["states"]}) == (0, {"marketing", "health_advice"})
    assert run(capsys, brand, "report", "--lang", "zh")[0] == 0
