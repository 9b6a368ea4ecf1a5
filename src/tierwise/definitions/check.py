"""Checks everything a brand declared, all problems at once, and returns it ready to compile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from tierwise.definitions.consenting import consent_problems
from tierwise.definitions.earning import points_problems
from tierwise.definitions.implication import implies
from tierwise.definitions.language.checker import Scope, TierNames, check_expression
from tierwise.definitions.language.functions import FUNCTIONS, LATER
from tierwise.definitions.language.kinds import BOOLEAN, DURATION, TEXT, Kind, kind_named
from tierwise.definitions.language.nodes import Call, CustomerValue, Literal, Name, Node, Parameter, walk
from tierwise.definitions.language.parser import SyntaxProblem, parse
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.times import Zone, parse_date, parse_duration, parse_instant
from tierwise.definitions.language.typed import Expr, Value
from tierwise.definitions.load import Definitions
from tierwise.definitions.model import OTHERWISE
from tierwise.definitions.model import Parameter as ParameterForm
from tierwise.definitions.remembering import forgetful
from tierwise.definitions.streams import (
    BUILT_IN,
    CUSTOMERS,
    PERSONAL_ROLES,
    PRODUCTS,
    REFERENCE_TABLES,
    STORES,
    Column,
    Stream,
)
from tierwise.errors import DefinitionsInvalid, Place, Problem, near_name

__all__ = ["Catalogue", "Rule", "check", "effective_streams"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One checked expression with its written tree; `expr` is None for ``otherwise``."""

    text: str
    node: Node | None
    expr: Expr | None
    place: Place


@dataclass(frozen=True)
class Catalogue:
    """Checked definitions: every expression typed, names resolved, in an order in which each reads earlier ones."""

    definitions: Definitions
    zone: Zone
    streams: Mapping[str, Stream]
    reference: Mapping[str, Stream]
    attributes: Mapping[str, Kind]
    parameters: Mapping[str, tuple[Kind, Value]]
    lookups: Mapping[str, Mapping[str, Kind]]
    tags: Mapping[str, Rule] = field(default_factory=dict)
    segments: Mapping[str, Rule] = field(default_factory=dict)
    tierings: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict)
    stays: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    sensitive: Mapping[str, frozenset[str]] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    @property
    def written(self) -> dict[str, list[Expr]]:
        """Return the expressions of every tag, segment and tiering, those for staying included."""
        rules: dict[str, list[Rule]] = {name: [rule] for name, rule in (*self.tags.items(), *self.segments.items())}
        for name, tiers in self.tierings.items():
            rules[name] = [*tiers.values(), *self.stays.get(name, {}).values()]
        return {name: [rule.expr for rule in own if rule.expr is not None] for name, own in rules.items()}

    @property
    def scope(self) -> Scope:
        """Return what an expression asked from outside (estimate, sql of a tag …) can refer to."""
        return Scope(
            streams=self.streams,
            attributes=self.attributes,
            tags={name: rule.expr.kind for name, rule in self.tags.items() if rule.expr is not None},
            segments=tuple(self.segments),
            tierings=_tier_names(self.definitions, self.tierings),
            parameters=self.parameters,
            lookups=self.lookups,
            zone=self.zone,
        )

    def expression(self, text: str, expect: Kind | None = None) -> tuple[Node, Expr]:
        """Parse and check an expression asked from outside.

        Raises:
            DefinitionsInvalid: with every problem in it.
        """
        try:
            node = parse(text)
        except SyntaxProblem as error:
            raise DefinitionsInvalid([error.problem]) from None
        checked = check_expression(node, self.scope, text=text, expect=expect)
        if checked.expr is None:
            raise DefinitionsInvalid(checked.problems)
        return node, checked.expr


def check(
    definitions: Definitions, lookup_columns: Mapping[str, Sequence[str]] | None = None
) -> tuple[Catalogue | None, list[Problem]]:
    """Check definitions; return the catalogue (None when a problem is an error) and every problem and warning.

    Args:
        definitions: what was declared.
        lookup_columns: the columns of each lookup's file; without it only declared types are known.

    Example:
        >>> from tierwise.definitions.load import define
        >>> definitions, _ = define("shop", tags={"n": "count(orders)", "busy": "n > 3"})
        >>> catalogue, problems = check(definitions)
        >>> catalogue.order, problems
        (('n', 'busy'), [])
    """
    return _Check(definitions, lookup_columns or {}).run()


