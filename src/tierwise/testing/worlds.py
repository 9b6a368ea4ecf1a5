"""One world for both evaluators: definitions and rows, the engine over them, and where it differs from the reference."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.definitions.check import Catalogue, check
from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.reference import Change, Evaluation, Published, Row, Said, World
from tierwise.definitions.language.typed import Expr, Population, Value, walk_typed
from tierwise.definitions.load import define
from tierwise.definitions.streams import BUILT_IN, CUSTOMERS, Column
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import RECORDS, build_lookup, build_stream, source_of
from tierwise.engine.by_hand import SAID
from tierwise.engine.cells import named_cell
from tierwise.engine.distributions import Distribution, from_rows, to_rows
from tierwise.engine.evaluate import KNOWN_CUSTOMERS, Backend, Evaluator
from tierwise.engine.received import IDS
from tierwise.engine.snapshot import Snapshot, Spine, customers, everyone, moments
from tierwise.errors import TierwiseError
from tierwise.lake import Lake

__all__ = [
    "ATTRIBUTES",
    "COLUMNS",
    "SOURCE",
    "SPINES",
    "Case",
    "agreed",
    "around",
    "at",
    "catalogue_of",
    "differences",
    "engine_of",
    "fill",
    "lake_rows",
    "log_of",
    "named",
    "populations",
    "reference_of",
    "row",
    "said_of",
    "same",
    "spines",
]

#: Who can be asked about.
SPINES: Final = ("everyone", "customers", "moments")
#: The columns of the stream `s` that every case declares: one of each kind.
COLUMNS: Final = {
    "n": "integer", "q": "decimal", "m": "money", "f": "float", "t": "text", "b": "boolean", "d": "date", "i": "instant",
}  # fmt: skip
#: The attributes every case maps: built in, and of kinds that no built-in one has.
ATTRIBUTES: Final = {
    "birth_date": "date", "city": "text", "registered_at": "instant", "children": "integer", "income": "money",
    "weight": "decimal", "ratio": "float", "vip": "boolean", "baby_birthday": "date",
}  # fmt: skip
_BUILT_IN: Final = frozenset(column.name for column in CUSTOMERS.columns)
_ARROW: Final = {
    "boolean": pa.bool_(), "integer": pa.int64(), "decimal": pa.decimal128(18, 6), "money": pa.decimal128(18, 2),
    "float": pa.float64(), "text": pa.string(), "date": pa.date32(), "instant": pa.timestamp("us"),
}  # fmt: skip
_SYSTEM: Final = {
    "source": pa.string(), "key_space": pa.string(), "source_record_id": pa.int64(), "row_key": pa.string(),
    "time": pa.timestamp("us"), "received_at": pa.timestamp("us"), "import_id": pa.int64(), "op": pa.string(),
    "fate": pa.string(), "line": pa.int64(),
}  # fmt: skip
#: The name of the one source that brings everything, and when it does: after all rows, so that each says its own time.
SOURCE: Final = "crm"
_RECEIVED: Final = datetime(2100, 1, 1)


def at(text: str) -> datetime:
    """An instant as it is written in UTC."""
    return datetime.fromisoformat(text)


def row(time: str, key: str = "", /, **values: Value) -> Row:
    """A row of a stream, its time in UTC."""
    return Row(at(time), key or time, values)


@dataclass(frozen=True)
class Case:
    """Definitions, rows and an as_of; `tags` are (name, expression) in order, `lookups` table → key → column → value.

    `changes` is what the membership log holds, `said` what was said by hand, both by customer. `reference` are the
    products and stores, table → key → column → value.
    """

    tags: Mapping[str, str]
    as_of: datetime
    customers: Sequence[int] = (1,)
    streams: Mapping[str, Mapping[int, Sequence[Row]]] = field(default_factory=dict)
    records: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    zone: str = "Asia/Shanghai"
    segments: Mapping[str, str] = field(default_factory=dict)
    tierings: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lookups: Mapping[str, Mapping[str, Mapping[str, Value]]] = field(default_factory=dict)
    moments: Sequence[datetime] = ()
    declared: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changes: Mapping[int, Sequence[Change]] = field(default_factory=dict)
    said: Mapping[int, Sequence[Said]] = field(default_factory=dict)
    reference: Mapping[str, Mapping[str, Mapping[str, Value]]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Everything that is evaluated."""
        return [*self.tags, *self.segments, *self.tierings]


