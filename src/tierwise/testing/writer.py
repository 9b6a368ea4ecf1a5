"""Writes random expressions of a wanted kind, as text: over streams, attributes, earlier tags, and over each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tierwise.testing.vocabulary import (
    ATTRIBUTES,
    COLUMNS_OF,
    DAYS,
    DURATIONS,
    EXACT,
    LITERALS,
    NUMBERS,
    PATTERNS,
    SPANS,
    TIERS,
    WORDS,
)

__all__ = ["KINDS", "Writer"]

#: The kinds a tag is written of, conditions and whole numbers more often.
KINDS: Final = (
    "boolean",
    "boolean",
    "boolean",
    "integer",
    "integer",
    "float",
    "float",
    "money",
    "decimal",
    "text",
    "date",
    "instant",
    "list",
)


class Writer:
    """Writes expressions; `pick` draws one of a sequence.

    `windows` are the lengths of time that it prefers; `tags` are those that may be referred to, with their kinds. `row`
    is the stream whose rows are spoken of, or "", `streams` are those to speak of, `s` among them. Rules that are written `alone` compare with no other customer.
    """

    def __init__(
        self,
        pick: Callable[[Sequence[Any]], Any],
        depth: int,
        windows: Sequence[str],
        streams: Sequence[str] = tuple(COLUMNS_OF),
    ) -> None:
        self.pick, self.depth, self.windows = pick, depth, windows
        self.tags: dict[str, str] = {}
        self.streams = streams
        self.memberships = False
        self.alone = False

    def tag(self, name: str, kind: str) -> str:
        """Write an expression and remember it under its name."""
        text = self.write(kind)
        self.tags[name] = kind
        return text

    def write(self, kind: str, row: str = "", depth: int | None = None) -> str:
        """Write an expression of the kind, about a row of a stream or about a customer."""
        left = self.depth if depth is None else depth
        if kind == "list":
            return self.listed(row, left)
        if left <= 0 or self.pick(range(5)) == 0:
            return self.leaf(kind, row)
        ways: list[Callable[[str, int], str]] = [*_ways(self, kind)]
        if row == "orders" and kind in ("boolean", "integer", "money", "float", "text"):
            ways += [lambda r, d: self.part(kind, d)] * 2
        if not row:
            ways += [lambda r, d: self.aggregate(kind, r, d)] * 3
            if kind != "boolean" and not self.alone:
                ways.append(lambda r, d: self.grouped(kind, r, d))
        ways.append(lambda r, d: self.choice(kind, r, d))
        return str(self.pick(ways)(row, left - 1))

    def leaf(self, kind: str, row: str) -> str:
        """Write a column, a tag, an attribute or a literal."""
        customer = "customer." if row else ""
        names = [f"{customer}{name}" for name, own in (*ATTRIBUTES.items(), *self.tags.items()) if own == kind]
        if row:
            names += [name for name, own in COLUMNS_OF[row].items() if own == kind] * 3
        elif kind != "boolean":
            names.append(self.aggregate(kind, "", 0))
        if kind == "instant":
            names.append("as_of")
            if self.memberships and not row:
                names.append('tier_since("grade")')
        literals = LITERALS.get(kind, ())
        if kind in ("date", "instant"):  # a bare text is no date: what it meets makes it one
            literals = ()
        options = [*names, *(self.pick([literals]) if literals else [])]
        if not options:
            return {
                "date": f"{customer}birth_date",
                "instant": "as_of",
                "float": f"{customer}ratio",
                "list": "top(s.t, n=2)",
            }[kind]
        return str(self.pick(options))

    # -- over a stream ----------------------------------------------------------------------------------------------

    def aggregate(self, kind: str, row: str, depth: int) -> str:
        """Write a function over a stream."""
        stream = self.pick(self.streams)
        columns = [name for name, own in COLUMNS_OF[stream].items() if own == kind]
        calls: list[str] = []
        if kind == "boolean":
            calls = ["exists({s})", "exists({s})"]
        elif kind == "integer":
            any_column = self.pick(tuple(COLUMNS_OF[stream]))
            calls = [
                "count({s})",
                "days({s})",
                f"distinct({{s}}.{any_column})",
                'streak({{s}}, every="{}")'.format(self.pick(("1d", "1w", "1mo", "3mo", "1y"))),
                'periods({{s}}, every="{}", n={})'.format(
                    self.pick(("1d", "1w", "1mo", "3mo", "1y")), self.pick((1, 2, 12))
                ),
            ]
        elif kind == "float":
            of = self.write("boolean", stream, depth - 1)
            calls = [
                f"share({{s}}, of={of})",
                "avg_gap({s})",
                "min_gap({s})",
                "max_gap({s})",
                'score({{s}}, half_life="{}")'.format(self.pick(("1d", "30d", "12h"))),
            ]
            numbers = [name for name, own in COLUMNS_OF[stream].items() if own in NUMBERS]
            calls += [f"{function}({{s}}.{name})" for function in ("avg", "time_avg") for name in numbers]
        for column in columns:
            calls += [f"{name}({{s}}.{column})" for name in ("first", "last", "top")]
            calls.append(f"nth({{s}}.{column}, {self.pick((1, 2, 3))})")
            calls.append(f"top({{s}}.{column}, by={self.by(stream)})")
            if kind in NUMBERS:
                calls.append(f"sum({{s}}.{column})")
            if kind not in ("boolean",):
                calls += [f"min({{s}}.{column})", f"max({{s}}.{column})"]
        if not calls:
            return (
                self.aggregate(kind, row, depth)
                if any(kind in COLUMNS_OF[name].values() for name in self.streams)
                else self.leaf(kind, row)
            )
        call = str(self.pick(calls)).replace("{s}", stream)
        return self.with_options(call, stream, depth)

    def by(self, stream: str) -> str:
        """Write what `top` orders by."""
        numbers = [name for name, own in COLUMNS_OF[stream].items() if own in NUMBERS]
        ordered = [name for name, own in COLUMNS_OF[stream].items() if own != "boolean"]
        options = [f"count({stream})", f"days({stream})", *(f"distinct({stream}.{name})" for name in ordered)]
        options += [f"{name}({stream}.{column})" for name in ("sum", "avg") for column in numbers]
        options += [f"{name}({stream}.{column})" for name in ("min", "max") for column in ordered]
        return str(self.pick(options))

    def with_options(self, call: str, stream: str, depth: int) -> str:
        """Give a call over a stream some of its options."""
        options = []
        for name in self.pick(
            (
                (),
                (),
                ("where",),
                ("within",),
                ("where", "within"),
                ("ago",),
                ("on",),
                ("since",),
                ("until",),
                ("since", "until"),
                ("latest",),
                ("where", "latest"),
            )
        ):
            match name:
                case "where":
                    options.append(f"where={self.write('boolean', stream, max(depth, 1))}")
                case "within":
                    options.append(f"within={self.pick((*self.windows, self.pick(DURATIONS)))}")
                case "ago":
                    options.append(f"ago={self.pick(SPANS)}")
                case "on":
                    options.append(f'on="{self.pick(WORDS)}"')
                case "latest" if call.startswith("time_avg"):
                    continue
                case "latest":
                    options.append(f"latest={self.pick((1, 2, 3))}")
                case _:
                    kind = self.pick(("date", "instant"))
                    bound = (
                        self.pick(LITERALS[kind]) if self.pick((True, False)) else self.write(kind, "", min(depth, 1))
                    )
                    options.append(f"{name}={bound}")
        return f"{call[:-1]}, {', '.join(options)})" if options else call

    def listed(self, row: str, depth: int) -> str:
        """Write a list of the most frequent values."""
        options = (("orders", "channel"), ("events", "type"), ("orders", "amount"), *(("s", name) for name in "tndf"))
        stream, column = self.pick([option for option in options if option[0] in self.streams])
        by = f", by={self.by(stream)}" if self.pick((True, False)) else ""
        return self.with_options(f"top({stream}.{column}{by}, n={self.pick((2, 3))})", stream, depth)

    # -- conditions -------------------------------------------------------------------------------------------------

    def comparison(self, row: str, depth: int) -> str:
        """Write a comparison of two values."""
        kind = self.pick((*NUMBERS, *NUMBERS, "text", "date", "instant"))
        left = self.write(kind, row, depth)
        if kind in NUMBERS:
            right = self.write(self.pick(NUMBERS), row, depth)
        elif kind in ("date", "instant"):
            other = self.pick(("date", "instant"))
            right = self.pick(LITERALS[other]) if self.pick((True, False)) else self.write(other, row, depth)
        else:
            right = self.write(kind, row, depth)
        return f"({left} {self.pick(('==', '!=', '<', '<=', '>', '>='))} {right})"

    def between(self, row: str, depth: int) -> str:
        """Write a chain of two comparisons."""
        middle = self.write(self.pick(NUMBERS), row, depth)
        return f"({self.write('integer', row, 0)} <= {middle} < {self.write('decimal', row, 0)})"

    def logic(self, row: str, depth: int) -> str:
        """Join conditions, or deny them."""
        parts = [self.write("boolean", row, depth) for _ in range(self.pick((2, 2, 3)))]
        joined = f" {self.pick(('and', 'or'))} ".join(parts)
        return f"(not ({joined}))" if self.pick(range(3)) == 0 else f"({joined})"

    def member(self, row: str, depth: int) -> str:
        """Write whether a value is in a list."""
        word = self.pick(("in", "not in"))
        kind = self.pick(("text", "integer", "money", "date", "float"))
        value = self.write(kind, row, depth)
        if kind in ("date", "text"):
            items = [self.pick(LITERALS[kind]) for _ in range(2)]
        else:
            items = [self.pick(LITERALS[self.pick(("integer", "decimal"))]) for _ in range(2)]
        if kind == "text" and not row and self.pick((True, False)):
            return f"({value} {word} top({self.pick(('orders.channel', 's.t')) if 'orders' in self.streams else 's.t'}, n=2))"
        return f"({value} {word} ({', '.join(items)}))"

    def known(self, row: str, depth: int) -> str:
        """Write whether something is known."""
        kind = self.pick(("text", "money", "float", "instant", "date", "boolean"))
        # In brackets of its own: `x in (…) is None` would be a chain of comparisons, which the language refuses.
        return f"(({self.write(kind, row, depth)}) {self.pick(('is None', 'is not None'))})"

    def texts(self, row: str, depth: int) -> str:
        """Write a test of a text."""
        name = self.pick(("contains", "startswith", "matches"))
        x = self.write("text", row, depth)
        return (
            f'{name}({x}, "{self.pick(PATTERNS)}")'
            if name == "matches"
            else f"{name}({x}, {self.write('text', row, 0)})"
        )

    def birthday(self, row: str, depth: int) -> str:
        """Write whether an anniversary is near."""
        moment = self.write(self.pick(("date", "instant")), row, depth)
        if self.pick(range(3)) == 0:
            return f'anniversary({moment}, within={self.pick(DAYS[1:5])}, calendar="lunar")'
        return f"anniversary({moment}, within={self.pick(DAYS[1:])})"

    def membership(self, row: str, depth: int) -> str:
        """Write a condition on memberships, now or recorded."""
        if not self.memberships or row:
            return self.comparison(row, depth)
        return str(
            self.pick(
                (
                    'segment("vips")',
                    'tier("grade") == "gold"',
                    'tier("grade") in ("gold", "none")',
                    'sample(0.5, salt="half")',
                    f'was_tier("grade", "{self.pick(TIERS)}"{self.recently()})',
                    f'{self.pick(("entered", "left"))}("grade", "{self.pick(TIERS)}"{self.recently()})',
                    f'{self.pick(("entered", "left"))}("vips"{self.recently()})',
                    'at_least("grade", "silver")',
                    'tier("grade") != "silver"',
                )
            )
        )

    def part(self, kind: str, depth: int) -> str:
        """Write a function over the refunds that are part of an order."""
        calls = {
            "boolean": ("exists(refunds)",),
            "integer": ("count(refunds)", "days(refunds)", "distinct(refunds.kind)"),
            "money": ("sum(refunds.amount)", "min(refunds.amount)", "last(refunds.amount)"),
            "float": ("avg(refunds.amount)", 'share(refunds, of=kind == "app")'),
            "text": ("first(refunds.kind)", "max(refunds.kind)"),
        }[kind]
        call = str(self.pick(calls))
        if self.pick((True, False)):
            return f"{call[:-1]}, where={self.write('boolean', 'refunds', min(depth, 1))})"
        return f"{call[:-1]}, within={self.pick(DURATIONS)})" if self.pick((True, False)) else call

    def sequence(self, row: str, depth: int) -> str:
        """Write steps that follow each other; `s` and `events` share no column, the steps of one stream share them all."""
        if row:
            return self.comparison(row, depth)
        count = self.pick((1, 2, 2, 3))
        alike = self.pick((True, False))
        one = self.pick(self.streams)
        streams = [one if alike else self.pick(self.streams) for _ in range(count + 1)]
        steps = [f"{stream}({self.step(stream, depth)})" for stream in streams]
        options = []
        if count == 1 or self.pick((True, False)):
            options.append(f"within={self.pick(EXACT)}")
        if count > 1 and self.pick(range(3)) == 0:
            options.append(f"gap={self.pick(EXACT)}")
        shared = [name for name, kind in COLUMNS_OF[one].items() if kind != "float" and name != "time"]
        if alike and self.pick((True, False)):
            options.append(f"same={self.pick(shared)}")
        if count == 1 or self.pick((True, False)):
            options.append(f"without={steps[count]}")
        return f"followed({', '.join([*steps[:count], *options])})"

    def step(self, stream: str, depth: int) -> str:
        """Write the condition of a step, or none."""
        return "" if self.pick((True, False)) else self.write("boolean", stream, min(depth, 1))

    def recently(self) -> str:
        """Write how far back the log is read, or nothing."""
        return f", within={self.pick(DURATIONS)}" if self.pick((True, False)) else ""

    def standing(self, row: str, depth: int) -> str:
        """Write a comparison with a population, of boolean kind."""
        if row or self.alone:
            return self.comparison(row, depth)
        name = self.pick(("in_top", "above_mean"))
        x = self.write(self.pick(NUMBERS), row, depth)
        size = (
            self.pick((", n=1", ", n=2", ", percent=20", ", percent=50.5", ", percent=100")) if name == "in_top" else ""
        )
        return f"{name}({x}{size}{self.population(depth)})"

    def population(self, depth: int) -> str:
        """Write the options of a comparison with everyone."""
        options = []
        if self.pick(range(3)) == 0:
            options.append(f"by={self.write(self.pick(('text', 'boolean', 'integer', 'date')), '', min(depth, 1))}")
        if self.pick(range(3)) == 0:
            options.append(f"among={self.write('boolean', '', min(depth, 1))}")
        if self.pick((True, False)):
            options.append('best="low"')
        return "".join(f", {option}" for option in options)

    # -- values -----------------------------------------------------------------------------------------------------

    def choice(self, kind: str, row: str, depth: int) -> str:
        """Write a choice between values."""
        name = self.pick(("coalesce", "case", "least", "greatest"))
        if kind in ("boolean",) and name in ("least", "greatest"):
            name = "case"
        below = {
            "float": ("integer", "float"),
            "decimal": ("integer", "money", "decimal"),
            "money": ("integer", "money"),
        }.get(kind, (kind,))
        values = [
            self.write(kind, row, depth),
            *(self.write(self.pick(below), row, depth) for _ in range(self.pick((1, 2)))),
        ]
        if name != "case":
            return f"{name}({', '.join(values)})"
        conditions = [self.write("boolean", row, depth) for _ in values]
        pairs = ", ".join(f"{condition}, {value}" for condition, value in zip(conditions, values, strict=True))
        return f"case({pairs})" if self.pick((True, False)) else f"case({pairs}, {self.write(kind, row, depth)})"

    def arithmetic(self, kind: str, row: str, depth: int) -> str:
        """Write a sum, a difference, a product or a quotient."""
        pairs = {
            "integer": (("integer", "+-*", "integer"),),
            "money": (("money", "+-", "money"), ("money", "+-*", "integer"), ("integer", "*+-", "money")),
            "decimal": (("decimal", "+-*", "decimal"), ("money", "*+-", "decimal"), ("decimal", "*+-", "integer")),
            "float": (
                ("float", "+-*/", "float"),
                ("money", "/", "money"),
                ("integer", "/", "decimal"),
                ("float", "*/-", "integer"),
                ("decimal", "+/", "float"),
            ),
        }[kind]
        left, operators, right = self.pick(pairs)
        one, two = self.write(left, row, depth), self.write(right, row, depth)
        if self.pick(range(6)) == 0:
            return f"(-{one} {self.pick(tuple(operators))} {two})"
        operator = self.pick(tuple(operators))
        third = f" {operator} {self.write(right, row, 0)}" if operator in "+-" and self.pick(range(3)) == 0 else ""
        return f"({one} {operator} {two}{third})"

    def of_time(self, row: str, depth: int) -> str:
        """Write a whole number of a time."""
        name = self.pick(("days_since", "days_until", "months_since", "year", "month", "day", "weekday", "hour", "age"))
        return f"{name}({self.write(self.pick(('date', 'instant')), row, depth)})"

    def elapsed(self, row: str, depth: int) -> str:
        """Write the time between two times."""
        if self.pick((True, False)):
            return f"hours_since({self.write(self.pick(('date', 'instant')), row, depth)})"
        return f"({self.write('instant', row, depth)} - {self.write('instant', row, depth)})"

    def distance(self, row: str, depth: int) -> str:
        """Write a distance between two places."""
        return f"distance_km({', '.join(self.write(self.pick(NUMBERS), row, min(depth, 1)) for _ in range(4))})"

    def days_between(self, row: str, depth: int) -> str:
        """Write the days between two dates."""
        return f"({self.write('date', row, depth)} - {self.write(self.pick(('date', 'instant')), row, depth)})"

    def place(self, row: str, depth: int) -> str:
        """Write a place in a population, of integer kind."""
        if row or self.alone:
            return self.of_time(row, depth)
        name = self.pick(("ntile", "quintile", "rank"))
        x = self.write(self.pick((*NUMBERS, "date", "instant")), row, depth)
        size = f", {self.pick((2, 4, 10))}" if name == "ntile" else ""
        return f"{name}({x}{size}{self.population(depth)})"

    def grouped(self, kind: str, row: str, depth: int) -> str:
        """Write a function over a group of customers."""
        by = self.write(self.pick(("text", "boolean", "integer", "date")), "", min(depth, 1))
        if kind == "integer" and self.pick((True, False)):
            return f"group_count({self.pick(('', self.write('boolean', '', min(depth, 1)) + ', '))}by={by})"
        names = {"float": ("group_sum", "group_avg", "group_max")}.get(kind, ("group_min", "group_max"))
        if kind in NUMBERS and kind != "float":
            names = ("group_sum", *names)
        name = self.pick(names)
        x = self.write(self.pick(NUMBERS) if name == "group_avg" else kind, "", min(depth, 1))
        return f"{name}({x}, by={by})"

    def score(self, row: str, depth: int) -> str:
        """Write a place in a population, of float kind."""
        if row or self.alone:
            return self.elapsed(row, depth)
        name = self.pick(("percent_rank", "zscore"))
        kinds = (*NUMBERS, "date") if name == "percent_rank" else NUMBERS
        return f"{name}({self.write(self.pick(kinds), row, depth)}{self.population(depth)})"

    def band(self, row: str, depth: int) -> str:
        """Write the band a number falls into."""
        return f"band({self.write(self.pick(NUMBERS), row, depth)}, {self.pick(('0', '1, 18', '0.5, 19.90, 100', '10, 9007199254740993'))})"

    def small(self, row: str, depth: int) -> str:
        """Write a text in small letters."""
        return f"lower({self.write('text', row, depth)})"

    def looked_up(self, kind: str, row: str, depth: int) -> str:
        """Write a look-up in a small table."""
        column = {"integer": "rate", "text": "name", "boolean": "known"}[kind]
        return f'lookup("band", {self.write("text", row, depth)}, "{column}")'

    def moved(self, kind: str, row: str, depth: int) -> str:
        """Write a time that is moved."""
        by = self.pick(DAYS if kind == "date" else (*DURATIONS, '"200y"'))
        return f"({self.write(kind, row, depth)} {self.pick('+-')} {by})"


def _ways(writer: Writer, kind: str) -> list[Callable[[str, int], str]]:
    """What an expression of the kind can be built with, beside aggregates and choices."""
    match kind:
        case "boolean":
            return [
                writer.comparison, writer.comparison, writer.comparison, writer.logic, writer.logic, writer.member, writer.known,
                writer.texts, writer.birthday, writer.membership, writer.standing, writer.between, writer.sequence,
                lambda row, depth: writer.looked_up("boolean", row, depth),
            ]  # fmt: skip
        case "integer":
            return [
                lambda row, depth: writer.arithmetic("integer", row, depth), writer.of_time, writer.place, writer.days_between,
                lambda row, depth: writer.looked_up("integer", row, depth),
            ]  # fmt: skip
        case "money" | "decimal":
            return [lambda row, depth: writer.arithmetic(kind, row, depth)]
        case "float":
            return [
                lambda row, depth: writer.arithmetic("float", row, depth),
                writer.elapsed,
                writer.score,
                writer.distance,
            ]
        case "text":
            return [writer.band, writer.small, lambda row, depth: writer.looked_up("text", row, depth)]
    return [lambda row, depth: writer.moved(kind, row, depth)]
