"""Planning: what a run would do, what was edited since the last one, who would move by it, now and at past dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tierwise.definitions.check import Catalogue
from tierwise.definitions.differences import Difference, differences
from tierwise.definitions.language.nodes import Node
from tierwise.definitions.language.sentences import sentence
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.words import Labels
from tierwise.definitions.model import Segment, Tag, Tiering
from tierwise.engine.as_of import read_as_of
from tierwise.engine.cells import Cells
from tierwise.engine.complete import definition_causes
from tierwise.engine.labels import both, labels_of
from tierwise.engine.moving import Compared, Moves
from tierwise.engine.refresh import Refresh, rebuild_because
from tierwise.engine.run import Progress, stale_streams
from tierwise.engine.standing import Standing, last_run
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.sources.collect import pending
from tierwise.verbs.asking import Asking
from tierwise.verbs.declared import declared_then
from tierwise.verbs.edited import Edit, compared_of, declared_before
from tierwise.verbs.opened import Opened
from tierwise.verbs.running import inputs_of, snapshot_of
from tierwise.verbs.through import reads

__all__ = ["Planning"]

_MOST_MONTHS: Final = 60
_IN_OUT: Final = ("in", "out")


class Planning:
    """The verbs that look ahead; nothing is written by them."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @reads
    def plan(self, top: int = 20) -> dict[str, Any]:
        """Return what a run would do, and who would move by what was edited."""
        opened = self.opened
        catalogue, definitions = opened.catalogue, opened.definitions
        stale = dict(stale_streams(opened.engine, inputs_of(opened, read_lookups=False)))
        if opened.is_on_cluster:
            stale = dict.fromkeys(stale, "read on the cluster")
        cells = Cells(catalogue)
        for name in (*catalogue.tags, *catalogue.tierings, *catalogue.segments):
            cells.want_name(name)
        imports = pending(definitions, opened.lake)
        return {
            "as_of": definitions.settings.as_of,
            "definitions_hash": definitions.digest,
            "changed_definitions": sorted(definition_causes(catalogue, last_run(opened.lake))),
            "imports": [{"source": source, "file": file, "state": state} for source, file, state in imports],
            "streams": [
                {"stream": name, "rebuild": name in stale, "why": stale.get(name, "")} for name in catalogue.streams
            ],
            "aggregates": len(cells.aggregates),
            "stages": cells.last_stage + 1,
            "distributions": len(cells.populations),
            "names": {
                "tags": len(catalogue.tags),
                "tierings": len(catalogue.tierings),
                "segments": len(catalogue.segments),
            },
            "refresh": self._refresh(),
            "edit": self._edit(top),
        }

    def _refresh(self) -> dict[str, Any]:
        """Return whom a refresh of now would compute, beside those whose rows are not imported yet, and why."""
        opened = self.opened
        standing, as_of = Standing.of(opened.engine), opened.definitions.settings.as_of
        inputs = inputs_of(opened, read_lookups=True, since=standing.lake_version if standing else 0)
        because = rebuild_because(opened.engine, inputs)
        if because or standing is None or as_of == "latest row":
            because = because or "as_of is the time of the newest row"
            return {"everyone_because": because, "due": None, "why": {}, "new_rows": 0}
        now = opened.now()
        instant = max(standing.as_of, read_as_of(as_of, opened.catalogue.zone, now, lambda: None))
        newer = [entry for entry in opened.lake.entries("rows") if entry.number > standing.lake_version]
        refresh = Refresh(opened.engine, inputs, 0, now, lambda step, seconds: None, lambda step, done, total: None)
        found = refresh.outlook(snapshot_of(opened, inputs, instant, as_believed=True))
        return {**found, "new_rows": sum(file.rows for entry in newer for file in entry.files)}

    @reads
    def concerned(self) -> pa.Table:
        """Return every customer who would move by what was edited."""
        edit = self._edited()
        compared = compared_of(edit.differences)
        why_not = edit.why_not(compared)
        if why_not:
            raise BadRequest(f"who would move cannot be said: {why_not}", "`tierwise run`, then edit and plan again")
        with edit.moves(compared) as moves:
            return moves.concerned()

    def diff(self) -> list[dict[str, Any]]:
        """Return what is declared otherwise than at the newest recorded run, with sentences."""
        new, old = self.opened.catalogue, declared_before(self.opened)
        return [] if old is None else [_difference(one, old, new) for one in differences(old, new)]

    @reads
    def replay(self, name: str, months: int = 12, progress: Progress | None = None) -> dict[str, Any]:
        """Return the sizes of a tiering or segment at past month ends, as it was declared and as it is."""
        edit = self._edited()
        one = _compared(edit, name)
        if not 1 <= months <= _MOST_MONTHS:
            raise BadRequest(f"{months} months cannot be replayed", f"from 1 to {_MOST_MONTHS}")
        why_not = edit.why_not([one])
        if why_not:
            raise BadRequest(f"`{name}` cannot be replayed: {why_not}", "`tierwise run`, then edit and plan again")
        instants = list(_month_ends(edit.standing.as_of, months, edit.new.zone))
        found: list[dict[str, Any]] = []
        for index, as_of in enumerate(instants):
            if progress is not None:
                progress(f"replay {as_of:%Y-%m}", index, len(instants))
            with edit.moves_at(one, as_of) as moves:
                found.append(_month(edit, moves, one, as_of, f"month{(index - 1) % 2}$" if index else ""))
                moves.keep(one, f"month{index % 2}$")
        return {
            "name": name,
            "kind": one.kind,
            "change": next((d.change for d in edit.differences if (d.kind, d.name) == (one.kind, name)), "unchanged"),
            "label": _label(edit.new, one),
            "value": _value(edit),
            "months": found,
        }

    # -- what was edited --------------------------------------------------------------------------------------------

    def _edited(self) -> Edit:
        standing = Asking(self.opened).standing()
        old = declared_before(self.opened)
        if old is None:
            raise UnknownName("nothing has been recorded yet to compare with", "run `tierwise run` first")
        return self._between(old, standing)

    def _between(self, old: Catalogue, standing: Standing) -> Edit:
        asking = Asking(self.opened)
        return Edit(
            self.opened,
            old,
            self.opened.catalogue,
            standing,
            lambda as_of: asking.snapshot(standing, as_of, frozen=False),
        )

    def _edit(self, top: int) -> dict[str, Any]:
        standing, old = Standing.of(self.opened.engine), declared_before(self.opened)
        if standing is None or old is None:
            refused = standing is not None and declared_then(self.opened.lake, self.opened.folder) is not None
            none_yet, unread = "there are no recorded results yet", "this version refuses what was declared last"
            return {"compared": False, "why_not": unread if refused else none_yet}
        edit = self._between(old, standing)
        compared = compared_of(edit.differences)
        about = {
            "as_of": standing.as_of,
            "run_id": standing.run_id,
            "definitions_before": old.definitions.digest,
            "sources_changed": [one.name for one in edit.differences if one.kind == "source"],
            "value": _value(edit),
        }
        why_not = edit.why_not(compared)
        if why_not:
            return {"compared": False, "why_not": why_not, **about}
        if not compared:
            counted: dict[str, Any] = {"moved": 0, "value_moved": None, "names": [], "concerned": []}
            return {"compared": True, "why_not": "", **about, **counted, "sentence": _moved_sentence(edit, 0, None)}
        with edit.moves(compared) as moves:
            moved, worth, everyone = moves.moved()
            return {
                "compared": True,
                "why_not": "",
                **about,
                "customers": everyone,
                "moved": moved,
                "value_moved": worth,
                "sentence": _moved_sentence(edit, moved, worth),
                "names": [_name(edit, moves, one) for one in compared],
                "concerned": [_person(row, compared) for row in moves.concerned(top).to_pylist()],
            }


