"""Every command on a small real project: what it prints for people, its JSON, its exit code."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tierwise.cli import main

SETTINGS = "name: tea shop\ntimezone: Asia/Shanghai\nas_of: latest row\n"
SOURCE = """\
file: data/orders.csv
customer: member
row_key: no
streams:
  orders: {time: at, columns: {order_id: no, amount: paid}}
"""
DEFINITIONS = """\
tags:
  spend: {value: sum(orders.amount), label: {zh: 累计消费, en: Spend}}
  orders_count: count(orders)
tierings:
  grade:
    label: {zh: 等级, en: Grade}
    ordered: true
    tiers: {gold: spend >= 100, member: otherwise}
segments:
  regulars: orders_count >= 2
"""
ROWS = """\
no,member,at,paid
1,=ann,2026-01-02 10:00,80.00
2,=ann,2026-02-02 10:00,40.50
3,bob,2026-02-03 10:00,12.00
4,,2026-02-03 10:00,12.00
5,cat,2026-02-30 10:00,12.00
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with three orders that count and two that do not."""
    for name, text in {
        "tierwise.yaml": SETTINGS,
        "sources/orders.yaml": SOURCE,
        "definitions/all.yaml": DEFINITIONS,
        "data/orders.csv": ROWS,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


class Answers:
    """Runs commands on one project and keeps what they printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--project", str(self.folder), *words])
        found = self.capsys.readouterr()
        assert ended.value.code == code, found.out + found.err
        return found.out + found.err

    def json(self, *words: str, code: int = 0) -> object:
        with pytest.raises(SystemExit) as ended:
            main(["--project", str(self.folder), *words, "--json"])
        found = self.capsys.readouterr()
        assert ended.value.code == code, found.out + found.err
        return json.loads(found.out)


