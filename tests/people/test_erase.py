"""After an erasure no byte of the person is left in anything Tierwise wrote, and they do not come back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.engine.owner.processes import session
from tests.people.scan import found_in
from tests.people.town import CANARIES, HEAD, KEY, ORDERS_HEAD, ROW, town
from tests.projects import Brand, counted, csv
from tierwise.errors import Erased, ProjectBusy, UnknownName, VaultLocked

SECRETS = [one for one in CANARIES if one != KEY]


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    made = town(tmp_path)
    made.run()
    return made


def erase(brand: Brand, key: str = KEY, day: float = 1, **options: Any) -> dict[str, Any]:
    with brand.open(day) as project:
        return project.people.erase(key, **options)


def test_before_an_erasure_only_the_vault_knows(brand: Brand) -> None:
    with brand.open() as project:
        assert project.explain(KEY)["customer_key"] == KEY
        for table in ("customers", "quarantine"):
            assert project.table(table).num_rows
        values = {one["value"] for record in project.people.show(KEY)["records"] for one in record["values"]}
    assert values == set(SECRETS), "every role is kept"
    assert found_in(brand.folder, SECRETS) == []
    assert found_in(brand.folder, [KEY]) != [], "the brand's own number is no secret"


def test_no_byte_is_left(brand: Brand) -> None:
    with brand.open() as project:
        for name in ("all.csv", "all.xlsx", "all.parquet"):
            project.export("customers", brand.folder / name)
        project.export("quarantine", brand.folder / "bad.csv")
        project.people.export(KEY, brand.folder / "one.json")
        project.export("stores", brand.folder / "stores.csv")
    assert any("one.json" in one for one in found_in(brand.folder, SECRETS))
    receipt = erase(brand)
    assert found_in(brand.folder, CANARIES) == []
    assert receipt["values"] == dict.fromkeys(("address", "email", "id_number", "name", "openid", "phone", "remark"), 1)
    assert (receipt["lake"], receipt["named_in_other_rows"]) == ({"customers": 1, "orders": 1}, 1)
    assert (receipt["quarantine"], receipt["state"]) == (4, "done")
    assert receipt["engine"]["customers"] == 1
    removed = sorted(Path(path).name for path in receipt["exports_removed"])
    assert removed == ["all.csv", "all.parquet", "all.xlsx", "bad.csv", "one.json"]
    assert (brand.folder / "stores.csv").exists(), "a file without them stays"


def test_the_receipt_names_the_brands_own_files(brand: Brand) -> None:
    first, second = erase(brand)["input_files"]
    assert (first["file"], first["lines"], first["state"]) == ("data/customers.csv", [2, 3, 5, 6], "unchanged")
    assert (second["file"], second["lines"], second["state"]) == ("data/orders.csv", [2, 4, 6], "unchanged")
    assert KEY in (brand.folder / "data/orders.csv").read_text(), "Tierwise does not edit them"


def test_the_others_keep_everything(brand: Brand) -> None:
    before = {row["customer_key"]: row for row in brand.rows("customers") if row["customer_key"] != KEY}
    log = brand.rows("memberships")
    bad = {row["line"]: row["original"] for row in brand.rows("quarantine") if row["file"] == "orders.csv"}
    erase(brand)
    after = {row["customer_key"]: row for row in brand.rows("customers")}
    assert after == {key: row | {"referrer": None} for key, row in before.items()}
    assert brand.rows("memberships") == log, "what was believed stays, under a number that is nobody's"
    kept = {row["line"]: row["original"] for row in brand.rows("quarantine") if row["file"] == "orders.csv"}
    assert kept == {line: text if line == 5 else None for line, text in bad.items()}
    with brand.open() as project:
        assert project.people.show("other-key-3")["records"][0]["values"][0]["value"] == "王"


def test_their_rows_are_refused_when_they_come_again(brand: Brand) -> None:
    erase(brand)
    people = (
        ROW,
        "new-key-9,,Canary@birds.cn,x,,,,,,,",
        "other-key-3,13811112222,,王,,,,,北京,1991-02-02,",
        f"{KEY},1",
    )
    orders = (f"A1,{KEY},2026-05-01,100,app", f"B1,{KEY},no day,1,app", "A2,other-key-2,2026-05-02,50,app")
    brand.write({"data/customers.csv": csv(HEAD, *people), "data/orders.csv": csv(ORDERS_HEAD, *orders)})
    reports = {one["file"]: one for one in brand.run(2)["imports"]}
    assert counted(reports["customers.csv"]) == {"duplicate": 1, "quarantined": 3}, "also under another number"
    assert counted(reports["orders.csv"]) == {"duplicate": 1, "quarantined": 2}
    assert reports["orders.csv"]["reasons"] == {"erased": 2}
    assert {row["original"] for row in brand.rows("quarantine") if row["reason"] == "erased"} == {None}
    assert found_in(brand.folder, [one for one in CANARIES if one != "13811112222"]) == []
    assert len(brand.rows("customers")) == 2


def test_nobody_somebody_gone_and_somebody_ambiguous(brand: Brand) -> None:
    with pytest.raises(UnknownName):
        erase(brand, "nobody")
    receipt = erase(brand, "id:1")
    for key in (KEY, "id:1", "canary@birds.cn"):
        with pytest.raises(Erased, match="erased on 2026-06-02") as refused:
            erase(brand, key)
        assert refused.value.hint == f"the receipt has number {receipt['erasure_id']}"
    assert len(brand.rows("customers")) == 2


def test_a_dry_run_changes_nothing(brand: Brand) -> None:
    before = {
        path: path.read_bytes() for path in brand.folder.rglob("*") if path.is_file() and path.suffix != ".duckdb"
    }
    told = erase(brand, dry_run=True)
    assert {path: path.read_bytes() for path in before} == before
    receipt = erase(brand)
    assert {name: told[name] for name in told if name != "dry_run"} == {
        name: receipt[name] for name in told if name != "dry_run"
    }


def test_refused_while_another_process_is_at_work(brand: Brand) -> None:
    script = (
        "import pathlib, sys\n"
        "from tierwise.engine.backends.duckdb.engine import DuckEngine\n"
        "with DuckEngine(pathlib.Path(sys.argv[1], 'engine', 'tierwise.duckdb')):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(brand.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(ProjectBusy):
            erase(brand)
        other.stdin.close()
    assert any(row["customer_key"] == KEY for row in brand.rows("customers")), "nothing was begun"
    erase(brand)


def test_erased_by_the_process_that_holds_the_project(brand: Brand) -> None:
    with session(brand.folder) as holder:
        receipt = erase(brand, day=2)
        assert (receipt["state"], receipt["lake"]) == ("done", {"customers": 1, "orders": 1})
        assert found_in(brand.folder, CANARIES) == []
        assert holder.ask("sorted(project.table('customers')['customer_key'].to_pylist())") == {
            "answer": sorted(row["customer_key"] for row in brand.rows("customers"))
        }
        with pytest.raises(Erased):
            erase(brand, day=3)


def test_erased_in_the_middle_of_a_run(brand: Brand) -> None:
    with session(brand.folder) as holder:
        holder.pause_in("stage")
        with brand.open(1) as project, pytest.raises(ProjectBusy, match=r"run 2 of .* is at work"):
            project.people.erase(KEY, wait=False)
        assert {row["customer_key"] for row in brand.rows("customers")} >= {KEY}, "and nothing was begun"
        said: list[str] = []

        def waiting(sentence: str) -> None:
            said.append(sentence)
            holder.go_on()

        with brand.open(1) as project:
            receipt = project.people.erase(KEY, waiting=waiting)
        assert (len(said), receipt["state"]) == (1, "done"), "erased once the run had ended"
        assert holder.hear() == {"run_id": 2}
    assert found_in(brand.folder, CANARIES) == []
    assert KEY not in {row["customer_key"] for row in brand.rows("customers")}


def test_who_reads_meanwhile_sees_the_person_or_does_not(brand: Brand) -> None:
    seen: list[tuple[int, bool]] = []
    erased = threading.Event()

    def read() -> None:
        with brand.open() as project:
            while not erased.is_set():
                keys = project.table("customers")["customer_key"].to_pylist()
                seen.append((len(keys), KEY in keys))

    with brand.open(1) as project:
        whole = project.table("customers").num_rows
        reader = threading.Thread(target=read)
        reader.start()
        try:
            project.people.erase(KEY)
        finally:
            erased.set()
            reader.join()
        assert project.estimate("spend >= 0")["of"] == whole - 1
    assert set(seen) <= {(whole, True), (whole - 1, False)}


def test_without_the_key_nothing_is_begun(brand: Brand) -> None:
    (brand.folder / "store/master.key").rename(brand.folder / "data/kept.key")
    with pytest.raises(VaultLocked):
        erase(brand)
    (brand.folder / "data/kept.key").rename(brand.folder / "store/master.key")
    assert any(row["customer_key"] == KEY for row in brand.rows("customers"))


#: Where the process is killed: a function, and whether it is before or after it has done its work.
KILLED = [
    ("tierwise.people.erase", "erase_originals", "before"),
    ("tierwise.store.originals:Originals", "replace_key", "after"),
    ("tierwise.lake.manifests:Lake", "replace_file", "after"),
    ("tierwise.people.erase", "erase_customers", "after"),
    ("tierwise.store.erasures:Erasures", "destroy", "after"),
]
SCRIPT = """\
import importlib, os, signal, sys
from datetime import datetime, timezone
import tierwise
folder, key, place, name, when = sys.argv[1:]
module, _, kind = place.partition(":")
owner = importlib.import_module(module)
owner = getattr(owner, kind) if kind else owner
real = getattr(owner, name)
def killed(*args, **kwargs):
    if when == "after":
        real(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
tierwise.open(folder, clock=lambda: datetime(2026, 6, 2, 4, tzinfo=timezone.utc)).people.erase(key)
"""


@pytest.mark.parametrize("again", ["erase", "run", "show"])
@pytest.mark.parametrize(("place", "name", "when"), KILLED)
def test_killed_and_finished(brand: Brand, place: str, name: str, when: str, again: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(brand.folder), KEY, place, name, when]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if again == "erase":
        receipt = erase(brand, day=2)
        assert (receipt["state"], receipt["values"]["phone"], receipt["lake"]["orders"]) == ("done", 1, 1)
    elif again == "run":
        brand.run(2)
    else:
        with brand.open(2) as project:  # whoever holds the project next finishes it before anything else
            assert project.show("tiers").num_rows
    assert found_in(brand.folder, CANARIES) == []
    assert len(brand.rows("customers")) == 2
    with pytest.raises(Erased):
        erase(brand, day=3)


def test_deleting_the_engine_changes_nothing_of_it(brand: Brand) -> None:
    erase(brand)
    answers = brand.rows("customers")
    for path in (brand.folder / "engine").iterdir():
        path.unlink()
    brand.run(1)
    assert [row["customer_key"] for row in brand.rows("customers")] == [row["customer_key"] for row in answers]
    assert found_in(brand.folder, CANARIES) == []


def test_everything_held_on_a_person_in_one_file(brand: Brand) -> None:
    with brand.open() as project:
        done = project.people.export(KEY, brand.folder / "one.json")
    found = json.loads((brand.folder / "one.json").read_text())
    assert (done["values"], done["rows"]) == (7, 2)
    assert (brand.folder / "one.json").stat().st_mode & 0o777 == 0o600
    assert {row["order_id"] for row in found["rows"]["orders"]} == {"A1"}
    assert found["computed"]["value"] == "high"
    assert {row["name"] for row in found["memberships"]} == {"value"}
    assert len(found["quarantine"]) == 5 - 1, "bad lines that name them"


def test_everything_about_a_person_is_audited(brand: Brand) -> None:
    with brand.open() as project:
        project.people.show(KEY)
        project.people.export(KEY, brand.folder / "one.json")
        project.people.erase(KEY)
        project.people.rotate_key()
    with brand.open() as project:
        entries = [(one.action, one.object) for one in reversed(project.store.audit.list()) if "run" not in one.action]
        assert project.store.audit.verify().findings == []
    assert entries == [
        ("person.show", "customer:1"),
        ("person.export", "customer:1"),
        ("person.erase", "customer:1"),
        ("person.erased", "erasure:1"),
        ("vault.rotate", "vault"),
    ]
    assert found_in(brand.folder, CANARIES) == []


def test_shown_masked(brand: Brand) -> None:
    with brand.open() as project:
        shown = project.people.show("13900000000", masked=True)
    values = {one["field"]: one["value"] for record in shown["records"] for one in record["values"]}
    assert (values["phone"], values["email"], values["name"]) == ("139****0000", "b@x.cn", "李")