def effective_streams(definitions: Definitions) -> tuple[dict[str, Stream], list[Problem]]:
    """Return every stream and reference table with the columns the sources add, and the problems in that."""
    problems: list[Problem] = []
    streams: dict[str, Stream] = dict(BUILT_IN) | dict(REFERENCE_TABLES)
    for name, form in definitions.streams.items():
        where = definitions.place(f"streams.{name}")
        if name in streams or name in FUNCTIONS or name in LATER:
            problems.append(Problem("reserved-name", f"`{name}` is the name of a built-in stream or function", where))
            continue
        columns = tuple(Column(column, kind_named(kind)) for column, kind in form.columns.items() if column != "time")
        label = form.label.zh or form.label.en
        streams[name] = Stream(name, columns, about=form.about, label=label, of=form.of, of_key=form.by)
    problems += _parts_of_nothing(definitions, streams)
    for source_name, source in definitions.sources.items():
        for stream_name, mapping in source.streams.items():
            path = f"sources.{source_name}.streams.{stream_name}"
            stream = streams.get(stream_name)
            if stream is None:
                hint = near_name(stream_name, streams)
                problems.append(
                    Problem(
                        "unknown-name",
                        f"there is no stream `{stream_name}`",
                        definitions.place(path),
                        hint or "declare it under `streams:` in definitions/",
                    )
                )
                continue
            for name, column in mapping.columns.items():
                place = definitions.place(f"{path}.columns.{name}")
                stream, problem = _with_column(stream, name, column.type, column.role, place)
                if problem is not None:
                    problems.append(problem)
            streams[stream_name] = stream
    return streams, problems + _two_ways(definitions)


def _parts_of_nothing(definitions: Definitions, streams: Mapping[str, Stream]) -> list[Problem]:
    """A stream that is part of another one is declared with both, and with a column of one kind that both have."""
    problems = []
    for name, form in definitions.streams.items():
        if not form.of and not form.by:
            continue
        place, whole = definitions.place(f"streams.{name}"), streams.get(form.of)
        if whole is None or whole.name in REFERENCE_TABLES or not form.by:
            message = f"`of:` names the stream that `{name}` is part of, `by:` the column that both have"
            problems.append(Problem("unknown-name", message, place, near_name(form.of, streams)))
            continue
        own, other = streams[name].column(form.by), whole.column(form.by)
        if own is None or other is None or own.kind != other.kind:
            message = f"`{form.by}` is not a column of one kind in both `{name}` and `{form.of}`"
            problems.append(Problem("unknown-name", message, place, "declare it under `columns:` with its type"))
    return problems


def _two_ways(definitions: Definitions) -> list[Problem]:
    """A stream is mapped or derived, in all sources alike: made of items, it would leave out the mapped rows."""
    ways: dict[str, dict[bool, list[str]]] = {}
    for source_name, source in definitions.sources.items():
        for stream, mapping in source.streams.items():
            ways.setdefault(stream, {}).setdefault(mapping.from_ is not None, []).append(source_name)
    return [
        Problem(
            "source",
            f"`{stream}` is mapped by the source `{sources[False][0]}` and derived by the source `{name}`",
            definitions.place(f"sources.{name}.streams.{stream}"),
            f"leave `{stream}` out of one of the two, or map it in both",
        )
        for stream, sources in ways.items()
        if len(sources) == 2
        for name in sources[True]
    ]


def _with_column(
    stream: Stream, name: str, kind_name: str | None, role: str | None, place: Place
) -> tuple[Stream, Problem | None]:
    if role is not None or (name in PERSONAL_ROLES and stream.name not in ("products", "stores")):
        return stream, None
    known = stream.column(name)
    if known is not None:
        if known.computed:
            return stream, Problem(
                "reserved-name", f"`{stream.name}.{name}` is worked out at as_of and cannot be mapped", place
            )
        if kind_name is not None and kind_name != known.kind.name:
            return stream, Problem("kind", f"`{stream.name}.{name}` is {known.kind}, not {kind_name}", place)
        return stream, None
    if not name.isidentifier() or name in (
        "time",
        "customer",
        "source_record_id",
        "row_key",
        "received_at",
        "import_id",
        "op",
    ):
        return stream, Problem(
            "bad-name",
            f"`{name}` cannot be the name of a column",
            place,
            "the name before the colon is Tierwise's, the one after it the file's",
        )
    added = Column(name, kind_named(kind_name) if kind_name else TEXT)
    return replace(stream, columns=(*stream.columns, added)), None


