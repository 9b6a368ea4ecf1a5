"""Records in a file: whatever is cut off or changed, what is whole is read, and nothing else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tierwise.server.ingest.frames import frame, frames, open_frame, sound_end

CIPHER = AESGCM(bytes(range(32)))
SAID = [b"one", b"", b"three" * 9]


def written() -> tuple[bytes, list[int]]:
    data, ends = b"", []
    for number, payload in enumerate(SAID):
        data += frame(CIPHER, 5, len(data), bytes([number]) * 12, payload)
        ends.append(len(data))
    return data, ends


def read(data: bytes) -> list[bytes | None]:
    return [open_frame(CIPHER, 5, offset, body) for offset, _, body in frames(data)]


def test_wherever_a_file_ends_its_whole_records_are_read() -> None:
    data, ends = written()
    for length in range(len(data) + 1):
        whole = sum(end <= length for end in ends)
        assert read(data[:length]) == SAID[:whole]
        assert sound_end(data[:length]) == ([0, *ends][whole])
        assert read(data[:length] + bytes(100)) == SAID[:whole], "a file that was made longer and never filled"


def test_a_damaged_record_does_not_take_the_next_one_along() -> None:
    data, ends = written()
    for place in range(8, ends[0]):
        assert read(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]) == SAID[1:]
    last = bytearray(data)
    last[-1] ^= 1
    assert read(bytes(last)) == SAID[:2]


@pytest.mark.parametrize(("segment_id", "shift"), [(6, 0), (5, 1)])
def test_a_record_is_read_only_where_it_was_written(segment_id: int, shift: int) -> None:
    data, _ = written()
    found = [open_frame(CIPHER, segment_id, offset + shift, body) for offset, _, body in frames(data)]
    assert found == [None] * 3