def catalogue_of(case: Case) -> Catalogue:
    """Check the case's definitions, which must be good."""
    attributes = {n: {"value": n} if n in _BUILT_IN else {"value": n, "type": kind} for n, kind in ATTRIBUTES.items()}
    declared = {"s": COLUMNS, **case.declared}
    brought = {
        name: {"columns": {column: column for column in declared.get(name) or _columns_of(name)}}
        for name in {*case.streams, *(["refunds"] if "orders" in case.streams else [])}
    }
    definitions, problems = define(
        {"name": "case", "timezone": case.zone},
        sources={SOURCE: {"file": "crm.csv", "streams": {"customers": {"columns": attributes}, **brought}}},
        streams={name: {"columns": columns} for name, columns in declared.items()},
        lookups={
            name: {"file": f"{name}.csv", "key": "key", "types": _types(rows)} for name, rows in case.lookups.items()
        },
        tags=case.tags,
        segments=case.segments,
        tierings=case.tierings,
        parameters=case.parameters,
    )
    assert definitions is not None and not problems, "\n".join(map(str, problems))
    columns = {name: ["key", *_types(rows)] for name, rows in case.lookups.items()}
    catalogue, problems = check(definitions, columns)
    assert catalogue is not None, "\n".join(
        f"{problem.place if hasattr(problem, 'place') else ''}{problem}" for problem in problems
    )
    return catalogue


def _columns_of(stream: str) -> list[str]:
    return [column.name for column in BUILT_IN[stream].columns if not column.computed and not column.origin]


def _types(rows: Mapping[str, Mapping[str, Value]]) -> dict[str, str]:
    first = next(iter(rows.values()))
    names = {bool: "boolean", int: "integer", str: "text", float: "float"}
    return {column: names.get(type(value), "money") for column, value in first.items()}


# -- the reference -----------------------------------------------------------------------------------------------------


def reference_of(case: Case, catalogue: Catalogue) -> World:
    """The world the reference evaluator walks over; rows of one key space when they name none."""

    def known(rows: Mapping[int, Sequence[Row]]) -> dict[int, list[Row]]:
        return {
            customer: [Row(r.time, r.row_key, {"key_space": "default", **r.values}) for r in own]
            for customer, own in rows.items()
        }

    def expression(rule: Any) -> Expr:
        assert rule.expr is not None
        found: Expr = rule.expr
        return found

    return World(
        streams={name: known(rows) for name, rows in case.streams.items()},
        records=case.records,
        customers=list(case.customers),
        lookups=case.lookups,
        parameters={name: value for name, (_, value) in catalogue.parameters.items()},
        tags={name: expression(rule) for name, rule in catalogue.tags.items()},
        segments={name: expression(rule) for name, rule in catalogue.segments.items()},
        tierings={name: [(t, rule.expr) for t, rule in rules.items()] for name, rules in catalogue.tierings.items()},
        changes=case.changes,
        said=case.said,
        stays={
            name: {tier: expression(rule) for tier, rule in rules.items()} for name, rules in catalogue.stays.items()
        },
        keeps={n: form.keep.keeping for n, form in catalogue.definitions.tierings.items() if form.keep is not None},
        zone=catalogue.zone,
    )


class _Reference:
    """The reference's answers at the as_of of the case and at other moments, by then published or not."""

    def __init__(self, case: Case, catalogue: Catalogue) -> None:
        self.world = reference_of(case, catalogue)
        self.first = Evaluation(self.world, case.as_of)
        self.others: dict[datetime, Evaluation] = {case.as_of: self.first}

    def value(self, name: str, customer: int, as_of: datetime) -> Value:
        if as_of not in self.others:
            nodes = list(populations(self.world))
            later = as_of > self.first.now.as_of
            published = {node: self.first.publish(node) if later else Published({}) for node in nodes}
            self.others[as_of] = Evaluation(self.world, as_of, published)
        evaluation = self.others[as_of]
        return named(evaluation, name, customer)


def named(evaluation: Evaluation, name: str, customer: int) -> Value:
    """Return what the reference says of a customer to a name: a tag, a tiering or a segment."""
    if name in evaluation.world.tierings:
        return evaluation.tier_of(name, customer)
    if name in evaluation.world.tags:
        return evaluation.tag(name, customer)
    return evaluation.segment(name, customer)


def populations(world: World) -> Iterator[Population]:
    """Yield every comparison with a population that the definitions make."""
    rules = [rule for tiers in world.tierings.values() for _, rule in tiers if rule is not None]
    for expr in (*world.tags.values(), *world.segments.values(), *rules):
        yield from (node for node in walk_typed(expr) if isinstance(node, Population))


# -- the engine --------------------------------------------------------------------------------------------------------


