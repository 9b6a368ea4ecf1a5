"""Messages that become files: whole or not at all, once, with nothing in them that a spreadsheet would run."""

from __future__ import annotations

import csv
import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from tierwise.channels.base import Absent, Accepted, Outgoing, Refused
from tierwise.channels.export import ExportChannel, ExportSettings
from tierwise.channels.folder import FolderChannel, FolderSettings

AT = datetime(2026, 3, 1, 17, 30)
MESSAGE = Outgoing("m-1", "+8613800138000", AT, text="=cmd()", subject="新茶", fields={"n": "3"}, customer_id=42)


def test_a_file_one_can_look_at(tmp_path: Path) -> None:
    door = FolderChannel("outbox", FolderSettings(folder=str(tmp_path / "outbox")))
    assert door.lookup(MESSAGE) == Absent()
    assert door.send(MESSAGE) == Accepted("m-1.json")
    path = tmp_path / "outbox" / "42" / "m-1.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    assert (written["text"], written["to"], written["at"]) == ("=cmd()", "+86***8000", "2026-03-01T17:30:00Z")
    assert "13800138000" not in path.read_text(encoding="utf-8")
    assert door.lookup(MESSAGE) == Accepted("m-1.json")
    # Sent again it is the same message, whatever it says now.
    assert door.send(Outgoing("m-1", "", AT, text="other", customer_id=42)) == Accepted("m-1.json")
    assert json.loads(path.read_text(encoding="utf-8")) == written
    assert [found.name for found in path.parent.iterdir()] == ["m-1.json"]


def test_a_message_id_is_no_path(tmp_path: Path) -> None:
    door = FolderChannel("outbox", FolderSettings(folder=str(tmp_path / "outbox")))
    for message_id in ("../../escaped", "a/b", ".", "", "x" * 300, "春"):
        assert isinstance(door.send(Outgoing(message_id, "", AT)), Accepted)
    inside = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(inside) == 6
    assert all(path.parent == tmp_path / "outbox" / "nobody" for path in inside)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    refused = FolderChannel("outbox", FolderSettings(folder=str(tmp_path / "outbox"))).send(MESSAGE)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.again) == ("unwritable", True)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way", encoding="utf-8")
    for door in (
        FolderChannel("outbox", FolderSettings(folder=str(tmp_path / "outbox"))),
        ExportChannel("list", ExportSettings(folder=str(tmp_path / "outbox"))),
    ):
        refused = door.send(MESSAGE)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.again) == ("unwritable", True)


def test_rows_for_somebody_else_to_send(tmp_path: Path) -> None:
    door = ExportChannel("list", ExportSettings(folder=str(tmp_path), address="email"))
    assert door.address == "email"
    assert door.lookup(MESSAGE) == Absent()
    for message in (MESSAGE, Outgoing("m-2", "a@b.c", AT, text='say "hi",\n你好')):
        assert door.send(message) == Accepted("list-2026-03-01.csv")
    with (tmp_path / "list-2026-03-01.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["message_id"] for row in rows] == ["m-1", "m-2"]
    assert (rows[0]["to"], rows[0]["text"], rows[0]["fields"]) == ("'+8613800138000", "'=cmd()", "n=3")
    assert rows[1]["text"] == 'say "hi",\n你好'
    assert door.lookup(MESSAGE) == Accepted("list-2026-03-01.csv")
    assert door.lookup(Outgoing("m-3", "", AT)) == Absent()
