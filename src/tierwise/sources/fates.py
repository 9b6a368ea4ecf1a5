"""What becomes of the staged rows of one file: new, replaced, duplicate or refused, beside the lake and each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import cast, coalesce, col, equals, fn, null, number, text, when
from tierwise.lake import Lake
from tierwise.sources.known import KnownKeys
from tierwise.sources.statements import SEPARATOR, STAGED, StagedStream, missing, named, present, subquery
from tierwise.sources.withdraw import REMOVED, received_files

__all__ = ["REFUSED", "Counts", "Fates"]

#: The lines that ``on_change: quarantine`` refuses.
REFUSED = "refused$"
_NEW, _REPLACED, _KEPT_FIRST, _DUPLICATE, _REFUSED = 3, 2, 1, 0, -1


@dataclass(frozen=True)
class Counts:
    """How many lines are new, replaced and duplicate, and how many of these keep the first content against a change."""

    new: int = 0
    replaced: int = 0
    duplicate: int = 0
    kept_first: int = 0


class Fates:
    """Compares the rows of ``staged$`` with the lake and with each other.

    Most rows of most files are plainly new, so only those that are not get a table: ``odd<i>$`` has the rows whose key
    the lake knows or the file has again, with their rank (3 new, 2 replaced, 1 changed but the first is kept, 0
    duplicate, -1 refused). A row without a key is known by its content and its how-many-th occurrence in the file;
    ``nth<i>$`` has that number where it is not 1.

    Args:
        engine: where the staged rows are.
        streams: their streams.
        lake: what was received before.
        source: the source's name.
        key_space: whose numbers its customers' keys are.
        on_change: what a row with a known key and other content does (replace, keep_first, quarantine).
        known_keys: tells which files may know some keys, for few rows; without it all files are read.
    """

    def __init__(
        self,
        engine: DuckEngine,
        streams: Sequence[StagedStream],
        lake: Lake,
        source: str,
        key_space: str,
        on_change: str,
        known_keys: KnownKeys | None = None,
    ) -> None:
        self.engine, self.streams, self.lake, self.known_keys = engine, streams, lake, known_keys
        self.source, self.key_space, self.on_change = source, key_space, on_change
        self.numbered = [False] * len(streams)
        for index, stream in enumerate(streams):
            self.numbered[index] = stream.keyless and self.number(index)
        self.odd = [self.compare(index) for index in range(len(streams))]
        self.refused = self.refuse()

    # -- the rows of a stream ---------------------------------------------------------------------------------------

    def rows(self, index: int) -> exp.Select:
        """Return the accepted rows of a stream: line$, row_key, customer_key, time and its columns."""
        stream = self.streams[index]
        values = [value.copy().as_(name, quoted=True) for name, value in _of(stream, "s").items()]
        select = exp.select(col("line$", "s"), self.row_key(index).as_("row_key"), *values)
        return self.accepted(select.from_(named(STAGED, "s")), index)

    def accepted(self, select: exp.Select, index: int) -> exp.Select:
        """Restrict a SELECT from the staged rows ``s`` to those of a stream, ``n`` being their occurrences."""
        stream = self.streams[index]
        if self.numbered[index]:
            on_line = equals(col("line$", "n"), col("line$", "s"))
            select = select.join(named(f"nth{index}$", "n"), on=on_line, join_type="left")
        select = select.where(missing(col("problem$", "s")))
        return select if stream.takes is None else select.where(col(stream.takes, "s"))

    def row_key(self, index: int) -> exp.Expression:
        """Return the key of a staged row as the lake has it."""
        stream = self.streams[index]
        if not stream.keyless:
            return col(stream.key, "s")
        plain = fn("replace", cast(col(stream.key, "s"), "VARCHAR"), text("-"), text(""))
        nth = cast(coalesce(col("nth", "n"), number(1)), "VARCHAR") if self.numbered[index] else text("1")
        return fn("concat", plain, text("-"), nth)

    def content(self, index: int, table: str) -> exp.Expression:
        """Return the hash of what a row says: two rows with one key and one hash are the same."""
        names = sorted(self.streams[index].values)
        parts: list[exp.Expression] = [text(self.key_space), text(",".join(names))]
        parts += [coalesce(cast(col(name, table), "VARCHAR"), text("\x1e")) for name in names]
        return fn("md5", fn("concat_ws", text(SEPARATOR), *parts))

    # -- comparing --------------------------------------------------------------------------------------------------

    def number(self, index: int) -> bool:
        """Number the occurrences of rows without a key, where there are several; return whether there are."""
        stream = self.streams[index]
        if not self.repeats(index, col(stream.key, "s")):
            return False
        window = exp.Window(
            this=exp.RowNumber(),
            partition_by=[col(stream.key, "s")],
            order=exp.Order(expressions=[exp.Ordered(this=col("line$", "s"))]),
        )
        again = exp.In(this=col(stream.key, "s"), query=exp.select(col("key$")).from_(named("repeats$")).subquery())
        counted = self.accepted(exp.select(col("line$", "s"), window.as_("nth")).from_(named(STAGED, "s")), index)
        later = exp.select("*").from_(counted.where(again).subquery("c"))
        self.engine.create(f"nth{index}$", later.where(exp.GT(this=col("nth"), expression=number(1))))
        return True

    def repeats(self, index: int, key: exp.Expression) -> bool:
        """Make ``repeats$`` of the keys that several rows of a stream have; return whether there are any."""
        keys = self.accepted(exp.select(key.as_("key$", quoted=True)).from_(named(STAGED, "s")), index)
        several = exp.GT(this=exp.Count(this=exp.Star()), expression=number(1))
        repeated = exp.select(col("key$")).from_(keys.subquery("k")).group_by(col("key$")).having(several)
        return self.engine.create("repeats$", repeated) > 0

    def known(self, index: int) -> bool:
        """Make ``known$`` of the newest content hash of each row of the file that the lake has; None of them if not."""
        stream = self.streams[index].mapped.stream.name
        files = received_files(self.lake, self.source, stream)
        paths = [file.path for file in files]
        if files and self.known_keys is not None:
            keys = exp.select(col("row_key")).from_(self.rows(index).subquery("m"))
            paths = self.known_keys.having(self.engine, self.source, stream, files, keys)
        if not paths:
            return False
        listed = exp.Array(expressions=[text(str(path)) for path in paths])
        by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.true())
        newest = fn("nullif", fn("arg_max", col("content_hash"), col("import_id")), text(REMOVED))
        mine = exp.In(
            this=col("row_key"), query=exp.select(col("row_key")).from_(self.rows(index).subquery("m")).subquery()
        )
        select = exp.Select(expressions=[col("row_key"), newest.as_("content_hash")])
        select = select.from_(exp.Table(this=fn("read_parquet", listed, by_name)))
        select = select.where(equals(col("source"), text(self.source))).where(mine).group_by(col("row_key"))
        return self.engine.create("known$", select) > 0

    def compare(self, index: int) -> bool:
        """Make ``odd<i>$`` of the rows that are not plainly new; return whether there are any."""
        stream = self.streams[index]
        known = self.known(index)
        again = not stream.keyless and self.repeats(index, fn("hash", col(stream.key, "s")))
        if not known and not again:
            return False
        hashed = self.rows(index)
        select = exp.select("v.*", self.content(index, "v").as_("content_hash")).from_(hashed.subquery("v"))
        chosen: list[exp.Expression] = []
        if known:
            select = select.join(
                named("known$", "k"), on=equals(col("row_key", "k"), col("row_key", "v")), join_type="left"
            )
            chosen.append(present(col("row_key", "k")))
        if again:
            inside = exp.select(col("key$")).from_(named("repeats$")).subquery()
            chosen.append(exp.In(this=fn("hash", col("row_key", "v")), query=inside))
        known_hash = col("content_hash", "k") if known else cast(null(), "VARCHAR")
        select = select.select(known_hash.as_("known_hash")).where(exp.or_(*chosen))
        return self.engine.create(f"odd{index}$", self.ranked(select)) > 0

    def ranked(self, odd: exp.Select) -> exp.Select:
        """Return the odd rows with what stood in their place before them, and their rank."""
        order = exp.Order(expressions=[exp.Ordered(this=col("line$", "s"))])
        window = {"partition_by": [col("row_key", "s")], "order": order}
        first, content = self.on_change != "replace", col("content_hash", "s")
        earlier: exp.Expression = exp.Window(
            this=exp.Anonymous(this="first_value" if first else "lag", expressions=[content]), **window
        )
        known = col("known_hash", "s")
        if first:
            nth = exp.Window(this=exp.RowNumber(), partition_by=[col("row_key", "s")], order=order.copy())
            earlier = coalesce(known, when([(exp.GT(this=nth, expression=number(1)), earlier)]))
        else:
            earlier = coalesce(earlier, known)
        columns = [col(name, "s") for name in ("line$", "row_key", "content_hash", "known_hash")]
        paired = exp.select(*columns, earlier.as_("previous")).from_(odd.subquery("s"))
        changed = {"replace": _REPLACED, "keep_first": _KEPT_FIRST, "quarantine": _REFUSED}[self.on_change]
        rank = when(
            [
                (missing(col("previous")), number(_NEW)),
                (equals(col("previous"), col("content_hash")), number(_DUPLICATE)),
            ],
            number(changed),
        )
        return exp.select("*", cast(rank, "INTEGER").as_("rank")).from_(paired.subquery("p"))

    def refuse(self) -> bool:
        """Make ``refused$`` of the lines that are refused: a changed row goes out of all its streams."""
        if self.on_change != "quarantine" or not any(self.odd):
            return False
        refused = [
            exp.select(col("line$"), col("row_key"))
            .from_(named(f"odd{index}$"))
            .where(exp.LT(this=col("rank"), expression=number(0)))
            for index, odd in enumerate(self.odd)
            if odd
        ]
        lines: exp.Expression = refused[0]
        for one in refused[1:]:
            lines = exp.Union(this=lines, expression=one, distinct=False)
        last = exp.Max(this=col("row_key"))
        select = exp.select(col("line$"), last.as_("row_key")).from_(subquery(lines)).group_by(col("line$"))
        return self.engine.create(REFUSED, select) > 0

    # -- what it comes to -------------------------------------------------------------------------------------------

    def kept(self, select: exp.Select) -> exp.Select:
        """Leave the refused lines out of a SELECT whose rows are ``s``."""
        if not self.refused:
            return select
        inside = exp.In(this=col("line$", "s"), query=exp.select(col("line$")).from_(named(REFUSED)).subquery())
        return select.where(exp.Not(this=inside))

    def counts(self) -> Counts:
        """Return what became of the lines, each counted once: with the best of what its streams make of it."""
        if not self.streams:
            return Counts()
        select = exp.Select().from_(named(STAGED, "s"))
        ranks = []
        for index, stream in enumerate(self.streams):
            rank: exp.Expression = number(_NEW)
            if self.odd[index]:
                table = f"o{index}"
                on_line = equals(col("line$", table), col("line$", "s"))
                select = select.join(named(f"odd{index}$", table), on=on_line, join_type="left")
                rank = coalesce(col("rank", table), rank)
            ranks.append(rank if stream.takes is None else when([(col(stream.takes, "s"), rank)]))
        best = fn("greatest", *ranks)
        lines = self.kept(select.select(best.as_("rank")).where(missing(col("problem$", "s"))))
        counted = exp.select(col("rank"), exp.Count(this=exp.Star())).from_(lines.subquery("l")).group_by(col("rank"))
        found = dict(self.engine.rows(counted))
        first = found.get(_KEPT_FIRST, 0)
        return Counts(found.get(_NEW, 0), found.get(_REPLACED, 0), first + found.get(_DUPLICATE, 0), first)

    def replaces(self, index: int) -> bool:
        """Whether a row of a stream says otherwise than the lake."""
        if not self.odd[index]:
            return False
        changed = exp.NEQ(this=col("known_hash", "s"), expression=col("content_hash", "s"))
        select = self.kept(exp.select(exp.Count(this=exp.Star())).from_(named(f"odd{index}$", "s")).where(changed))
        return bool(self.engine.rows(select)[0][0])

    def keys(self, index: int) -> exp.Select:
        """Return the row_key of every kept row of a stream."""
        return self.kept(exp.select(col("row_key", "s")).from_(self.rows(index).subquery("s")))

    def written(self, index: int) -> exp.Select:
        """Return the rows of a stream to write: the last version of each key, if it says anything new.

        They have the columns of `rows`, content_hash and known_hash, which is missing for a new row.
        """
        rows = self.kept(exp.select("s.*").from_(self.rows(index).subquery("s")))
        if not self.odd[index]:
            known = cast(null(), "VARCHAR").as_("known_hash")
            return exp.select("v.*", self.content(index, "v").as_("content_hash"), known).from_(rows.subquery("v"))
        order = exp.Order(expressions=[exp.Ordered(this=col("line$", "s"), desc=self.on_change == "replace")])
        nth = exp.Window(this=exp.RowNumber(), partition_by=[col("row_key", "s")], order=order)
        ranked = exp.select(*(col(name, "s") for name in ("line$", "content_hash", "known_hash")), nth.as_("nth"))
        ranked = self.kept(ranked.from_(named(f"odd{index}$", "s")))
        says_new: exp.Expression = missing(col("known_hash", "o"))
        if self.on_change == "replace":
            otherwise = exp.NEQ(this=col("known_hash", "o"), expression=col("content_hash", "o"))
            says_new = exp.Or(this=says_new, expression=otherwise)
        last = exp.And(this=equals(col("nth", "o"), number(1)), expression=exp.Paren(this=says_new))
        select = exp.select(
            "v.*",
            coalesce(col("content_hash", "o"), self.content(index, "v")).as_("content_hash"),
            col("known_hash", "o"),
        ).from_(rows.subquery("v"))
        on_line = equals(col("line$", "o"), col("line$", "v"))
        select = select.join(ranked.subquery("o"), on=on_line, join_type="left")
        return select.where(exp.Or(this=missing(col("line$", "o")), expression=last))


def _of(stream: StagedStream, table: str) -> dict[str, exp.Expression]:
    """Return the values of a stream as columns of a table, or constants."""
    return {
        name: col(value.name, table) if isinstance(value, exp.Column) else value
        for name, value in stream.values.items()
    }