def _tier_names(
    definitions: Definitions, checked: Mapping[str, Mapping[str, Rule]] | None = None
) -> dict[str, TierNames]:
    rules = {name: {tier: rule.expr for tier, rule in tiers.items()} for name, tiers in (checked or {}).items()}
    return {
        name: TierNames(tuple(form.tiers), form.ordered or form.keep is not None, rules.get(name, {}))
        for name, form in definitions.tierings.items()
    }


#: Functions that read the membership log of what their first argument names.
_HISTORIES = frozenset({"was_tier", "tier_since", "entered", "left"})


class _Check:
    def __init__(self, definitions: Definitions, lookup_columns: Mapping[str, Sequence[str]]) -> None:
        self.definitions = definitions
        self.lookup_columns = lookup_columns
        self.problems: list[Problem] = []
        self.zone = Zone(definitions.settings.timezone)
        self.nodes: dict[str, Node] = {}
        self.stays: dict[str, dict[str, Rule]] = {}
        self.written: dict[str, dict[str, Expr]] = {}

    def run(self) -> tuple[Catalogue | None, list[Problem]]:
        definitions = self.definitions
        everything, problems = effective_streams(definitions)
        self.problems += problems
        streams = {
            name: self.with_reference(s, everything) for name, s in everything.items() if name not in REFERENCE_TABLES
        }
        attributes = {column.name: column.kind for column in self.mapped_attributes(everything[CUSTOMERS.name])}
        parameters = self.parameters()
        self.names(streams, attributes)
        self.parse_all()
        order = self.order()
        base = Scope(
            streams,
            attributes,
            {},
            tuple(definitions.segments),
            _tier_names(definitions),
            parameters,
            self.lookups(),
            self.zone,
        )
        self.remembering()
        tags, segments, tierings = self.check_all(order, base)
        self.problems += forgetful(definitions, self.written)
        self.worth(tags)
        known = replace(base, tags={name: rule.expr.kind for name, rule in tags.items() if rule.expr is not None})
        self.problems += points_problems(definitions, known)
        self.problems += consent_problems(definitions)
        warnings = [problem for problem in self.problems if problem.severity == "warning"]
        if len(warnings) < len(self.problems):
            return None, self.problems
        digests, sensitive = self.trace(order)
        reference = {name: everything[name] for name in REFERENCE_TABLES}
        catalogue = Catalogue(
            definitions,
            self.zone,
            streams,
            reference,
            attributes,
            parameters,
            base.lookups,
            tags,
            segments,
            tierings,
            self.stays,
            tuple(order),
            digests,
            sensitive,
            tuple(warnings),
        )
        return catalogue, self.problems

    def report(self, code: str, message: str, path: str, hint: str = "", severity: str = "error") -> None:
        self.problems.append(Problem(code, message, self.definitions.place(path), hint, severity=severity))

    # -- what expressions can refer to ------------------------------------------------------------------------------

    def with_reference(self, stream: Stream, everything: Mapping[str, Stream]) -> Stream:
        """Add the product's and store's columns to a stream that has their key."""
        columns = list(stream.columns)
        for table in (PRODUCTS, STORES):
            if stream.column(table.key) is not None:
                added = [c for c in everything[table.name].columns if stream.column(c.name) is None]
                columns += [replace(c, origin=table.name) for c in added]
        return replace(stream, columns=tuple(columns))

    def mapped_attributes(self, customers: Stream) -> Iterator[Column]:
        mapped = {
            name
            for source in self.definitions.sources.values()
            for stream, mapping in source.streams.items()
            if stream == CUSTOMERS.name
            for name in mapping.columns
        }
        yield from (column for column in customers.columns if column.name in mapped)

    def parameters(self) -> dict[str, tuple[Kind, Value]]:
        found: dict[str, tuple[Kind, Value]] = {}
        for name, form in self.definitions.parameters.items():
            kind = kind_named(form.type)
            value = _parameter_value(form, self.zone)
            if value is None:
                shown = json.dumps(form.default, ensure_ascii=False, default=str)
                self.report("kind", f"the default {shown} of `{name}` is not {kind}", f"parameters.{name}.default")
                value = 0
            found[name] = (kind, value)
        return found

    def lookups(self) -> dict[str, dict[str, Kind]]:
        found: dict[str, dict[str, Kind]] = {}
        for name, form in self.definitions.lookups.items():
            columns = list(self.lookup_columns.get(name, form.types))
            for column in form.types:
                if column not in columns:
                    self.report(
                        "source",
                        f"`{form.file}` has no column `{column}`",
                        f"lookups.{name}.types",
                        near_name(column, columns),
                    )
            found[name] = {c: kind_named(form.types.get(c, "text")) for c in columns if c != form.key}
        return found

    def names(self, streams: Mapping[str, Stream], attributes: Mapping[str, Kind]) -> None:
        seen: dict[str, tuple[str, str]] = {}
        for section in ("tags", "tierings", "segments"):
            for name in getattr(self.definitions, section):
                path = f"{section}.{name}"
                taken = (
                    "a function"
                    if name in FUNCTIONS or name in LATER
                    else "a stream"
                    if name in streams or name in REFERENCE_TABLES
                    else "an attribute of customers"
                    if name in attributes
                    else "a word of the language"
                    if name
                    in ("as_of", "customer", "param", "column", "time", "customer_id", "customer_key", OTHERWISE)
                    else ""
                )
                if taken:
                    self.report("reserved-name", f"`{name}` is the name of {taken}", path, "give it another name")
                other, where = seen.setdefault(name.lower(), (name, section))  # SQL does not tell A from a
                if (other, where) != (name, section):
                    twice = "is declared twice" if other == name else f"and `{other}` differ only by capitals"
                    message = f"`{name}` {twice}, first in {where}"
                    self.report("duplicate-name", message, path, "give one of the two another name")

    # -- expressions ------------------------------------------------------------------------------------------------

    def expressions(self) -> Iterator[tuple[str, str, str]]:
        """Yield (path, owner, text) of every expression."""
        for name, tag in self.definitions.tags.items():
            yield f"tags.{name}.value", name, tag.value
        for name, segment in self.definitions.segments.items():
            yield f"segments.{name}.rule", name, segment.condition
        for name, tiering in self.definitions.tierings.items():
            tiers = list(tiering.tiers.items())
            for index, (tier, form) in enumerate(tiers):
                path = f"tierings.{name}.tiers.{tier}"
                last = index == len(tiers) - 1
                if last and not form.is_otherwise:
                    self.report(
                        "no-otherwise",
                        f"the last tier of `{name}`, `{tier}`, is not `otherwise`",
                        path,
                        "a tiering takes everyone: end it with a tier whose rule is otherwise",
                    )
                elif not last and form.is_otherwise:
                    self.report(
                        "no-otherwise",
                        f"`{tier}` takes everyone, the tiers below it nobody",
                        path,
                        "put the tier with otherwise last",
                    )
                if not form.is_otherwise:
                    yield self.expression_path(path), name, form.rule
                    if form.stay is not None:
                        yield f"{path}.stay", name, form.stay
                elif form.stay is not None:
                    self.report(
                        "programme",
                        f"`{tier}` of `{name}` takes everyone who is left: there is nothing to stay for",
                        f"{path}.stay",
                        "take its `stay:` out",
                    )

    def expression_path(self, path: str) -> str:
        return f"{path}.rule" if f"{path}.rule" in self.definitions.places else path

    def parse_all(self) -> None:
        self.owners: dict[str, list[str]] = {}
        self.texts: dict[str, str] = {}
        for path, owner, text in self.expressions():
            self.owners.setdefault(owner, []).append(path)
            self.texts[path] = text
            try:
                self.nodes[path] = parse(text, place=self.definitions.place(path))
            except SyntaxProblem as error:
                self.problems.append(error.problem)
        for name in self.definitions.tierings:
            self.owners.setdefault(name, [])

    def references(self, owner: str) -> list[str]:
        """Return the definitions an owner's expressions read, in the order written."""
        found: dict[str, None] = {}
        for path in self.owners.get(owner, ()):
            if path in self.nodes:
                found.update(dict.fromkeys(_references(self.nodes[path], self.owners)))
        return list(found)

    def order(self) -> list[str]:
        """Return the definitions, each after those it reads; report every cycle with its path."""
        done: dict[str, None] = {}
        self.circular: set[str] = set()
        reported: set[frozenset[str]] = set()
        for start in self.owners:
            stack: list[tuple[str, Iterator[str]]] = (
                [(start, iter(self.references(start)))] if start not in done else []
            )
            while stack:
                owner, rest = stack[-1]
                following = next(rest, None)
                if following is None:
                    done[owner] = None
                    stack.pop()
                    continue
                path = [name for name, _ in stack]
                if following in path:
                    circle = path[path.index(following) :]
                    self.circular.update(circle)
                    if frozenset(circle) not in reported:
                        reported.add(frozenset(circle))
                        self.report(
                            "cycle",
                            "these refer to each other in a circle: " + " → ".join([*circle, following]),
                            self.owners[following][0],
                            "take one of the references out",
                        )
                elif following not in done:
                    stack.append((following, iter(self.references(following))))
        return list(done)

    def remembering(self) -> None:
        """Refuse a tiering whose rules read, directly or not, what is recorded of itself."""
        for name in self.definitions.tierings:
            read, pending = {name}, [name]
            while pending:
                new = [reference for reference in self.references(pending.pop()) if reference not in read]
                read.update(new)
                pending += new
            for owner in read:
                for path in self.owners[owner]:
                    if path in self.nodes and name in _histories(self.nodes[path]):
                        message = f"the rules of `{name}` read what is recorded of `{name}`"
                        self.report("cycle", message, path, "a tiering that remembers is a programme: give it `keep:`")

    def check_all(
        self, order: Sequence[str], base: Scope
    ) -> tuple[dict[str, Rule], dict[str, Rule], dict[str, dict[str, Rule]]]:
        tags: dict[str, Rule] = {}
        segments: dict[str, Rule] = {}
        tierings: dict[str, dict[str, Rule]] = {}
        kinds: dict[str, Kind] = {}
        failed = set(self.circular)
        for owner in order:
            scope = replace(base, tags=kinds, tierings=_tier_names(self.definitions, tierings))
            if owner in failed or any(reference in failed for reference in self.references(owner)):
                failed.add(owner)  # the cause is reported where it stands
                continue
            if owner in self.definitions.tierings:
                tierings[owner] = self.tiering(owner, scope)
                continue
            path = self.owners[owner][0]
            is_tag = owner in self.definitions.tags
            rule = self.rule(path, scope, None if is_tag else BOOLEAN)
            if rule.expr is None:
                failed.add(owner)
            elif is_tag:
                tags[owner] = rule
                kinds[owner] = rule.expr.kind
                if rule.expr.kind == DURATION:
                    self.report("kind", f"`{owner}` is a length of time, which a tag cannot be", path)
            else:
                segments[owner] = rule
        return tags, segments, tierings

    def rule(self, path: str, scope: Scope, expect: Kind | None) -> Rule:
        place = self.definitions.place(path)
        text = self.texts[path]
        node = self.nodes.get(path)
        if node is None:
            return Rule(text, None, None, place)
        checked = check_expression(node, scope, text=text, place=place, expect=expect)
        self.problems += checked.problems
        if checked.expr is not None:
            self.written.setdefault(path.split(".")[1], {})[path] = checked.expr
        return Rule(text, node, checked.expr, place)

    def tiering(self, name: str, scope: Scope) -> dict[str, Rule]:
        rules: dict[str, Rule] = {}
        above: list[tuple[str, Expr]] = []
        for tier, form in self.definitions.tierings[name].tiers.items():
            path = f"tierings.{name}.tiers.{tier}"
            if form.is_otherwise:
                rules[tier] = Rule(form.rule, None, None, self.definitions.place(path))
                continue
            rule = self.rule(self.expression_path(path), scope, BOOLEAN)
            rules[tier] = rule
            if form.stay is not None:
                self.stays.setdefault(name, {})[tier] = self.rule(f"{path}.stay", scope, BOOLEAN)
            if rule.expr is None:
                continue
            for earlier, condition in above:
                if implies(rule.expr, condition):
                    self.report(
                        "never-matches",
                        f"`{tier}` of `{name}` can never match: whoever meets its rule is already in `{earlier}`",
                        path,
                        "change the order of the tiers, or the rule",
                        "warning",
                    )
                    break
            above.append((tier, rule.expr))
        return rules

    def worth(self, tags: Mapping[str, Rule]) -> None:
        """Refuse a ``value:`` that names no tag, or one that is no number."""
        name = self.definitions.settings.value
        rule = tags.get(name)
        if name and name not in self.definitions.tags:
            hint = near_name(name, self.definitions.tags) or "name a tag in money"
            self.report("unknown-name", f"value: there is no tag `{name}`", "settings.value", hint)
        elif rule is not None and rule.expr is not None and not rule.expr.kind.is_number:
            self.report("kind", f"value: `{name}` is {rule.expr.kind}, not a number", "settings.value")

    # -- what depends on what ---------------------------------------------------------------------------------------

    def trace(self, order: Sequence[str]) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
        """Return each definition's hash (with all it reads) and the sensitivity it inherits."""
        digests: dict[str, str] = {}
        sensitive: dict[str, frozenset[str]] = {}
        for owner in order:
            form = self.definitions.tags.get(owner) or self.definitions.segments.get(owner)
            own = {form.sensitive} - {""} if form is not None else set()
            references = self.references(owner)
            sensitive[owner] = frozenset(own).union(*(sensitive[r] for r in references))
            written: list[Any] = [print_tree(self.nodes[path]) for path in self.owners[owner]]
            if owner in self.definitions.tierings:
                tiering = self.definitions.tierings[owner]
                written.append(list(tiering.tiers))
                if tiering.remembers:  # which of the expressions are for staying, and for how long
                    written.append([list(self.stays.get(owner, ())), tiering.keep and tiering.keep.model_dump()])
            for path in self.owners[owner]:
                for _, node in walk(self.nodes[path]):
                    if isinstance(node, Parameter):
                        written.append([node.name, str(self.definitions.parameters[node.name].default)])
            if owner in self.definitions.segments and self.definitions.segments[owner].list:
                written.append(["list", self.definitions.segments[owner].list])
            written.append([digests[reference] for reference in references])
            digests[owner] = hashlib.sha256(json.dumps(written, ensure_ascii=False).encode()).hexdigest()[:16]
        self.inherit_from_history(order, sensitive)
        return digests, sensitive

    def inherit_from_history(self, order: Sequence[str], sensitive: dict[str, frozenset[str]]) -> None:
        """Let who reads a recorded history inherit what is sensitive in it: such reading may go in circles."""
        reads = {
            owner: {
                *self.references(owner),
                *(name for path in self.owners[owner] for name in _histories(self.nodes[path]) if name in sensitive),
            }
            for owner in order
        }
        changed = True
        while changed:
            changed = False
            for owner in order:
                found = sensitive[owner].union(*(sensitive[name] for name in reads[owner]))
                changed = changed or found != sensitive[owner]
                sensitive[owner] = found


