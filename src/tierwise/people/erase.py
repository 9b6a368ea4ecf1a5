"""Erasing a person from everything Tierwise has written: found first, then taken out, then proved to be gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.erase import erase_customers
from tierwise.errors import EngineRefused
from tierwise.lake import Lake
from tierwise.lake.rewriting import mentions, rewrite_without
from tierwise.people.files import digest_of, erase_files, files_naming
from tierwise.people.person import Person, person
from tierwise.people.refused import erase_originals, named_originals
from tierwise.store import Actor, Erasure, Store

__all__ = ["Premises", "erase", "finish_pending", "receipt_of", "survey"]

#: A receipt names so many lines of a file, and counts the others.
_LINES_NAMED: Final = 20
_STAYS: Final = "the membership log, under a number that nothing leads back to a person"


@dataclass(frozen=True)
class Premises:
    """Where everything lies that Tierwise has written of a project."""

    folder: Path
    store: Store
    lake: Lake

    @property
    def quarantine(self) -> Path:
        """The folder of the quarantine's files."""
        return self.folder / "store" / "quarantine"


def survey(premises: Premises, who: Person) -> dict[str, Any]:
    """Return what erasing a person destroys, and which of the brand's own files still name them; change nothing."""
    found = mentions(premises.lake, who.records, who.words, who.numbers)
    refused = named_originals(premises.quarantine, who, premises.store.originals)
    lines: dict[tuple[str, str], list[int]] = {}
    about = {entry.number: entry.about for entry in premises.lake.entries("rows")}
    for number, some in (*found.lines.items(), *refused.lines.items()):
        if number in about:
            lines.setdefault((about[number]["source"], about[number]["file"]), []).extend(some)
    return {
        "customer_id": who.customer_id,
        "source_records": len(who.records),
        "values": dict(sorted(Counter(one.field for one in who.values).items())),
        "lake": dict(sorted(found.rows.items())),
        "named_in_other_rows": found.words,
        "quarantine": refused.rows,
        "exports": len(files_naming(premises.store.exports.list(), who)),
        "input_files": [_input(premises, *key, some) for key, some in sorted(lines.items())],
        "stays": _STAYS,
    }


def _input(premises: Premises, source: str, file: str, lines: list[int]) -> dict[str, Any]:
    """Return one of the brand's files, with the lines as they were when it was read last."""
    known = sorted(set(lines))
    path = premises.folder / file
    last = next(
        (
            entry.about["fingerprint"]
            for entry in reversed(premises.lake.entries("rows"))
            if entry.about.get("source") == source and entry.about["file"] == file
        ),
        None,
    )
    state = "missing" if not path.is_file() else "unchanged" if digest_of(path) == last else "changed since it was read"
    return {
        "source": source,
        "file": file,
        "lines": known[:_LINES_NAMED],
        "more_lines": max(0, len(known) - _LINES_NAMED),
        "state": state,
    }


def erase(premises: Premises, engine: DuckEngine, customer_id: int, actor: Actor, at: datetime) -> dict[str, Any]:
    """Erase a customer; return the receipt. A process that is killed meanwhile goes on by `finish_pending`.

    The engine is its owner's: nobody else imports or computes meanwhile.
    """
    who = person(premises.store, customer_id)
    receipt = survey(premises, who)
    erasure_id = premises.store.erasures.begin(customer_id, actor, at, receipt)
    return _go_on(premises, engine, premises.store.erasures.get(erasure_id), at)


def finish_pending(premises: Premises, engine: DuckEngine, at: datetime) -> list[dict[str, Any]]:
    """Finish the erasures that a killed process left; return their receipts."""
    return [_go_on(premises, engine, pending, at) for pending in premises.store.erasures.pending()]


def _go_on(premises: Premises, engine: DuckEngine, erasure: Erasure, at: datetime) -> dict[str, Any]:
    store = premises.store
    removed: list[str] = []
    changed: list[str] = []
    if erasure.state == "begun":
        who = person(store, erasure.customer_id)
        erase_originals(premises.quarantine, who, store.originals)
        rewrite_without(premises.lake, who.records, who.words, who.numbers)
        premises.lake.sweep()
        removed, changed = erase_files(store.exports, who)
        computed = erase_customers(engine, [who.customer_id], who.words)
        left = mentions(premises.lake, who.records, who.words, who.numbers)
        if left.files or named_originals(premises.quarantine, who, store.originals).rows:
            raise EngineRefused("something of the person was written while they were erased", "erase them again")
        store.erasures.destroy(erasure.erasure_id, who.records, {"engine": computed})
    return receipt_of(store.erasures.finish(erasure.erasure_id, at), removed, changed)


def receipt_of(done: Erasure, removed: Sequence[str] = (), changed: Sequence[str] = ()) -> dict[str, Any]:
    """Return the receipt of an erasure.

    Args:
        done: the erasure.
        removed: the exported files that were removed on the way.
        changed: those that somebody had changed since, and that therefore were not.
    """
    return {
        "erasure_id": done.erasure_id,
        "state": done.state,
        "begun_at": done.begun_at,
        "ended_at": done.ended_at,
        **(done.receipt or {}),
        "exports_removed": list(removed),
        "exports_changed_since": list(changed),
    }
