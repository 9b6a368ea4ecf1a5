"""Declared channels and templates: what is wrong with them is found before anything is sent, with its place."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Brand, said
from tierwise.channels import Accepted, Channel, Outgoing, channel_kinds, open_channel
from tierwise.channels.opening import GROUP
from tierwise.errors import BadRequest, DefinitionsInvalid, UnknownName

CHANNELS = """\
channels:
  mail: {kind: smtp, host: smtp.example.com, sender: Tea <hello@tea.example>, user: tea, password: '${TEA_SMTP}'}
  sms: {kind: aliyun_sms, key_id: '${TEA_KEY}', key_secret: '${TEA_SECRET}', sign_name: 茶店}
  crm: {kind: webhook, url: 'https://crm.example.com/in', secret: '${TEA_HOOK}', inside: [crm.local]}
  list: {kind: file, folder: lists, address: phone}
templates:
  back: {channel: sms, text: '【茶店】{{ person.name | default("您") }}好，回来看看，拒收请回复R', code: SMS_1}
  letter: {channel: mail, subject: 新茶, text: '{{ n | whole }} 次 {{ unsubscribe_url }}'}
"""
AT = datetime(2026, 3, 1, 17, 30)
TAGS = "tags: {n: count(orders)}\n"


def brand(tmp_path: Path, channels: str = CHANNELS) -> Brand:
    return Brand(tmp_path, {"definitions/channels.yaml": channels, "definitions/tags.yaml": TAGS})


def test_what_is_declared_well(tmp_path: Path) -> None:
    assert said(brand(tmp_path).problems()) == ""


@pytest.mark.parametrize(
    ("declared", "place", "message"),
    [
        ("channels: {m: {kind: smpt}}", "channels.yaml:1:22", "there is no kind of channel `smpt`"),
        ("channels: {m: {kind: smtp, host: x}}", "channels.yaml:1:12", "`sender` is missing"),
        (
            "channels: {m: {kind: smtp, host: x, sender: a@b.c, prot: 25}}",
            "channels.yaml:1:58",
            "there is no key `prot`",
        ),
        ("channels: {m: {kind: smtp, host: x, sender: tea}}", "channels.yaml:1:45", "`tea` is no sender"),
        ("channels: {m: {kind: webhook, url: x, secret: abc}}", "channels.yaml:1:", "`secret` is a secret"),
        ("channels: {m: {}}", "channels.yaml:1:12", "`kind` is missing"),
        ("templates: {t: {channel: mail, text: x}}", "channels.yaml:1:26", "there is no channel `mail`"),
        ("templates: {t: {channel: outbox}}", "channels.yaml:1:13", "`text` is missing"),
        ("templates: {t: {channel: outbox, text: '{{ m }}'}}", "channels.yaml:1:41", "there is no field `m`"),
        ("templates: {t: {channel: outbox, text: '{{ n() }}'}}", "channels.yaml:1:41", "a template has no calls"),
        (
            "templates: {t: {channel: outbox, text: x, category: medical_ad}}",
            "channels.yaml:1:13",
            "a medical advert needs `review`",
        ),
        (
            "channels: {s: {kind: aliyun_sms, key_id: a, key_secret: '${B}', sign_name: c}}\n"
            "templates: {t: {channel: s, text: 【茶店】来看看}}",
            "channels.yaml:2:35",
            "it says no way out",
        ),
    ],
)
def test_what_is_wrong_is_found_where_it_stands(tmp_path: Path, declared: str, place: str, message: str) -> None:
    problems = brand(tmp_path, declared + "\n").problems()
    assert len(problems) == 1, said(problems)
    assert message in problems[0].message
    assert str(problems[0].where).startswith(f"definitions/{place}")


def test_channels_change_no_answer(tmp_path: Path) -> None:
    with brand(tmp_path).open() as project:
        digest = project.definitions.digest
    (tmp_path / "definitions" / "channels.yaml").unlink()
    with brand(tmp_path, "").open() as project:
        assert project.definitions.digest == digest


def test_every_kind_is_an_entry_point_and_whole() -> None:
    assert {point.name for point in entry_points(group=GROUP)} == {"aliyun_sms", "file", "outbox", "smtp", "webhook"}
    for kind in channel_kinds().values():
        assert {"Settings", "address", "medium", "deduplicates", "timeout_seconds", "send", "lookup"} <= set(dir(kind))


def test_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TEA_SMTP": "p", "TEA_KEY": "k", "TEA_SECRET": "s", "TEA_HOOK": "sixteen characters"}.items():
        monkeypatch.setenv(name, value)
    with brand(tmp_path).open() as project:
        opened: dict[str, Any] = {
            name: open_channel(name, project.definitions, tmp_path) for name in ("mail", "sms", "crm", "list", "outbox")
        }
        assert opened["mail"].settings.password == "p"
        assert opened["sms"].settings.key_secret == "s"
        assert opened["crm"].settings.inside == ("crm.local",)
        message = Outgoing("m-1", "+8613800138000", AT, text="您好")
        channel: Channel = opened["list"]
        assert isinstance(channel.send(message), Accepted)
        assert (tmp_path / "lists" / "list-2026-03-01.csv").exists()
        monkeypatch.delenv("TEA_SMTP")
        with pytest.raises(BadRequest, match="TEA_SMTP is not set"):
            open_channel("mail", project.definitions, tmp_path)
        monkeypatch.setenv("TEA_HOOK", "short")
        with pytest.raises(BadRequest, match="fewer than 16") as caught:
            open_channel("crm", project.definitions, tmp_path)
        assert "short" not in str(caught.value)
        with pytest.raises(UnknownName) as unknown:
            open_channel("mial", project.definitions, tmp_path)
        assert unknown.value.hint == "did you mean `mail`?"


def test_a_secret_is_never_in_a_file(tmp_path: Path) -> None:
    with brand(tmp_path, "channels: {m: {kind: smtp, password: letmein}}\n").open() as project:
        with pytest.raises(DefinitionsInvalid) as caught:
            _ = project.catalogue
        assert "letmein" not in str(caught.value)