def _references(node: Node, owners: Mapping[str, object]) -> Iterator[str]:
    for _, part in walk(node):
        match part:
            case Name(name) | CustomerValue(name) if name in owners:
                yield name
            case Call("segment" | "tier" | "at_least" | "to_next", (Literal(str() as name), *_)) if name in owners:
                yield name


def _histories(node: Node) -> set[str]:
    """Return the names whose recorded history an expression reads."""
    return {
        str(name.value)
        for _, part in walk(node)
        if isinstance(part, Call) and part.function in _HISTORIES
        for name in part.args[:1]
        if isinstance(name, Literal)
    }


def _parameter_value(form: ParameterForm, zone: Zone) -> Value:
    """Return the default as a value of its type, or None when it is not one."""
    default = form.default
    match form.type:
        case "boolean":
            return default if isinstance(default, bool) else None
        case "integer":
            return default if isinstance(default, int) and not isinstance(default, bool) else None
        case "decimal" | "money" | "float":
            if isinstance(default, bool) or not isinstance(default, int | float | str):
                return None
            try:
                number = Decimal(str(default))
            except InvalidOperation:
                return None
            if not number.is_finite():
                return None
            if form.type == "float":
                return float(number)
            places = Decimal("0.01") if form.type == "money" else Decimal("0.000001")
            return number.quantize(places) if abs(number) < 10**12 and number == number.quantize(places) else None
        case "text":
            return default if isinstance(default, str) else None
        case "date":
            return parse_date(str(default))
        case "instant":
            return parse_instant(str(default), zone)
        case "duration":
            return parse_duration(default) if isinstance(default, str) else None
    return None
