"""A brand's own definitions proved: by customers whose tiers are known by hand, and in worlds drawn for them."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.reference import Row
from tierwise.definitions.language.times import parse_date, parse_instant
from tierwise.definitions.language.typed import Const, Value, walk_typed
from tierwise.definitions.streams import CUSTOMERS, Column, Stream
from tierwise.engine.as_of import read_as_of
from tierwise.engine.run import derived, sources_of
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.sources.lookups import read_lookup
from tierwise.testing.chains import Chain
from tierwise.testing.drawing import AGES, VALUES, Pick
from tierwise.testing.pieces import in_pieces
from tierwise.testing.worlds import Case
from tierwise.verbs.declared import Declared

__all__ = ["Rows", "check_definitions", "check_truth"]

#: Stream → customer → rows, each a mapping of columns; `time` as everywhere, the project's zone meant.
Rows = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
_AS_OF: Final = datetime(2026, 6, 30, 16)
_KEYS: Final = ("k1", "k2", "k3", "k4", "k5")


def check_truth(
    folder: Path | str,
    as_of: str,
    rows: Rows,
    expected: Mapping[str, Mapping[str, Any]],
    reference: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> list[str]:
    """Say where a project's definitions do not give what is expected of some customers; empty when they do.

    The rows come in pieces: late, wrong at first, of somebody else; after each piece is a refresh. What it answers, what
    a full run answers and what the reference evaluator says must be the same at every step, and at the end as expected.

    Args:
        folder: the project.
        as_of: the instant of the answers, or a date, which means its end.
        rows: stream → customer → rows; ``customers`` are what is known of a customer.
        expected: customer → tag, tiering or segment → the answer.
        reference: ``products`` and ``stores``, by key.

    Raises:
        DefinitionsInvalid: when the definitions have problems.
        UnknownName: when a stream, a column or an expected name is not declared.
        BadRequest: when a value cannot be understood.
    """
    catalogue = Declared(Path(folder)).current().catalogue
    people = sorted({*expected, *(name for own in rows.values() for name in own)})
    numbers = {name: number for number, name in enumerate(people, 1)}
    instant = read_as_of(as_of, catalogue.zone, _AS_OF, lambda: None)
    for stream in rows:
        _table(catalogue, stream)
    found = {
        stream: {
            numbers[name]: [_row(catalogue, stream, f"{place:04d}", one) for place, one in enumerate(own)]
            for name, own in by_customer.items()
        }
        for stream, by_customer in rows.items()
    }
    case = replace(_empty(catalogue), as_of=instant, customers=tuple(numbers.values()), reference=reference or {})
    case = replace(case, records=found.pop(CUSTOMERS.name, {}), streams={**case.streams, **found})
    names = set(case.names)
    for name in (name for own in expected.values() for name in own):
        if name not in names:
            raise UnknownName(f"nothing of the name `{name}` is defined", near_name(name, names))
    with tempfile.TemporaryDirectory() as lake, Chain(Path(lake)) as chain:
        differing = _lived(chain, case, catalogue)
        answers = chain.steps[-1].answers
    for person, own in expected.items():
        for name, wanted in own.items():
            value = answers.get((numbers[person], name), "not known")
            if value != wanted:
                differing.append(f"{person}: {name} is {value!r}, not {wanted!r}")
    return differing


def check_definitions(folder: Path | str, worlds: int = 10, seed: int = 1) -> list[str]:
    """Say where refresh, full run, as-of and reference disagree about a project's definitions; empty when they agree.

    The worlds are drawn for the project: rows of the streams its sources map, with values that its rules speak of.

    Args:
        folder: the project.
        worlds: how many worlds.
        seed: which; the same number draws the same worlds.

    Raises:
        DefinitionsInvalid: when the definitions have problems.
    """
    catalogue = Declared(Path(folder)).current().catalogue
    spoken = _spoken(catalogue)
    found = []
    for number in range(worlds):
        pick = random.Random(f"{seed}/{number}").choice
        case = _drawn(catalogue, pick, spoken)
        with tempfile.TemporaryDirectory() as lake, Chain(Path(lake)) as chain:
            found += [f"world {number} of seed {seed}, {line}" for line in _lived(chain, case, catalogue)]
    return found


def _lived(chain: Chain, case: Case, catalogue: Catalogue) -> list[str]:
    states = in_pieces(case, known=bool(sources_of(catalogue, CUSTOMERS.name)))
    found = [line for state in states for line in chain.advance(replace(state, checked=catalogue))]
    return found + chain.whole() + chain.as_of(case.as_of - timedelta(days=20))


def _empty(catalogue: Catalogue) -> Case:
    """Return a case of a project's definitions and lookups, without rows."""
    definitions = catalogue.definitions
    of_items = derived(catalogue) is not None
    brought = [
        name for name in catalogue.streams if sources_of(catalogue, name) and not (of_items and name == "orders")
    ]
    lookups = {name: _small(read_lookup(form, definitions)) for name, form in definitions.lookups.items()}
    return Case(
        tags={name: form.value for name, form in definitions.tags.items()},
        as_of=_AS_OF,
        segments={name: str(form.rule or "") for name, form in definitions.segments.items()},
        tierings=dict.fromkeys(definitions.tierings, ""),
        zone=catalogue.zone.name,
        streams={name: {} for name in brought},
        lookups=lookups,
    )


def _small(table: pa.Table) -> dict[str, dict[str, Value]]:
    return {row.pop("key"): row for row in table.to_pylist()}