@pytest.fixture
def tierwise(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """The command line on the small project."""
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    yield Answers(folder, capsys)


def test_from_files_to_tiers(tierwise: Answers) -> None:
    assert "0 errors, 0 warnings" in tierwise("check")
    assert "new" in tierwise("plan")
    report = tierwise("run")
    assert "missing_customer 1" in report
    assert "not_a_date 1" in report
    assert "2 customers as of 2026-02-03 02:00:00" in report
    shown = tierwise("show", "tiers")
    assert [line.split()[:4] for line in shown.splitlines()[1:3]] == [
        ["grade", "gold", "gold", "1"],
        ["grade", "member", "member", "1"],
    ]
    assert "等级" in tierwise("explain", "bob", "--lang", "zh")
    assert "1 / 2 = 50.00%" in tierwise("estimate", "orders_count >= 2")
    assert "unchanged" in tierwise("run")


def test_a_refresh_says_whom_it_computed(tierwise: Answers) -> None:
    assert "everyone was computed: there are no results yet" in tierwise("refresh", "--as-of", "2026-02-04")
    path = tierwise.folder / "data/orders.csv"
    path.write_text(ROWS + "6,bob,2026-02-04 10:00,90.00\n", encoding="utf-8")
    tierwise("refresh", "--as-of", "2026-02-05")
    assert tierwise.json("show", "tiers")[0]["customers"] == 2  # type: ignore[index]
    assert "0 customers were computed" in tierwise("refresh", "--as-of", "2026-02-06")
    assert "重新计算了 0 位客户" in tierwise("refresh", "--as-of", "2026-02-07", "--lang", "zh")
    assert "before the newest results" in tierwise("refresh", "--as-of", "2026-02-01", code=1)


def test_an_edit_is_seen_before_it_is_run(tierwise: Answers, tmp_path: Path) -> None:
    assert "there are no recorded results yet" in tierwise("plan")
    tierwise("run")
    assert "nothing is declared otherwise" in tierwise("diff")
    assert "this edit moves nobody" in tierwise("plan")
    edited = DEFINITIONS.replace("spend >= 100", "spend >= 10")
    (tierwise.folder / "definitions/all.yaml").write_text(edited, encoding="utf-8")
    said = tierwise("diff")
    assert "- tiers.gold.rule: spend >= 100" in said and "Spend is at least 10" in said
    planned = tierwise("plan", "--to", str(tmp_path / "who.csv"))
    assert "this edit moves 1 customer, worth CNY 12 by Spend" in planned
    assert ["member", "gold", "1", "12.00"] in [line.split() for line in planned.splitlines()]
    assert "grade: member → gold" in planned and "1 customers written" in planned
    with (tmp_path / "who.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["customer_key"], row["grade_is"]) for row in csv.DictReader(file)] == [("bob", "gold")]
    assert "本次修改将使 1 位客户变动" in tierwise("plan", "--lang", "zh")
    answer = tierwise.json("plan", "--top", "1")
    assert isinstance(answer, dict) and answer["edit"]["value_moved"] == "12.00"
    replayed = tierwise("plan", "--replay", "grade", "--months", "2")
    assert "2026-01-31" in replayed and "gold 0, member 1" in replayed and "gold 1, member 0" in replayed
    assert "one of the two" in tierwise("plan", "--replay", "grade", "--to", "x.csv", code=1)


def test_json_of_every_command(tierwise: Answers) -> None:
    assert tierwise.json("check") == {"errors": 0, "problems": []}
    report = tierwise.json("run")
    assert isinstance(report, dict)
    assert report["imports"][0]["rows_read"] == 5
    assert report["imports"][0]["reasons"] == {"missing_customer": 1, "not_a_date": 1}
    assert report["as_of"] == "2026-02-03T02:00:00Z"
    tiers = tierwise.json("show", "tiers")
    assert isinstance(tiers, list)
    assert [(row["tier"], row["customers"]) for row in tiers] == [("gold", 1), ("member", 1)]
    for what in ("segments", "tags", "tables", "runs"):
        assert tierwise.json("show", what)
    explained = tierwise.json("explain", "=ann")
    assert isinstance(explained, dict)
    assert explained["tierings"][0]["tier"] == "gold"
    assert {tag["tag"]: tag["value"] for tag in explained["tags"]} == {"spend": "120.50", "orders_count": 2}
    assert tierwise.json("sql", "select count(*) as n from orders") == [{"n": 3}]
    estimate = tierwise.json("estimate", "spend >= 100 and orders_count >= 1")
    assert isinstance(estimate, dict)
    assert [step["count"] for step in estimate["waterfall"]] == [2, 1, 1]


def test_exports_open_in_a_spreadsheet(tierwise: Answers, folder: Path) -> None:
    tierwise("run")
    tierwise("export", "customers", "--to", str(folder / "c.csv"))
    with (folder / "c.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["customer_key"], row["grade"], row["spend"]) for row in rows] == [
        ("'=ann", "gold", "120.50"),
        ("bob", "member", "12.00"),
    ]
    tierwise("export", "customers", "--to", str(folder / "c.xlsx"))
    sheet = load_workbook(folder / "c.xlsx").active
    assert sheet is not None
    header, first, *_ = sheet.iter_rows(values_only=True)
    assert dict(zip(header, first, strict=True))["spend"] == 120.5
    assert dict(zip(header, first, strict=True))["customer_key"] == "'=ann"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("frobnicate",), 2, "No such command"),
        (("show",), 2, "Missing argument"),
        (("show", "nonsense"), 2, "not one of"),
        (("run", "--as-of", "tomorrow"), 1, "is not an instant"),
        (("explain", "nobody"), 1, "there is no customer `nobody`"),
        (("estimate", "spnd > 3"), 1, "did you mean `spend`?"),
        (("estimate", "spend"), 1, "a condition is needed here"),
        (("export", "custmers", "--to", "x.csv"), 1, "did you mean `customers`?"),
        (("export", "customers", "--to", "x.doc"), 1, "one of .csv, .xlsx, .parquet"),
        (("sql", "drop table customers"), 1, "sql takes one SELECT"),
        (("sql", "select * from read_text('/etc/hostname')"), 1, "`read_text` is not available"),
        (("init", "."), 1, "is not empty"),
    ],
)
def test_what_is_refused(tierwise: Answers, words: tuple[str, ...], code: int, says: str) -> None:
    tierwise("run")
    assert says in tierwise(*words, code=code)
    refused = tierwise.json(*words, code=code)
    assert isinstance(refused, dict)
    assert set(refused) == {"error"}


def test_problems_are_shown_all_at_once_with_their_place(tierwise: Answers, folder: Path) -> None:
    path = folder / "definitions" / "all.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "  more: spnd > 3\n  less: count(order) > 1\n", encoding="utf-8")
    shown = tierwise("check", code=1)
    assert "definitions/all.yaml:11:9: there is no tag or attribute `spnd`" in shown
    assert "definitions/all.yaml:12:9: there is no stream `order`" in shown
    assert "2 errors" in shown
    assert "2 problems" in tierwise("run", code=1)


