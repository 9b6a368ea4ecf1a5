"""The audit: who did what, when, to what; append-only, and chained so that whatever is changed later shows.

An entry is written in the transaction of the deed it records (`note`). The chain over the entries is written after
their commit, in batches (`Audit.seal`): a chain head inside those transactions would make all of them wait for one
row. Each seal hashes its entry together with the seal before it, so that an entry that is edited, removed, inserted or
moved breaks the chain. A tail that is cut off breaks nothing; it shows because a file outside the database, the
*anchor*, knows where the chain ended after every batch. Whoever can write both could write both again from the
beginning: so once there is a people vault each line of the anchor carries a code that only its key gives.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select

from tierwise.errors import VaultLocked
from tierwise.store.actors import SYSTEM, Actor
from tierwise.store.schema import audit_entries, audit_seals
from tierwise.store.sequences import reserve, take
from tierwise.store.transactions import Transactions
from tierwise.store.vault import Vault

__all__ = ["Audit", "AuditEntry", "AuditReport", "Finding", "note"]

#: What stands before the first seal.
_GENESIS: Final = "0" * 64
_METHOD: Final = "sha256"
_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One recorded deed; `seq` is its place in the chain, nothing while it is not sealed yet."""

    entry_id: int
    seq: int | None
    at: datetime
    actor: Actor
    action: str
    object: str
    details: Mapping[str, Any] | None
    hash: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be: what kind of thing, and where."""

    what: str
    message: str

    def as_json(self) -> dict[str, str]:
        """Return the finding as plain values."""
        return {"what": self.what, "message": self.message}


@dataclass
class AuditReport:
    """What a verification saw: how many entries, how many of them sealed, what is wrong."""

    entries: int = 0
    sealed: int = 0
    anchored: int = 0
    findings: list[Finding] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        found = [finding.as_json() for finding in self.findings]
        return {"entries": self.entries, "sealed": self.sealed, "anchored": self.anchored, "findings": found}


def note(
    connection: Connection,
    at: datetime,
    actor: Actor,
    action: str,
    on: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record a deed in the transaction that does it.

    Args:
        connection: The transaction.
        at: When.
        actor: Who.
        action: What, as ``noun.verb``.
        on: To what, as ``noun:number``; a customer is named by number.
        details: What else matters, without personal data: numbers, names of definitions, hashes.
    """
    row = {"at": at, "actor": str(actor), "action": action, "object": on, "details": details}
    connection.execute(insert(audit_entries).values(row))


