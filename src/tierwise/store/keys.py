"""Master keys: where they come from, how they wrap other keys, and how a new one takes the place of an old one.

Every other key lies in the store, wrapped by a master key; the master key never does. It comes from the environment
variable `TIERWISE_MASTER_KEY`, or from a file that only its owner may read. Both may hold several keys: the first one
is current, the others open what was wrapped before it. Keys and nonces are drawn from the operating system: they are
the one thing that must not be repeatable.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tierwise.errors import VaultLocked

__all__ = [
    "KEY_BYTES",
    "NONCE_BYTES",
    "VARIABLE",
    "Keyring",
    "MasterKey",
    "derive",
    "make_key",
    "make_keyring",
    "make_nonce",
    "read_keyring",
]

#: The environment variable that holds the master key, or several of them, the current one first.
VARIABLE: Final = "TIERWISE_MASTER_KEY"
#: How long keys are: AES-256.
KEY_BYTES: Final = 32
#: How long the nonce before each ciphertext is.
NONCE_BYTES: Final = 12
_TEXT_HINT: Final = "a key is 32 bytes in Base64: python -c 'import base64,os;print(base64.b64encode(os.urandom(32)))'"


def make_key() -> bytes:
    """Return a new random key."""
    return os.urandom(KEY_BYTES)


def make_nonce() -> bytes:
    """Return a new random nonce; one key meets far too few values for two to be alike."""
    return os.urandom(NONCE_BYTES)


def derive(root: bytes, purpose: str) -> bytes:
    """Return the key for one purpose, made from a root key (HKDF with SHA-256).

    Example:
        >>> derive(bytes(32), "index|phone") != derive(bytes(32), "index|email")
        True
    """
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"tierwise|{purpose}".encode()).derive(root)


@dataclass(frozen=True, repr=False)
class MasterKey:
    """One master key. Its `id` may be known: it says which key wrapped something, and nothing about the key.

    Example:
        >>> key = MasterKey(bytes(32))
        >>> key.unwrap(key.wrap(b"data key", "people_keys|7"), "people_keys|7")
        b'data key'
    """

    secret: bytes

    @cached_property
    def id(self) -> str:
        """The key's fingerprint."""
        return hashlib.sha256(b"tierwise|master|" + self.secret).hexdigest()[:16]

    @property
    def text(self) -> str:
        """The key as it stands in a file or in the environment."""
        return base64.b64encode(self.secret).decode()

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self.secret)

    def wrap(self, secret: bytes, about: str) -> bytes:
        """Return a secret encrypted with this key; it can be opened only for the same `about`."""
        nonce = make_nonce()
        return nonce + self._cipher.encrypt(nonce, secret, about.encode())

    def unwrap(self, wrapped: bytes, about: str) -> bytes:
        """Return what was wrapped.

        Raises:
            VaultLocked: when it was changed, or belongs elsewhere.
        """
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], about.encode())
        except InvalidTag:
            raise VaultLocked(
                f"a key of the people vault ({about.partition('|')[0]}) has been damaged or exchanged in the store",
                "restore the store from a backup",
            ) from None


@dataclass(frozen=True, repr=False)
class Keyring:
    """The master keys at hand, the current one first, and where they came from (for messages)."""

    keys: tuple[MasterKey, ...]
    origin: str
    file: Path | None = None

    @property
    def current(self) -> MasterKey:
        """The key that wraps what is new."""
        return self.keys[0]

    def key(self, key_id: str) -> MasterKey | None:
        """Return the key with a fingerprint, or nothing."""
        return next((key for key in self.keys if key.id == key_id), None)

    def with_new(self) -> Keyring:
        """Return the keyring with a new current key, written to its file before anything is wrapped by it."""
        assert self.file is not None, "only a file can be given a new key"
        return self._written((MasterKey(make_key()), *self.keys))

    def only_current(self) -> Keyring:
        """Return the keyring without the older keys; its file forgets them."""
        assert self.file is not None, "only a file can forget a key"
        return self._written(self.keys[:1])

    def _written(self, keys: tuple[MasterKey, ...]) -> Keyring:
        assert self.file is not None
        draft = self.file.with_name(f".{self.file.name}.new")
        draft.unlink(missing_ok=True)
        _write(draft, keys)
        os.replace(draft, self.file)
        _sync_folder(self.file.parent)
        return Keyring(keys, self.origin, self.file)


def read_keyring(file: Path | None) -> Keyring | None:
    """Return the master keys from the environment, else from the file, else nothing.

    Raises:
        VaultLocked: when there is something that is no key, or a file that others may read.
    """
    text = os.environ.get(VARIABLE, "")
    if text.strip():
        return Keyring(_parsed(text, VARIABLE), VARIABLE)
    if file is None or not file.exists():
        return None
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise VaultLocked(f"{file} may be read by others on this machine", f"chmod 600 {file}")
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise VaultLocked(f"the key file {file} cannot be read: {error}", "check its rights, or restore it") from None
    return Keyring(_parsed(text, str(file)), str(file), file)


def make_keyring(file: Path | None) -> Keyring:
    """Make a key file with one new key; should another process have been quicker, its file is the one that counts."""
    if file is None:
        raise VaultLocked(f"there is no master key: {VARIABLE} is not set", _TEXT_HINT)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(draft, (MasterKey(make_key()),))
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        _sync_folder(file.parent)
    except OSError as error:
        raise VaultLocked(f"the key file {file} cannot be written: {error.strerror}", "check the folder") from None
    found = read_keyring(file)
    assert found is not None
    return found


def _parsed(text: str, origin: str) -> tuple[MasterKey, ...]:
    keys = []
    for word in text.replace(",", " ").split():
        try:
            secret = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise VaultLocked(f"{origin} does not hold a master key", _TEXT_HINT)
        keys.append(MasterKey(secret))
    if not keys:
        raise VaultLocked(f"{origin} is empty", "restore the key from a backup; without it nothing can be decrypted")
    return tuple(keys)


def _write(path: Path, keys: tuple[MasterKey, ...]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.writelines(f"{key.text}\n" for key in keys)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