def test_no_project_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--project", str(tmp_path / "nowhere"), "check"])
    assert ended.value.code == 1
    assert "there is no folder" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("tierwise 0.")


def test_the_past(tierwise: Answers) -> None:
    assert "no history yet" in tierwise("history", "sizes", "grade", "--from", "2026-02-03", code=1)
    tierwise("run")
    assert "1 customers" in tierwise("history", "who", "grade.gold", "--on", "2026-02-03")
    assert "begins at 2026-02-03" in tierwise("history", "who", "grade.gold", "--on", "2026-01-31", code=1)
    filled = tierwise.json("backfill", "--from", "2026-01-10", "--every", "1w", "--to", "2026-02-01")
    assert isinstance(filled, dict)
    assert [one["memberships_written"] for one in filled["dates"]] == [1, 0, 0, 0]
    moved = tierwise.json("history", "migration", "grade", "--from", "2026-01-10", "--to", "2026-02-03")
    assert isinstance(moved, list)
    assert [(row["was"], row["is"], row["customers"]) for row in moved] == [("member", "gold", 1), (None, "member", 1)]
    assert "first_run" in tierwise("history", "of", "bob")
    kept = tierwise.json("history", "retention", "grade", "--from", "2026-01-10", "--to", "2026-02-07", "--every", "2w")
    assert isinstance(kept, list)
    assert [row["share"] for row in kept if row["tier"] == "member"][:3] == [1.0, 1.0, 0.0]


def test_by_hand(tierwise: Answers, folder: Path) -> None:
    tierwise("run")
    assert "fact 1 is recorded" in tierwise(
        "pin", "bob", "grade", "gold", "--reason", "promised", "--since", "2026-02-01", "--until", "2026-03-01"
    )
    tierwise("exclude", "=ann", "regulars", "--reason", "asked not to be", "--since", "2026-02-01")
    assert "needs a reason" in tierwise("pin", "bob", "grade", "gold", "--reason", "", code=1)
    report = tierwise("run")
    assert "by hand against the rule: bob grade: gold ≠ member" in report
    assert "manual 2" in report
    assert "by hand: pin grade = gold (promised, " in tierwise("explain", "bob")
    listed = tierwise.json("facts", "list")
    assert isinstance(listed, list)
    assert [(fact["kind"], fact["name"]) for fact in listed] == [("exclude", "regulars"), ("pin", "grade")]
    assert "of 1 customers" in tierwise("facts", "revoke", "1", "--reason", "a slip")
    (folder / "list.txt").write_text("bob\nnobody\n", encoding="utf-8")
    upload = ("facts", "upload", "spring", str(folder / "list.txt"), "--reason", "invited")
    assert "no segment is the list `spring`" in tierwise(*upload, code=1)
    (folder / "definitions/list.yaml").write_text("segments: {spring: {list: spring}}\n", encoding="utf-8")
    assert "unknown numbers (1): nobody" in tierwise(*upload, "--since", "2026-02-01")
    (folder / "list.txt").write_bytes('\ufeffName,Number\r\n"O, B",bob\r\nbob,bob\r\n\r\n'.encode())
    assert "1 customers on the list" in tierwise(*upload, "--column", "Number", "--since", "2026-02-01")
    assert "has no column `Numbr`" in tierwise(*upload, "--column", "Numbr", code=1)
    (folder / "list.txt").write_text('bob\n"nobody\n', encoding="utf-8")
    assert "is no CSV file" in tierwise(*upload, code=1)
    assert "no row yet" in tierwise("run", "--known-at", "2026-02-03 10:00", code=1), "nothing was received by then"


def test_help_imports_neither_engine_nor_store() -> None:
    script = (
        "import sys\n"
        "from tierwise.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as ended:\n"
        "    assert ended.code == 0\n"
        "heavy = {'alembic', 'cryptography', 'duckdb', 'pyarrow', 'pydantic', 'sqlalchemy', 'sqlglot'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "explain" in done.stdout


def test_every_public_name_is_found_when_it_is_asked_for() -> None:
    import tierwise

    assert {name for name in tierwise.__all__ if getattr(tierwise, name, None) is None} == set()
