"""Statements of consent as people give them, by hand or in a file, checked against what is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tierwise.definitions.consents import Consent, Purpose
from tierwise.definitions.language.times import Zone, parse_date, parse_instant
from tierwise.errors import BadRequest, TierwiseError, UnknownName, near_name
from tierwise.store import Actor, Say, Store
from tierwise.store.consents_requests import STATES

__all__ = ["COLUMNS", "NEEDED", "FileRow", "Given", "Meaning", "refusal"]

#: The columns of a file of statements, and those that it cannot do without.
COLUMNS: Final = ("customer", "purpose", "state", "said_at", "channel", "text", "until", "source", "evidence", "key")
NEEDED: Final = ("customer", "purpose", "state", "said_at")
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FileRow:
    """One record of a file: its line, its cells by column, its original text; `broken` says why it is no row."""

    line: int
    cells: Mapping[str, str]
    original: str
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A statement in the words of whoever gives it; what is empty is not said."""

    customer: str
    purpose: str
    state: str
    key: str
    channels: tuple[str, ...] = ()
    text: str = ""
    source: str = ""
    evidence: str = ""
    said_at: str = ""
    until: str = ""

    @classmethod
    def of_row(cls, cells: Mapping[str, str]) -> Given:
        """Return what a row of a file gives; without a key of its own the row is its key."""
        found = {name: cells.get(name, "").strip() for name in COLUMNS}
        channel = found.pop("channel")
        if not found["key"]:
            found["key"] = "|".join(["file", *(found[name] for name in (*NEEDED, "text", "until")), channel])
        return cls(**found, channels=(channel,) if channel else ())


