"""What a request says, event by event: rows for a source, and why an event is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tierwise.errors import BadRequest

__all__ = ["MOST_EVENTS", "Judged", "Refusal", "decode", "judge", "spec_rows"]

#: So many events a request has at most.
MOST_EVENTS: Final = 5_000
_MOST_COLUMNS: Final = 300
_LONGEST_NAME: Final = 200
_LONGEST_EVENT: Final = 32 << 10
_DEEPEST: Final = 6
# Numbers with a point keep the text they were sent as: as binary fractions, 0.1 would be another amount.
_DECODER: Final = msgspec.json.Decoder(float_hook=str)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event was not taken: which one of the request, where in it, and what is wrong."""

    index: int
    path: str
    message: str


@dataclass
class Judged:
    """What became of the events of a request."""

    rows: list[dict[str, str]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def decode(body: bytes) -> Mapping[str, Any]:
    """Return what a body says.

    Raises:
        BadRequest: when it is no JSON object.

    Example:
        >>> decode(b'{"amount": 0.10}')
        {'amount': '0.10'}
    """
    try:
        found = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadRequest("the body is not JSON", str(error)[:200]) from None
    if not isinstance(found, dict):
        raise BadRequest("the body is no object", "send an object")
    return found


def judge(events: object, row_key: Sequence[str], where: str = "events") -> Judged:
    """Judge the events of a request: each becomes a row of texts, or is refused.

    Args:
        events: what was sent.
        row_key: the columns that every event must say, for they tell it from all others.
        where: what the request calls its events.

    Raises:
        BadRequest: when they are no list, or too many.

    Example:
        >>> judged = judge([{"id": "a", "paid": True, "tax": None}, {"id": ""}, 7], ["id"])
        >>> judged.rows
        [{'id': 'a', 'paid': 'true'}]
        >>> [refusal.path for refusal in judged.refused]
        ['events.1.id', 'events.2']
    """
    if not isinstance(events, list) or not events:
        raise BadRequest(f"`{where}` is no list of events", f"send 1 to {MOST_EVENTS:,} of them")
    if len(events) > MOST_EVENTS:
        raise BadRequest(f"{len(events):,} events in one request", f"send at most {MOST_EVENTS:,}")
    judged = Judged()
    for index, event in enumerate(events):
        place = f"{where}.{index}"
        if not isinstance(event, dict):
            judged.refused.append(Refusal(index, place, "an event is an object"))
            continue
        try:
            texts = list(_texts(event, "", 0))
            row = dict(texts)
            if len(row) < len(texts):
                raise _Wrong("", "two of its values have one name")
            _check(row, row_key)
        except _Wrong as wrong:
            judged.refused.append(Refusal(index, f"{place}.{wrong.path}".rstrip("."), wrong.message))
        else:
            judged.rows.append(row)
    return judged


def spec_rows(body: Mapping[str, Any], kind: str) -> tuple[object, str]:
    """Return the events of a request as event libraries send it, and what the request calls them.

    Args:
        body: the request.
        kind: ``batch``, or what a request of one event is, such as ``track``.

    Example:
        >>> spec_rows({"event": "Bought", "writeKey": "k"}, "track")
        ([{'event': 'Bought', 'type': 'track'}], 'events')
    """
    shared = {name: body[name] for name in ("sentAt", "context") if name in body and kind == "batch"}
    if kind == "batch":
        batch = body.get("batch")
        if not isinstance(batch, list):
            return batch, "batch"
        return [{**shared, **one} if isinstance(one, dict) else one for one in batch], "batch"
    return [{**{name: value for name, value in body.items() if name != "writeKey"}, "type": kind}], "events"


class _Wrong(Exception):
    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path, self.message = path, message


def _texts(value: Mapping[str, Any], before: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield (column, text) of everything an event says; what is nested is named by its path, `properties_price`."""
    if depth > _DEEPEST:
        raise _Wrong(before, f"it is nested more than {_DEEPEST} levels deep")
    for name, one in value.items():
        column = f"{before}_{name}" if before else name
        if not name or len(column) > _LONGEST_NAME or not column.isprintable():
            raise _Wrong(before, "a name is empty, too long, or cannot be printed")
        if isinstance(one, dict):
            yield from _texts(one, column, depth + 1)
        elif isinstance(one, list):
            yield column, msgspec.json.encode(one).decode()
        elif isinstance(one, bool):
            yield column, "true" if one else "false"
        elif isinstance(one, str):
            yield column, one
        elif one is not None:
            yield column, str(one)


def _check(row: Mapping[str, str], row_key: Sequence[str]) -> None:
    for name in row_key:
        if not row.get(name, "").strip():
            raise _Wrong(name, "it is missing, and tells the event from all others")
    if len(row) > _MOST_COLUMNS:
        raise _Wrong("", f"it has more than {_MOST_COLUMNS} columns")
    if sum(map(len, row)) + sum(map(len, row.values())) > _LONGEST_EVENT:
        raise _Wrong("", f"it says more than {_LONGEST_EVENT >> 10} KB")
