"""The verbs about consent on an open project: record, withdraw, show, load a file of statements, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tierwise.definitions.consents import Consent
from tierwise.definitions.language.times import Zone
from tierwise.errors import BadRequest, TierwiseError, UnknownName, near_name
from tierwise.people.statements import COLUMNS, NEEDED, FileRow, Given, Meaning, refusal
from tierwise.store import Actor, Say, Statement, Store

__all__ = ["ConsentDesk"]


@dataclass(frozen=True)
class ConsentDesk:
    """What can be done with consent. Every verb that records takes a key: the same key does it once.

    Args:
        store: where the statements are.
        declared: the channels, purposes and texts that are declared, if any are.
        zone: the project's zone.
        find: turns a customer as asked into an id, or refuses.
        clock: gives the current instant with its zone.
        actor: who asks.
    """

    store: Store
    declared: Consent | None
    zone: Zone
    find: Callable[[str], int]
    clock: Callable[[], datetime]
    actor: Actor

    @property
    def consent(self) -> Consent:
        """Return what is declared about consent.

        Raises:
            UnknownName: when nothing is.
        """
        if self.declared is None:
            raise UnknownName("no consent is declared", "declare purposes and texts under `consent:` in definitions/")
        return self.declared

    def record(
        self,
        customer: str,
        purpose: str,
        channels: Sequence[str] = (),
        *,
        key: str,
        text: str = "",
        evidence: str = "",
        source: str = "desk",
        said_at: str = "",
        until: str = "",
    ) -> list[Statement]:
        """Record that a customer has granted a purpose; return one statement a channel.

        Args:
            customer: the brand's number, an identifier, or ``id:42``.
            purpose: for what.
            channels: on which of its channels; all of them have to be named.
            key: the caller's key.
            text: the version of the text that was agreed to; by default the newest that was shown then.
            evidence: where the proof is; a purpose for sensitive data needs it.
            source: where it was said, such as a form.
            said_at: when, by default now.
            until: when the grant runs out, at the latest when the purpose says; a date means its end.

        Raises:
            UnknownName: when the customer, purpose, channel or text is not known.
            BadRequest: when it makes no sense, or the grant would have run out by now.
            KeyReused: when the key was used for another statement.
        """
        meaning = self._meaning()
        words = {"text": text, "evidence": evidence, "source": source, "said_at": said_at, "until": until}
        given = Given(customer=customer, purpose=purpose, state="granted", key=key, channels=tuple(channels), **words)
        asked = meaning.say(given)
        if asked.expires_at is not None and asked.expires_at <= meaning.now:
            raise BadRequest(
                f"the grant would have run out on {asked.expires_at:%Y-%m-%d %H:%M} UTC, in the past",
                "statements of the past come in by `tierwise consent import`",
            )
        return self.store.consents.record(asked)

    def withdraw(
        self,
        customer: str,
        purpose: str = "",
        channels: Sequence[str] = (),
        *,
        key: str,
        evidence: str = "",
        source: str = "desk",
        said_at: str = "",
    ) -> list[Statement]:
        """Record that a customer withdraws: everything, a purpose, or some of its channels; it holds at once.

        It needs no text and no grant of before: who refuses has refused. What is no longer declared can be withdrawn.

        Raises:
            UnknownName: when the customer, purpose or channel is not known.
            KeyReused: when the key was used for another statement.
        """
        meaning = self._meaning()
        words = {"evidence": evidence, "source": source, "said_at": said_at}
        named = {purpose: tuple(channels)} if purpose else self._everything(self.find(customer), tuple(channels))
        asked = [
            meaning.say(
                Given(
                    customer=customer,
                    purpose=name,
                    state="withdrawn",
                    key=key if purpose else f"{key}|{name}",
                    channels=chosen,
                    **words,
                )
            )
            for name, chosen in named.items()
        ]
        done: list[Statement] = []
        for fate in self.store.consents.record_many(asked):
            if isinstance(fate, TierwiseError):
                raise fate
            done += fate
        return done

    def show(self, customer: str) -> dict[str, Any]:
        """Return how a customer stands to every purpose and channel, and everything that was said, newest first.

        What nothing was said about is there too, as ``silent``, which is a refusal.
        """
        who, now = self.find(customer), self.clock()
        held = {(one.purpose, one.channel): one.as_json(now) for one in self.store.consents.states(who)}
        silent = {"state": "silent", "since": None, "expires_at": None, "statement_id": None}
        for name, purpose in (self.declared.purposes if self.declared else {}).items():
            for channel in purpose.channels or ("",):
                about = {"customer_id": who, "purpose": name, "channel": channel}
                held.setdefault((name, channel), {**about, **silent})
        statements = [one.as_json() for one in self.store.consents.statements(who)]
        return {"customer_id": who, "states": [held[one] for one in sorted(held)], "statements": statements}

    def load(self, columns: Sequence[str], rows: Iterable[FileRow], *, dry_run: bool = False) -> dict[str, Any]:
        """Record the statements of a file: those that are sound in one transaction, each once however often it comes.

        Args:
            columns: the columns of the file; see `tierwise.people.statements.COLUMNS`.
            rows: its records.
            dry_run: only say what would be refused.

        Returns:
            ``rows_read = recorded + duplicate + refused``, always; ``refusals`` says of each refused row where, why
            and what to do, with its original text.

        Raises:
            BadRequest: when a column is missing, or one has no meaning.
        """
        self._check_columns(columns)
        meaning = self._meaning()
        sound: list[tuple[FileRow, Say]] = []
        refusals: list[dict[str, Any]] = []
        read = 0
        for row in rows:
            read += 1
            if row.broken:
                refusals.append(refusal(row.line, row.original, row.broken))
                continue
            try:
                sound.append((row, meaning.say(Given.of_row(row.cells))))
            except TierwiseError as error:
                refusals.append(refusal(row.line, row.original, error))
        counts = {"recorded": 0, "duplicate": 0}
        fates = [] if dry_run else self.store.consents.record_many([asked for _, asked in sound])
        for (row, _), fate in zip(sound, fates, strict=not dry_run):
            if isinstance(fate, TierwiseError):
                refusals.append(refusal(row.line, row.original, fate))
            else:
                counts["duplicate" if fate[0].replayed else "recorded"] += 1
        refusals.sort(key=lambda one: one["line"])
        report = {"rows_read": read, **counts, "refused": len(refusals), "dry_run": dry_run}
        if dry_run:
            report["recorded"] = len(sound)
        else:
            self.store.audit.record(meaning.now, self.actor, "consent.import", "consent", report)
        return {**report, "refusals": refusals}

    def report(self) -> dict[str, Any]:
        """Return how many customers stand how by purpose and channel, and the texts that people agreed to.

        `declared` of a text says whether its words still stand in the definitions, are others there, or are gone.
        """
        texts = []
        for one in self.store.consents.texts():
            purpose = self.declared.purposes.get(one["purpose"]) if self.declared else None
            text = purpose.texts.get(one["text_version"]) if purpose else None
            stands = "gone" if text is None else "same" if text.digest == one["text_digest"] else "changed"
            texts.append({**{name: value for name, value in one.items() if name != "text_digest"}, "declared": stands})
        return {"states": self.store.consents.counts(self.clock()), "texts": texts}

    # -- what is meant ----------------------------------------------------------------------------------------------

    def _meaning(self) -> Meaning:
        return Meaning(self.store, self.consent, self.zone, self.find, self.actor, self.clock())

    def _everything(self, customer_id: int, channels: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Return every purpose there is or was, each with those of the channels that it has, or all of them."""
        there: dict[str, dict[str, None]] = {}
        for name, purpose in self.consent.purposes.items():
            there[name] = dict.fromkeys(purpose.channels or ("",))
        for one in self.store.consents.states(customer_id):
            there.setdefault(one.purpose, {})[one.channel] = None
        for channel in channels:
            if not any(channel in own for own in there.values()):
                hint = near_name(channel, self.consent.channels)
                raise UnknownName(f"there is no channel `{channel}`", hint, column="channel")
        chosen = {name: tuple(one for one in own if one in channels) for name, own in there.items()}
        return {name: own for name, own in chosen.items() if own} if channels else dict.fromkeys(there, ())

    def _check_columns(self, columns: Sequence[str]) -> None:
        for name in NEEDED:
            if name not in columns:
                raise BadRequest(f"the file has no column `{name}`", "its columns are " + ", ".join(COLUMNS))
        for name in columns:
            if name not in COLUMNS:
                hint = near_name(name, COLUMNS) or "take it out: its columns are " + ", ".join(COLUMNS)
                raise BadRequest(f"the column `{name}` means nothing here", hint)