@contextmanager
def engine_of(case: Case, catalogue: Catalogue) -> Iterator[DuckEngine]:
    """An engine in memory whose tables were built from a lake that holds the case's rows."""
    with tempfile.TemporaryDirectory() as folder, DuckEngine(None, threads=1) as engine:
        fill(engine, case, catalogue, Path(folder))
        yield engine


@contextmanager
def _filled(case: Case, catalogue: Catalogue, backend: Backend | None) -> Iterator[Backend]:
    """An engine with the case's rows: an empty one that is given, or one in memory."""
    if backend is None:
        with engine_of(case, catalogue) as engine:
            yield engine
        return
    with tempfile.TemporaryDirectory() as folder:
        fill(backend, case, catalogue, Path(folder))
        yield backend


def fill(engine: Backend, case: Case, catalogue: Catalogue, folder: Path) -> None:
    """Build an engine's tables from a lake in an empty folder that holds the case's rows."""
    lake = _lake(case, catalogue, folder)
    ids = pa.array(case.customers, pa.int64())
    keys = pa.array([str(customer) for customer in case.customers], pa.string())
    engine.register(IDS, pa.table({"source_record_id": ids, "customer_id": ids, "customer_key": keys}))
    always = pa.array([None] * len(keys), pa.timestamp("us"))
    engine.register(KNOWN_CUSTOMERS, pa.table({"customer_id": ids, "customer_key": keys, "known_since": always}))
    for name in ("products", "stores"):
        build_stream(engine, catalogue.reference[name], lake, lake.version, False, name)
    build_stream(engine, catalogue.reference["customers"], lake, lake.version, False, RECORDS)
    wanted = {*case.streams, *(["refunds"] if "orders" in case.streams else [])}
    for name in sorted(wanted, key=lambda stream: (stream != "refunds", stream)):  # orders read refunds
        build_stream(engine, catalogue.streams[name], lake, lake.version, False, name)
    for name, rows in case.lookups.items():
        build_lookup(engine, name, pa.Table.from_pylist([{"key": key, **values} for key, values in rows.items()]))


def _lake(case: Case, catalogue: Catalogue, folder: Path) -> Lake:
    lake = Lake(folder)
    columns = {**catalogue.streams, CUSTOMERS.name: catalogue.reference[CUSTOMERS.name]}
    tables = {
        name: lake_rows(columns[name].columns, [(customer, one, {}) for customer, own in rows.items() for one in own])
        for name, rows in {**case.streams, CUSTOMERS.name: case.records}.items()
    }
    lake.append("rows", {name: table for name, table in tables.items() if table.num_rows}, "one")
    return lake


def lake_rows(columns: Sequence[Column], rows: Iterable[tuple[int, Row, Mapping[str, Any]]]) -> pa.Table:
    """Return rows as an import writes them to the lake.

    Args:
        columns: those of the stream.
        rows: (customer, row, what else the lake says of it, such as the number of its import); the source record of a
            customer has the customer's number.
    """
    own = {c.name: _ARROW[c.kind.name] for c in columns if not c.computed and not c.origin}
    system = {"source": SOURCE, "key_space": "default", "received_at": _RECEIVED, "import_id": 1, "op": "put"}
    listed = [
        {**system, **r.values, "source_record_id": customer, "row_key": r.row_key, "time": r.time, **more}
        for customer, r, more in rows
    ]
    return pa.Table.from_pylist(listed, schema=pa.schema({**_SYSTEM, **own}))


def log_of(case: Case, folder: Path) -> tuple[str, ...]:
    """Write the membership log of a case as a run does; return its files."""
    rows = [
        {"seq": c.seq, "customer_id": customer, "kind": c.kind, "name": c.name, "was": c.was, "is": c.into, "at": c.at, "cause": c.cause}
        for customer, changes in case.changes.items()
        for c in changes
    ]  # fmt: skip
    lake = Lake(folder)
    if rows:
        texts = dict.fromkeys(("kind", "name", "was", "is", "cause"), pa.string())
        numbers = {"seq": pa.int64(), "customer_id": pa.int64(), "at": pa.timestamp("us")}
        lake.append(
            "memberships", {"memberships": pa.Table.from_pylist(rows, schema=pa.schema({**numbers, **texts}))}, "one"
        )
    return tuple(str(path) for path in lake.paths("memberships"))


def said_of(case: Case) -> pa.Table | None:
    """Return what is said by hand as an evaluation reads it, None of nothing."""
    rows = [
        {"fact_id": s.number, "customer_id": customer, "name": s.name, "value": _written(s.value), "valid_from": s.since, "ends_at": s.until}
        for customer, own in case.said.items()
        for s in own
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SAID) if rows else None


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def spines(
    case: Case, catalogue: Catalogue, engine: Backend, names: Sequence[str], of: Sequence[str] = SPINES
) -> dict[str, list[dict[str, Any]]]:
    """The engine's answers for everyone, for some customers, and for moments with what was published for everyone."""
    with tempfile.TemporaryDirectory() as folder:
        return _spines(case, catalogue, engine, names, log_of(case, Path(folder)), of)