@dataclass(frozen=True)
class Meaning:
    """What statements mean in a project.

    Args:
        store: where the customers and their records are.
        consent: what is declared.
        zone: the project's zone.
        find: turns a customer as asked into an id, or refuses.
        actor: who records.
        now: the current instant, with its zone.
    """

    store: Store
    consent: Consent
    zone: Zone
    find: Callable[[str], int]
    actor: Actor
    now: datetime

    def say(self, given: Given) -> Say:
        """Return a statement as the store takes it.

        Raises:
            UnknownName: when the customer, purpose, channel or version of the text is not known.
            BadRequest: when the state or an instant cannot be understood, the channels are missing, the text was not
                shown yet, or the end is later than the purpose lasts. `details` names the column.
        """
        customer = self._customer(given.customer)
        if given.state not in STATES:
            raise BadRequest(f"`{given.state}` is no state of consent", "one of " + ", ".join(STATES), column="state")
        said_at = self._instant("said_at", given.said_at) if given.said_at else None
        words: dict[str, Any] = {"key": given.key, "at": self.now, "actor": self.actor, "customer_id": customer}
        words |= {"purpose": given.purpose, "state": given.state, "source": given.source or "desk", "said_at": said_at}
        words |= {"evidence": given.evidence or None, "source_record_id": self._record(customer, given.customer)}
        if given.state == "granted":
            return Say(**words, **self._grant(given, said_at or self.now))
        if given.until:
            raise BadRequest("only a grant runs out", "leave the end out", column="until")
        declared = self.consent.purposes.get(given.purpose)
        sensitive = declared.sensitive if declared else ""
        return Say(**words, channels=self._refused(customer, given), sensitive=sensitive)

    def _purpose(self, name: str) -> Purpose:
        found = self.consent.purposes.get(name)
        if found is None:
            known = near_name(name, self.consent.purposes)
            raise UnknownName(f"there is no purpose `{name}` of consent", known, column="purpose")
        return found

    def _grant(self, given: Given, said_at: datetime) -> dict[str, Any]:
        """Return what only a grant has: its channels, all named, the words that were agreed to, and its end."""
        name, purpose = given.purpose, self._purpose(given.purpose)
        if purpose.channels and not given.channels:
            hint = "name those that were agreed to: " + ", ".join(purpose.channels)
            raise BadRequest(f"`{name}` is granted by channel", hint, column="channel")
        version = self._version(name, purpose, given.text, said_at)
        return {
            "channels": self._known(name, given.channels, purpose.channels) or ("",),
            "sensitive": purpose.sensitive,
            "text_version": version,
            "text_digest": purpose.texts[version].digest,
            "expires_at": self._end(given, purpose, said_at),
        }

    def _refused(self, customer_id: int, given: Given) -> tuple[str, ...]:
        """Return the channels on which something is withdrawn: those named, or every one there is or was."""
        name, declared = given.purpose, self.consent.purposes.get(given.purpose)
        there = list(declared.channels or ("",)) if declared else []
        if declared is None or not given.channels:
            there += [one.channel for one in self.store.consents.states(customer_id) if one.purpose == name]
        if not there:
            self._purpose(name)
        return self._known(name, given.channels, there) or tuple(dict.fromkeys(there))

    def _known(self, name: str, asked: tuple[str, ...], there: Sequence[str]) -> tuple[str, ...]:
        for channel in asked:
            if channel not in there:
                named = [one for one in there if one]
                hint = near_name(channel, named) if named else f"`{name}` is agreed to as a whole: name no channel"
                raise UnknownName(f"`{name}` has no channel `{channel}`", hint, column="channel")
        return asked

    def _customer(self, key: str) -> int:
        try:
            return self.find(key)
        except TierwiseError as error:
            error.details["column"] = "customer"
            raise

    def _record(self, customer_id: int, key: str) -> int | None:
        """Return the record of a customer whose number was named, so that the statement stays with it in a split."""
        records = self.store.ids.records_of(customer_id)
        named = zip(records["source_key"].to_pylist(), records["source_record_id"].to_pylist(), strict=True)
        return next((record for own, record in named if own == key), None)

    def _version(self, name: str, purpose: Purpose, asked: str, at: datetime) -> str:
        """Return the version of the text: the one asked for, or the newest that was shown by then."""
        day = self.zone.day_of(at.astimezone(UTC).replace(tzinfo=None))
        shown = [one for one, text in purpose.texts.items() if text.since_on is None or text.since_on <= day]
        if not asked:
            if not shown:
                hint = "see `since:` of its texts"
                raise BadRequest(f"no text of `{name}` had been shown by {day}", hint, column="text")
            return max(shown, key=lambda one: (purpose.texts[one].since, list(purpose.texts).index(one)))
        if asked not in purpose.texts:
            hint = near_name(asked, purpose.texts)
            raise UnknownName(f"`{name}` has no version `{asked}` of its text", hint, column="text")
        if asked not in shown:
            since = purpose.texts[asked].since
            message = f"version `{asked}` of the text of `{name}` is shown since {since}, and this was said on {day}"
            raise BadRequest(message, "name the version that was shown then", column="text")
        return asked

    def _end(self, given: Given, purpose: Purpose, said_at: datetime) -> datetime | None:
        lasts, begins = purpose.holds_for, said_at.astimezone(UTC).replace(tzinfo=None)
        longest = None if lasts is None else self.zone.add(begins, lasts).replace(tzinfo=UTC)
        if not given.until:
            return longest
        asked = self._instant("until", given.until)
        if longest is not None and asked > longest:
            raise BadRequest(
                f"a grant of `{given.purpose}` lasts {lasts}, and this one would end later",
                "give an earlier end",
                column="until",
            )
        return asked

    def _instant(self, column: str, text: str) -> datetime:
        """Return a written instant; an end that is a date is the end of that day."""
        day = parse_date(text)
        if day is not None:
            try:
                return self.zone.midnight(day + _A_DAY if column == "until" else day).replace(tzinfo=UTC)
            except OverflowError:
                day = None
        found = parse_instant(text, self.zone)
        if found is None:
            ways = "write 2026-03-01, 2026-03-01 08:00 or 2026-03-01T08:00:00+08:00"
            raise BadRequest(f"`{text}` is no instant", ways, column=column)
        return found.replace(tzinfo=UTC)


def refusal(line: int, original: str, error: TierwiseError | str) -> dict[str, Any]:
    """Return why a row of a file was refused: line, column, reason, what to do, and the original text."""
    if isinstance(error, str):
        return {"line": line, "column": None, "code": "broken", "reason": error, "hint": "", "original": original}
    column = error.details.get("column")
    said = {"code": error.code, "reason": error.message, "hint": error.hint}
    return {"line": line, "column": column, **said, "original": original}
