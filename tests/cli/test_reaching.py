"""`tierwise channels`: which there are, what a template says, and one message to see whether a channel works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tierwise.cli import main

DECLARED = """\
channels:
  crm: {kind: webhook, url: 'https://127.0.0.1:9/in', secret: '${TEA_HOOK}', label: {zh: 客户系统, en: CRM}}
templates:
  hello: {channel: outbox, text: '{{ person.name | default("您") }}好，您有 {{ points | whole }} 积分'}
  clinic: {channel: outbox, text: 体检, category: medical_ad, review: 京医广〔2020〕第1号, review_until: '2020-12-31'}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tierwise.yaml").write_text("name: tea shop\n", encoding="utf-8")
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "channels.yaml").write_text(DECLARED, encoding="utf-8")
    monkeypatch.setenv("TEA_HOOK", "sixteen characters")
    return tmp_path


def _said(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--project", str(folder), "channels", *words])
    found = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, found.out + found.err


def test_the_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "list", "--json")
    assert code == 0
    assert [(one["channel"], one["kind"], one["installed"]) for one in json.loads(said)] == [
        ("outbox", "outbox", True),
        ("crm", "webhook", True),
    ]
    _, said = _said(folder, capsys, "list", "--lang", "zh")
    assert "客户系统" in said


def test_a_preview(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "preview", "hello", "--value", "points=1200", "--value", "person.name=李雷")
    assert (code, said) == (0, "text: 李雷好，您有 1,200 积分\n")
    for words in (["hello"], ["helo", "--value", "points=1"], ["hello", "--value", "points"]):
        code, said = _said(folder, capsys, "preview", *words, "--json")
        assert (code, json.loads(said)["error"]["code"]) in ((1, "bad-request"), (1, "unknown-name"))


def test_a_test_message(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(
        folder, capsys, "test", "outbox", "--to", "me", "--template", "hello", "--value", "points=3", "--json"
    )
    found = json.loads(said)
    assert (code, found["outcome"]) == (0, "accepted")
    written = json.loads((folder / "outbox" / "nobody" / found["ref"]).read_text(encoding="utf-8"))
    assert written["text"] == "您好，您有 3 积分"
    code, said = _said(folder, capsys, "test", "outbox", "--to", "me", "--lang", "zh")
    assert code == 0
    assert "渠道已接收" in said


def test_a_channel_that_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address is the machine itself, which no webhook may call."""
    code, said = _said(folder, capsys, "test", "crm", "--to", "me", "--lang", "en")
    assert code == 1
    assert "the channel refused: unreachable" in said
    assert "not public" in said


def test_what_cannot_be_sent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "test", "outbox", "--to", "me", "--template", "clinic", "--json")
    assert code == 1
    assert "the review of `clinic` ended on 2020-12-31" in json.loads(said)["error"]["message"]
    code, said = _said(
        folder, capsys, "test", "crm", "--to", "me", "--template", "hello", "--value", "points=1", "--json"
    )
    assert "is for the channel `outbox`" in json.loads(said)["error"]["message"]
