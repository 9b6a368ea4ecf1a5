"""Records of the event log in a file: length, checksum and ciphertext; a torn tail ends the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["frame", "frames", "open_frame", "sound_end"]

#: The number of bytes that follow and their CRC-32.
_HEAD: Final = struct.Struct("<II")
_NONCE_BYTES: Final = 12
_LEAST_BYTES: Final = _NONCE_BYTES + 16


def frame(cipher: AESGCM, segment_id: int, offset: int, nonce: bytes, payload: bytes) -> bytes:
    """Return a record as it stands in the file of a segment at an offset; it can be read only there.

    Example:
        >>> cipher = AESGCM(bytes(32))
        >>> data = frame(cipher, 1, 0, bytes(12), b"two words")
        >>> [open_frame(cipher, 1, start, body) for start, _, body in frames(data)]
        [b'two words']
        >>> list(frames(data[:-1]))
        []
    """
    body = nonce + cipher.encrypt(nonce, payload, _about(segment_id, offset))
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def frames(data: bytes, begin: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield (offset, offset of the next, ciphertext) of every sound record from an offset on.

    What was being written when the power went ends the file. A record that is damaged although the next one is sound
    is left out: what was acknowledged after it must not be lost with it.
    """
    offset = begin
    while (end := _end(data, offset)) is not None:
        if _is_sound(data, offset, end):
            yield offset, end, data[offset + _HEAD.size : end]
        elif (after := _end(data, end)) is None or not _is_sound(data, end, after):
            return
        offset = end


def sound_end(data: bytes) -> int:
    """Return where the last sound record ends."""
    return max((end for _, end, _ in frames(data)), default=0)


def open_frame(cipher: AESGCM, segment_id: int, offset: int, body: bytes) -> bytes | None:
    """Return what a record says, or nothing when it was not written here with this key."""
    try:
        return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _about(segment_id, offset))
    except InvalidTag:
        return None


def _end(data: bytes, offset: int) -> int | None:
    """Return where the record at an offset ends, or nothing when the file ends before."""
    if offset + _HEAD.size > len(data):
        return None
    length, _ = _HEAD.unpack_from(data, offset)
    end: int = offset + _HEAD.size + length
    return end if length >= _LEAST_BYTES and end <= len(data) else None


def _is_sound(data: bytes, offset: int, end: int) -> bool:
    _, checksum = _HEAD.unpack_from(data, offset)
    return bool(zlib.crc32(memoryview(data)[offset + _HEAD.size : end]) == checksum)


def _about(segment_id: int, offset: int) -> bytes:
    return f"events|{segment_id}|{offset}".encode()