class Audit:
    """The verbs of the audit, on one store.

    Args:
        transactions: The store.
        anchor: The file that knows where the chain ended; without one, a tail that is cut off does not show.
        vault: Whose key the anchor's lines are written under, once it holds anything; without one they never are.
    """

    def __init__(self, transactions: Transactions, anchor: Path | None, vault: Vault | None = None) -> None:
        self._transactions = transactions
        self.anchor = anchor
        self._vault = vault

    def record(
        self, at: datetime, actor: Actor, action: str, on: str, details: Mapping[str, Any] | None = None
    ) -> None:
        """Record a deed that has no transaction of its own in the store (see `note`)."""
        with self._transactions.write() as connection:
            note(connection, at, actor, action, on, details)

    def list(self, limit: int = 50, *, on: str | None = None) -> list[AuditEntry]:
        """Return the newest entries, newest first, if need be only those of one object."""
        chosen = _joined().order_by(audit_entries.c.entry_id.desc()).limit(limit)
        if on is not None:
            chosen = chosen.where(audit_entries.c.object == on)
        with self._transactions.read() as connection:
            return [_entry(row) for row in connection.execute(chosen)]

    # -- sealing ----------------------------------------------------------------------------------------------------

    def seal(self) -> int:
        """Chain the entries that are committed and not sealed yet; return how many there were.

        Whoever dies between the commit and the anchor leaves a chain that is longer than the anchor knows; the next
        call goes on from there.
        """
        with self._transactions.read() as connection:
            if not _pending(connection):
                return 0
        known = self._anchored()
        sealed = 0
        while True:
            with self._transactions.write() as connection:
                reserve(connection, "audit_seq")
                seq, head = _head(connection)
                if seq and self.anchor is not None and not known:
                    # Deleting the anchor must leave a trace, also where a second machine begins one rightly.
                    at = connection.execute(select(func.max(audit_entries.c.at))).scalar_one()
                    note(connection, at, SYSTEM, "audit.anchor", f"seal:{seq}", {"begins_after": seq})
                rows = connection.execute(_unsealed().limit(_BATCH)).all()
                if not rows:
                    return sealed
                # The numbers are taken, not counted on: were the last seals removed, the new ones leave a gap.
                seals = list(_chained(rows, take(connection, "audit_seq", len(rows)), head))
                connection.execute(insert(audit_seals), seals)
            known[seals[-1]["seq"]] = seals[-1]["hash"]
            self._append(seals[-1]["seq"], seals[-1]["hash"])
            sealed += len(seals)

    def _append(self, seq: int, digest: str) -> None:
        if self.anchor is None:
            return
        new = not self.anchor.exists()
        handle = os.open(self.anchor, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        line: dict[str, Any] = {"seq": seq, "hash": digest}
        with suppress(VaultLocked):  # without its key an entry is sealed all the same; the next line has a code again
            if self._vault is not None and self._vault.in_use():
                line["code"] = _code(self._vault, seq, digest)
        try:
            # Each line begins with a line break, because the one before may have been cut short by a power cut.
            os.write(handle, ("\n" + json.dumps(line) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            folder = os.open(self.anchor.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _lines(self) -> Sequence[tuple[int, str, str]]:
        """Return (seal, hash, code) of the anchor's lines; what a power cut left of a line is none."""
        if self.anchor is None or not self.anchor.exists():
            return []
        lines = self.anchor.read_text(encoding="utf-8", errors="replace").splitlines()
        return [found for line in lines if (found := _anchored_seal(line)) is not None]

    def _anchored(self) -> dict[int, str]:
        """Return the seals the anchor knows."""
        return {seq: digest for seq, digest, _ in self._lines()}

    def _forged(self) -> Iterator[Finding]:
        """Say which lines of the anchor were not written under the vault's key."""
        lines = self._lines()
        if not lines or self._vault is None or not self._vault.in_use():
            return
        try:
            for seq, digest, code in lines:
                if code and not hmac.compare_digest(code, _code(self._vault, seq, digest)):
                    yield Finding("anchor", f"the anchor's line of seal {seq} was not written under the vault's key")
        except VaultLocked as error:
            yield Finding("anchor", f"whether the anchor was rewritten cannot be told: {error.message}")
            return
        with self._transactions.read() as connection:
            waiting = _pending(connection)
        if not lines[-1][2] and not waiting:
            yield Finding(
                "anchor",
                f"the anchor's line of seal {lines[-1][0]} was not written under the vault's key: by a process that has"
                " no key, or by somebody who wrote the anchor again; the next seal is",
            )

    # -- verifying --------------------------------------------------------------------------------------------------

    def verify(self) -> AuditReport:
        """Recompute the whole chain, compare it with the anchor, and say what does not fit."""
        report = AuditReport()
        wanted = self._anchored()
        found = report.findings
        expected, head, newest = 1, _GENESIS, 0
        with self._transactions.read() as connection:
            report.entries = connection.execute(select(func.count()).select_from(audit_entries)).scalar_one()
            for row in _sealed(connection):
                if row.seq != expected:
                    found.append(Finding("removed", f"seals {expected} to {row.seq - 1} are missing"))
                elif row.prev_hash != head:
                    found.append(Finding("chain", f"seal {row.seq} does not follow seal {row.seq - 1}"))
                if row.at is None:
                    found.append(Finding("removed", f"the entry of seal {row.seq} is missing"))
                elif row.hash != _digest(row, row.seq, row.prev_hash):
                    found.append(Finding("edited", f"entry {row.entry_id} (seal {row.seq}) is not what was sealed"))
                if row.entry_id < newest and self._transactions.is_sqlite:  # one writer: entries come in their order
                    found.append(Finding("inserted", f"entry {row.entry_id} was put before entry {newest} later"))
                if row.seq in wanted and wanted[row.seq] != row.hash:
                    found.append(Finding("anchor", f"seal {row.seq} is not the one the anchor knows: it was rewritten"))
                expected, head, newest = row.seq + 1, row.hash, max(newest, row.entry_id)
                report.sealed += 1
        report.anchored = max(wanted, default=0)
        if report.anchored >= expected:
            cut = f"the anchor knows seal {report.anchored}, the chain ends at {expected - 1}"
            found.append(Finding("truncated", f"{cut}: entries were cut off, or an older copy was restored"))
        found += self._forged()
        if report.sealed and self.anchor is not None and not wanted:
            found.append(Finding("anchor", f"{self.anchor} is missing: a tail that was cut off would not show"))
        return report


def _code(vault: Vault, seq: int, digest: str) -> str:
    return vault.hasher("audit", "anchor")(f"{seq}|{digest}".encode()).hex()


def _anchored_seal(line: str) -> tuple[int, str, str] | None:
    try:
        read = json.loads(line)
        return int(read["seq"]), str(read["hash"]), str(read.get("code", ""))
    except (ValueError, TypeError, KeyError):
        return None


def _joined() -> Select[Any]:
    seals = audit_entries.outerjoin(audit_seals, audit_seals.c.entry_id == audit_entries.c.entry_id)
    return select(audit_entries, audit_seals.c.seq, audit_seals.c.hash).select_from(seals)


def _unsealed() -> Select[Any]:
    sealed = select(audit_seals.c.seq).where(audit_seals.c.entry_id == audit_entries.c.entry_id).exists()
    return select(audit_entries).where(~sealed).order_by(audit_entries.c.entry_id)


def _pending(connection: Connection) -> bool:
    return connection.execute(_unsealed().limit(1)).first() is not None


def _sealed(connection: Connection) -> Iterator[Row[Any]]:
    """Yield every seal in its order, with its entry if that is there."""
    entry = [column for column in audit_entries.c if column.name != "entry_id"]
    both = audit_seals.outerjoin(audit_entries, audit_seals.c.entry_id == audit_entries.c.entry_id)
    chosen = select(audit_seals, *entry).select_from(both).order_by(audit_seals.c.seq)
    for rows in connection.execute(chosen).partitions(_BATCH):
        yield from rows


def _head(connection: Connection) -> tuple[int, str]:
    """Return the number and the hash of the last seal."""
    newest = select(audit_seals.c.seq, audit_seals.c.hash).order_by(audit_seals.c.seq.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return (int(row.seq), str(row.hash)) if row else (0, _GENESIS)


def _chained(rows: Any, first: int, head: str) -> Iterator[dict[str, Any]]:
    for seq, row in enumerate(rows, first):
        digest = _digest(row, seq, head)
        yield {"seq": seq, "entry_id": row.entry_id, "method": _METHOD, "prev_hash": head, "hash": digest}
        head = digest


def _digest(row: Row[Any], seq: int, prev_hash: str) -> str:
    """Return the hash of an entry in its place: of one text that nothing but these values gives."""
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    whole = [seq, row.entry_id, at, row.actor, row.action, row.object, row.details, prev_hash]
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**{**row._mapping, "actor": Actor.parse(row.actor)})
