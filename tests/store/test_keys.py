"""Master keys come from the environment or from a private file; whatever is wrong with them is said plainly."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tierwise.errors import VaultLocked
from tierwise.store.keys import VARIABLE, MasterKey, make_keyring, read_keyring

OLD, NEW = (MasterKey(bytes([number] * 32)) for number in (1, 2))


def test_a_new_key_file_is_private_and_made_once(key_file: Path) -> None:
    made = make_keyring(key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert make_keyring(key_file).current.id == made.current.id, "a second process takes the first one's"
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name], "no draft is left"
    found = read_keyring(key_file)
    assert found is not None
    assert found.current == made.current


def test_the_environment_comes_first_and_may_hold_several(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_keyring(key_file)
    monkeypatch.setenv(VARIABLE, f"{NEW.text},{OLD.text}")
    found = read_keyring(key_file)
    assert found is not None
    assert (found.current, found.key(OLD.id), found.key("nobody's"), found.file) == (NEW, OLD, None, None)


def test_another_current_key_and_the_old_one_forgotten(key_file: Path) -> None:
    first = make_keyring(key_file)
    both = first.with_new()
    assert [line.strip() for line in key_file.read_text().splitlines()] == [key.text for key in both.keys]
    assert (len(both.keys), both.keys[1]) == (2, first.current)
    both.only_current()
    again = read_keyring(key_file)
    assert again is not None
    assert again.keys == both.keys[:1]
    assert key_file.stat().st_mode & 0o777 == 0o600


WRONG = {
    "no Base64": "my password",
    "too short": base64.b64encode(b"short").decode(),
    "empty": "",
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_holds_no_key(key_file: Path, case: str) -> None:
    key_file.write_text(WRONG[case])
    key_file.chmod(0o600)
    with pytest.raises(VaultLocked, match=key_file.name) as refused:
        read_keyring(key_file)
    assert refused.value.hint
    assert "my password" not in str(refused.value)


def test_a_file_that_others_may_read(key_file: Path) -> None:
    make_keyring(key_file)
    key_file.chmod(0o644)
    with pytest.raises(VaultLocked, match="may be read by others") as refused:
        read_keyring(key_file)
    assert refused.value.hint == f"chmod 600 {key_file}"


def test_nowhere_to_keep_a_key() -> None:
    with pytest.raises(VaultLocked, match=VARIABLE):
        make_keyring(None)


def test_what_is_wrapped_opens_only_where_it_belongs() -> None:
    wrapped = OLD.wrap(b"data key", "people_keys|7")
    assert OLD.unwrap(wrapped, "people_keys|7") == b"data key"
    for key, about, taken in (
        (OLD, "people_keys|8", wrapped),
        (OLD, "people_keys|7", wrapped[:-1] + b"x"),
        (NEW, "people_keys|7", wrapped),
    ):
        with pytest.raises(VaultLocked, match="damaged or exchanged"):
            key.unwrap(taken, about)