# -- rows as a person writes them -----------------------------------------------------------------------------------


def _row(catalogue: Catalogue, stream: str, key: str, written: Mapping[str, Any]) -> Row:
    table = _table(catalogue, stream)
    kinds = {column.name: column.kind for column in _own(table)}
    values: dict[str, Value] = {}
    for name, value in written.items():
        if name not in kinds and name != "time":
            raise UnknownName(f"`{stream}` has no column `{name}`", near_name(name, kinds))
        if name != "time":
            values[name] = _value(catalogue, kinds[name], value, f"{stream}.{name}")
    time = catalogue.zone.midnight(date(2000, 1, 1))
    if "time" in written:
        time = read_as_of(_instant(written["time"]), catalogue.zone, _AS_OF, lambda: None)
        day = parse_date(str(written["time"]))
        time = time if day is None else catalogue.zone.midnight(day)
    return Row(time, key, values)


def _table(catalogue: Catalogue, stream: str) -> Stream:
    tables = {**catalogue.streams, CUSTOMERS.name: catalogue.reference[CUSTOMERS.name]}
    if stream not in tables or not sources_of(catalogue, stream):
        raise UnknownName(f"no source brings `{stream}`", near_name(stream, tables))
    return tables[stream]


def _own(stream: Stream) -> list[Column]:
    return [column for column in stream.columns if not column.computed and not column.origin]


def _instant(written: Any) -> datetime | str:
    return written if isinstance(written, datetime) else str(written)


def _value(catalogue: Catalogue, kind: Kind, written: Any, where: str) -> Value:
    """Return a value of a kind, from what stands for it in YAML or Python."""
    found: Value = None
    if written is None:
        return None
    match kind.name:
        case "money" | "decimal":
            with suppress(InvalidOperation):
                found = Decimal(str(written)).quantize(Decimal("0.01" if kind.name == "money" else "0.000001"))
        case "date":
            found = written if isinstance(written, date) else parse_date(str(written))
        case "instant":
            found = written if isinstance(written, datetime) else parse_instant(str(written), catalogue.zone)
        case "float":
            found = float(written)
        case _:
            found = written
    if found is None:
        raise BadRequest(f"{where}: {written!r} is no {kind}", "write it as in a definition")
    return found


# -- rows drawn for a project ---------------------------------------------------------------------------------------


def _spoken(catalogue: Catalogue) -> Mapping[str, Sequence[Any]]:
    """Return the values of each kind to draw: ordinary ones, and those the rules compare with, with their neighbours."""
    found: dict[str, list[Any]] = {kind: [v for v in values[:6] if v is not None] for kind, values in VALUES.items()}
    parameters = [(kind.name, value) for kind, value in catalogue.parameters.values()]
    constants = [
        (node.kind.name, node.value)
        for rules in catalogue.written.values()
        for rule in rules
        for node in walk_typed(rule)
        if isinstance(node, Const)
    ]
    for kind, value in dict.fromkeys((*parameters, *constants)):
        if kind in ("integer", "decimal", "money") and isinstance(value, int | Decimal):
            for target, digits in (("money", "0.01"), ("decimal", "0.000001")):
                exact = Decimal(value).quantize(Decimal(digits))
                found[target] += [exact, exact - Decimal(digits)]
        elif kind in found and value is not None:
            found[kind].append(value)
    return {kind: (*values, None) for kind, values in found.items()}


def _drawn(catalogue: Catalogue, pick: Pick, spoken: Mapping[str, Sequence[Any]]) -> Case:
    """Draw a world of a project."""
    case = _empty(catalogue)
    reference = {
        name: {key: _values(pick, table, spoken, table.key) for key in _KEYS[:3]}
        for name, table in catalogue.reference.items()
        if name != CUSTOMERS.name and sources_of(catalogue, name)
    }
    as_of = _AS_OF - timedelta(days=pick(range(400)), hours=pick(range(24)))
    customers = range(1, pick((3, 4, 6)) + 1)
    streams = {
        name: {c: _drawn_rows(pick, catalogue.streams[name], spoken, as_of, f"{c}.") for c in customers}
        for name in case.streams
    }
    people = catalogue.reference[CUSTOMERS.name]
    known = sources_of(catalogue, CUSTOMERS.name)
    records = {c: _drawn_rows(pick, people, spoken, as_of, "c")[:2] for c in customers} if known else {}
    return replace(case, as_of=as_of, customers=customers, streams=streams, records=records, reference=reference)


def _drawn_rows(
    pick: Pick, stream: Stream, spoken: Mapping[str, Sequence[Any]], as_of: datetime, prefix: str
) -> list[Row]:
    rows = []
    for place in range(pick((0, 1, 2, 3, 5))):
        values = _values(pick, stream, spoken, "")
        if stream.name == "orders":
            values["order_id"] = f"{prefix}{place}"
        elif "order_id" in values:  # of one's own order, of another's, or of none
            values["order_id"] = pick((f"{prefix}{pick(range(3))}", f"{prefix}{pick(range(3))}", "1.0", None))
        rows.append(Row(as_of - pick(AGES), f"{prefix}{place}", values))
    return rows


def _values(pick: Pick, stream: Stream, spoken: Mapping[str, Sequence[Any]], without: str) -> dict[str, Value]:
    keys: Iterable[str] = ("sku", "store_id", "order_id")
    return {
        column.name: pick(_KEYS) if column.name in keys else pick(spoken[column.kind.name])
        for column in _own(stream)
        if column.name != without
    }