# -- who moves ----------------------------------------------------------------------------------------------------


def _name(edit: Edit, moves: Moves, one: Compared) -> dict[str, Any]:
    difference = next(d for d in edit.differences if (d.kind, d.name) == (one.kind, one.name))
    found = {
        "name": one.name,
        "kind": one.kind,
        "change": one.change,
        "because": list(difference.because),
        "label": _label(edit.new if one.change != "deleted" else edit.old, one),
    }
    if one.kind == "tag":
        differ, worth = moves.differing(one)
        return {**found, "customers": differ, "value": worth}
    matrix = moves.matrix(one)
    differ, worth = moves.differing(one) if one.moves_people else (0, None)
    return {
        **found,
        "customers": differ,
        "value": worth,
        **_sizes(edit, one, matrix),
        "matrix": _ordered(edit, one, matrix),
    }


def _sizes(edit: Edit, one: Compared, matrix: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many were in each tier, and are, tiers in their declared order; nothing where it is not declared."""
    return {
        key: None
        if one.change == missing
        else {tier: sum(row["customers"] for row in matrix if row[side] == tier) for tier in _tiers(catalogue, one)}
        for key, side, catalogue, missing in (
            ("sizes_before", "was", edit.old, "new"),
            ("sizes_after", "is", edit.new, "deleted"),
        )
    }


def _ordered(edit: Edit, one: Compared, matrix: list[dict[str, Any]]) -> list[dict[str, Any]]:
    old = [*(_tiers(edit.old, one) if one.change != "new" else ()), None]
    new = [*(_tiers(edit.new, one) if one.change != "deleted" else ()), None]
    return sorted(matrix, key=lambda row: (old.index(row["was"]), new.index(row["is"])))


def _tiers(catalogue: Catalogue, one: Compared) -> tuple[str, ...]:
    return tuple(catalogue.tierings[one.name]) if one.kind == "tiering" else _IN_OUT


def _person(row: dict[str, Any], compared: Sequence[Compared]) -> dict[str, Any]:
    pairs = {one.name: (row[f"{one.name}_was"], row[f"{one.name}_is"]) for one in compared if one.moves_people}
    moves = {name: {"was": was, "is": is_} for name, (was, is_) in pairs.items() if was != is_}
    return {
        "customer_id": row["customer_id"],
        "customer_key": row["customer_key"],
        "value": row["value"],
        "moves": moves,
    }


def _value(edit: Edit) -> dict[str, Any] | None:
    if edit.value is None:
        return None
    label = both(edit.new.definitions.tags[edit.value].label, edit.value)
    return {"tag": edit.value, "label": label, "currency": edit.new.definitions.settings.currency}


def _moved_sentence(edit: Edit, moved: int, worth: Decimal | None) -> dict[str, str]:
    value = _value(edit)
    if not moved:
        return {"zh": "本次修改不会使任何客户变动", "en": "this edit moves nobody"}
    zh, en = f"本次修改将使 {moved:,} 位客户变动", f"this edit moves {moved:,} customer{'s' if moved > 1 else ''}"
    if value is None or worth is None:
        return {"zh": zh, "en": en}
    money = f"{value['currency']} {worth:,.0f}"
    return {"zh": f"{zh}，涉及{value['label']['zh']} {money}", "en": f"{en}, worth {money} by {value['label']['en']}"}


def _label(catalogue: Catalogue, one: Compared) -> dict[str, str]:
    definitions = catalogue.definitions
    forms: dict[str, Tag | Tiering | Segment] = {**definitions.tags, **definitions.tierings, **definitions.segments}
    return both(forms[one.name].label, one.name)


# -- past months --------------------------------------------------------------------------------------------------


def _compared(edit: Edit, name: str) -> Compared:
    new, old = edit.new, edit.old
    known = [*new.tierings, *new.segments]
    if name not in known:
        raise UnknownName(f"there is no tiering or segment `{name}`", near_name(name, known))
    kind = "tiering" if name in new.tierings else "segment"
    if name not in (old.tierings if kind == "tiering" else old.segments):
        return Compared(name, kind, "new")
    return Compared(name, kind, "changed")


def _month_ends(as_of: datetime, months: int, zone: Zone) -> Iterator[datetime]:
    """Yield the last microsecond of the newest whole months by an instant, oldest first."""
    day = zone.day_of(as_of + timedelta(microseconds=1))
    first = day.year * 12 + day.month - 1
    for number in range(first - months + 1, first + 1):
        yield zone.midnight(date(number // 12, number % 12 + 1, 1)) - timedelta(microseconds=1)


def _month(edit: Edit, moves: Moves, one: Compared, as_of: datetime, before: str) -> dict[str, Any]:
    matrix = moves.matrix(one)
    differ, worth = moves.differing(one) if one.moves_people else (0, None)
    since = moves.since(one, before) if before else (None, None)
    return {
        "as_of": as_of,
        **_sizes(edit, one, matrix),
        "differ": differ,
        "value": worth,
        "flows": [row for row in _ordered(edit, one, matrix) if row["was"] != row["is"]] if one.moves_people else [],
        "moved_since_before": None if one.change == "new" else since[0],
        "moved_since_after": since[1],
    }


# -- what is declared otherwise -------------------------------------------------------------------------------------


def _difference(one: Difference, old: Catalogue, new: Catalogue) -> dict[str, Any]:
    was, now = labels_of(old), labels_of(new)
    return {
        "kind": one.kind,
        "name": one.name,
        "change": one.change,
        "because": list(one.because),
        "recomputes": one.recomputes,
        "parts": [
            {
                "path": part.path,
                "was": part.was,
                "is": part.text,
                "sentence_was": _sentences(part.was_node, was),
                "sentence_is": _sentences(part.node, now),
            }
            for part in one.parts
        ],
    }


def _sentences(node: Node | None, labels: Labels) -> dict[str, str] | None:
    return None if node is None else {"zh": sentence(node, "zh", labels), "en": sentence(node, "en", labels)}