def _spines(
    case: Case, catalogue: Catalogue, engine: Backend, names: Sequence[str], log: tuple[str, ...], of: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    parameters = {name: value for name, (_, value) in catalogue.parameters.items()}

    def answer(spine: Spine, published: Mapping[str, tuple[Distribution, ...]] | None = None) -> list[dict[str, Any]]:
        snapshot = Snapshot(case.as_of, "case", parameters, 1, 1, published, log, facts=said_of(case))
        evaluator = Evaluator(engine, catalogue, source_of(catalogue), snapshot)
        rows: list[dict[str, Any]] = evaluator.evaluate(spine, names).to_pylist()
        answer.published = evaluator.published  # type: ignore[attr-defined]
        return rows

    found = {"everyone": answer(everyone(case.as_of))}
    kept = {known: tuple(from_rows(to_rows(list(one)))) for known, one in answer.published.items()}  # type: ignore[attr-defined]
    if "customers" in of:
        some = list(case.customers)[: max(1, len(case.customers) // 2)]
        found["customers"] = answer(customers(some, case.as_of))
    if "moments" not in of:
        return found
    asked = [(c, moment) for moment in (*case.moments, case.as_of) for c in reversed(case.customers)]
    table = pa.table(
        {"customer_id": [c for c, _ in asked], "as_of": pa.array([m for _, m in asked], pa.timestamp("us"))}
    )
    found["moments"] = answer(moments(table), kept)
    return found


# -- comparing ---------------------------------------------------------------------------------------------------------


def same(kind: Kind, left: Any, right: Any) -> bool:
    """Whether two answers are equal: exactly, floats within 1e-9 relative."""
    if left is None or right is None:
        return left is right
    if kind.of is not None:
        return len(left) == len(right) and all(same(kind.of, a, b) for a, b in zip(left, right, strict=True))
    if kind.name == "float":
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)
    return bool(left == right) and type(left) is type(right)


def differences(case: Case, of: Sequence[str] = SPINES, engine: Backend | None = None) -> list[str]:
    """Say where the engine and the reference differ, one line each; empty when they agree in every cell.

    Args:
        case: the world.
        of: who is asked about, of `SPINES`; everyone always.
        engine: an empty one that answers, instead of one in memory.
    """
    return _compared(case, of, engine)[1]


def agreed(case: Case, name: str) -> list[Any]:
    """The answer to one name for every customer of the case, which all evaluations must give."""
    answers, found = _compared(case)
    assert not found, "\n".join(found)
    return [
        line[name] for line in sorted(answers["everyone"], key=lambda line: case.customers.index(line["customer_id"]))
    ]


def _compared(
    case: Case, of: Sequence[str] = SPINES, backend: Backend | None = None
) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    catalogue = catalogue_of(case)
    reference = _Reference(case, catalogue)
    kinds = {name: named_cell(catalogue, name).kind for name in case.names}
    found = []
    with _filled(case, catalogue, backend) as engine:
        try:
            answers = spines(case, catalogue, engine, case.names, of)
        except TierwiseError as error:
            return {}, [f"refused: {error}", *_refused(case, catalogue, engine)]
    for spine, rows in answers.items():
        for line in rows:
            for name, kind in kinds.items():
                customer, as_of = line["customer_id"], line["as_of"]
                value = reference.value(name, customer, as_of)
                if not same(kind, line[name], value):
                    said = case.tags.get(name) or case.segments.get(name) or case.tierings.get(name)
                    moment = "" if as_of == case.as_of else f" at {as_of}"
                    where = f"{spine} {customer}{moment}: {name} ({kind})"
                    found.append(f"{where} engine {line[name]!r} reference {value!r}: {said}")
    if len(answers["everyone"]) != len(case.customers):
        found.append("not everyone is there")
    return answers, found


def _refused(case: Case, catalogue: Catalogue, engine: Backend) -> list[str]:
    """Which names the engine cannot answer, asked one at a time."""
    found = []
    for name in case.names:
        try:
            spines(case, catalogue, engine, [name])
        except TierwiseError as error:
            found.append(f"{name}: {error}: {case.tags.get(name)}\n{getattr(error, 'statement', '')[:3000]}")
    return found


def around(instant: datetime, *micros: int) -> list[datetime]:
    """The instant and its neighbours."""
    return [instant + timedelta(microseconds=m) for m in (0, *micros)]
