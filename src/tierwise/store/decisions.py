"""Decisions by hand as people give them: checked against what is declared, then recorded as facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.times import parse_date, parse_instant
from tierwise.errors import BadRequest, Erased, UnknownName, near_name
from tierwise.store.actors import Actor
from tierwise.store.facts import Fact, Facts

__all__ = ["Decisions"]

_INCLUDED = timedelta(microseconds=1)
_PLACES = {"integer": 0, "money": 2, "decimal": 6}


@dataclass(frozen=True)
class Decisions:
    """What a person can decide of a customer; every verb takes a reason, and may take an end.

    An end that is a date is the end of that day; a beginning that is one is its midnight. Both are of the project's
    zone, and so is a written instant.

    Args:
        facts: where they are recorded.
        catalogue: the checked definitions.
        find: turns a customer as asked into an id, or refuses.
        read: turns an instant as asked into naive UTC.
        now: the current instant, with its zone.
        actor: who decides.
    """

    facts: Facts
    catalogue: Catalogue
    find: Callable[[str], int]
    read: Callable[[datetime | str], datetime]
    now: datetime
    actor: Actor

    def pin(
        self, customer: str, tiering: str, tier: str, *, reason: str, until: str | None = None, since: str | None = None
    ) -> int:
        """Put a customer into a tier, whatever its rule says; return the fact's number.

        Raises:
            UnknownName: when there is no such customer, tiering or tier.
            BadRequest: when there is no reason, or the end is not after the beginning.
        """
        tiers = self._declared("tiering", tiering, self.catalogue.tierings)
        if tier not in tiers:
            raise UnknownName(f"`{tiering}` has no tier `{tier}`", near_name(tier, tiers))
        return self._record("pin", tiering, customer, tier, reason, until, since)

    def include(
        self, customer: str, segment: str, *, reason: str, until: str | None = None, since: str | None = None
    ) -> int:
        """Put a customer into a segment, whatever its rule says; return the fact's number."""
        self._declared("segment", segment, self.catalogue.segments)
        return self._record("include", segment, customer, None, reason, until, since)

    def exclude(
        self, customer: str, segment: str, *, reason: str, until: str | None = None, since: str | None = None
    ) -> int:
        """Keep a customer out of a segment, whatever its rule says; return the fact's number."""
        self._declared("segment", segment, self.catalogue.segments)
        return self._record("exclude", segment, customer, None, reason, until, since)

    def set(
        self, customer: str, tag: str, value: str, *, reason: str, until: str | None = None, since: str | None = None
    ) -> int:
        """Give a tag a value by hand; return the fact's number.

        Raises:
            UnknownName: when there is no such customer or tag.
            BadRequest: when the value is not of the tag's kind.
        """
        rule = self._declared("tag", tag, self.catalogue.tags)[tag]
        assert rule.expr is not None
        written = _value(value, rule.expr.kind, self.catalogue)
        if written is None:
            raise BadRequest(f"{value!r} is not {rule.expr.kind}, which `{tag}` is", "write it as in a rule")
        return self._record("tag", tag, customer, written, reason, until, since)

    def upload(
        self, name: str, customers: Sequence[str], *, reason: str, until: str | None = None, since: str | None = None
    ) -> dict[str, Any]:
        """Put customers on a list, which a segment names (`{list: …}`); return the fact's number and who is unknown.

        Raises:
            UnknownName: when no segment names the list, or nobody on it is known.
        """
        lists = {segment.list for segment in self.catalogue.definitions.segments.values()} - {""}
        if name not in lists:
            hint = f"declare a segment for it: `segments: {{{name}: {{list: {name}}}}}`"
            raise UnknownName(f"no segment is the list `{name}`", hint)
        found: dict[int, None] = {}
        unknown: list[str] = []
        ambiguous: list[str] = []
        for key in dict.fromkeys(customers):
            try:
                found[self.find(key)] = None
            except (UnknownName, Erased):
                unknown.append(key)
            except BadRequest:
                ambiguous.append(key)
        if not found:
            raise UnknownName(f"none of the {len(unknown) + len(ambiguous)} customers on the list is known")
        begins, ends = self._times(until, since)
        number = self.facts.record(
            "list",
            name,
            list(found),
            None,
            reason=reason,
            actor=self.actor,
            at=self.now,
            valid_from=begins,
            valid_until=ends,
        )
        return {"fact": number, "list": name, "customers": len(found), "unknown": unknown, "ambiguous": ambiguous}

    def revoke(self, fact: int, *, reason: str) -> int:
        """End a fact from now on; return of how many customers. See `Facts.revoke`."""
        return self.facts.revoke(fact, reason=reason, actor=self.actor, at=self.now)

    def list(self, name: str | None = None, customer: str | None = None) -> list[Fact]:
        """Return the facts, newest first, of one name or one customer if asked."""
        customer_id = None if customer is None else self.find(customer)
        return self.facts.list(name=name, customer_id=customer_id)

    # -- what is meant ----------------------------------------------------------------------------------------------

    def _record(
        self, kind: str, name: str, customer: str, value: str | None, reason: str, until: str | None, since: str | None
    ) -> int:
        begins, ends = self._times(until, since)
        who = [self.find(customer)]
        return self.facts.record(
            kind, name, who, value, reason=reason, actor=self.actor, at=self.now, valid_from=begins, valid_until=ends
        )

    def _times(self, until: str | None, since: str | None) -> tuple[datetime | None, datetime | None]:
        ends = None if until is None else (self.read(until) + _INCLUDED).replace(tzinfo=UTC)
        if since is None:
            return None, ends
        day = parse_date(since)
        begins = self.read(since) if day is None else self.catalogue.zone.midnight(day)
        return begins.replace(tzinfo=UTC), ends

    def _declared(self, what: str, name: str, known: Any) -> Any:
        if name not in known:
            raise UnknownName(f"there is no {what} `{name}`", near_name(name, known))
        return known[name] if what == "tiering" else known


def _value(text: str, kind: Kind, catalogue: Catalogue) -> str | None:
    """Return a value of a kind as it is kept, or None when it is not one."""
    if kind.of is not None:
        return None
    if kind.name in _PLACES or kind.name == "float":
        return _number(text, kind)
    if kind.name == "boolean":
        return text.lower() if text.lower() in ("true", "false") else None
    if kind.name == "date":
        day = parse_date(text)
        return None if day is None else day.isoformat()
    if kind.name == "instant":
        instant = parse_instant(text, catalogue.zone)
        return None if instant is None else instant.isoformat(sep=" ")
    return text


def _number(text: str, kind: Kind) -> str | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= 10**12:
        return None
    places = _PLACES.get(kind.name)
    fits = places is None or number == round(number, places)
    return f"{number:f}" if fits else None
