"""Judging: whether a tiering tells what its customers bring later, and numbers for its rules that would tell more."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tierwise.definitions.editing import Replacement, edited
from tierwise.definitions.language.kinds import TEXT
from tierwise.definitions.language.nodes import Parameter, walk
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.model import Tiering
from tierwise.engine.as_of import read_as_of
from tierwise.engine.cells import Named, named_cell
from tierwise.engine.intervals import Intervals
from tierwise.engine.labels import both
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.verbs.asking import Asking
from tierwise.verbs.hindsight import VALUE, Hindsight, aligned, numbers_of
from tierwise.verbs.opened import Opened
from tierwise.verbs.past import Past
from tierwise.verbs.through import reads

if TYPE_CHECKING:
    from tierwise.value.tiers import Judgement, Rules

__all__ = ["Judging", "Tierings"]

#: Samples are drawn again with this chance, unless another one is asked for: one state has one answer.
_SEED: Final = 20_260_101
#: What has to hold beside a good score; docs/value.md says why.
_STEADY: Final = 0.25
_AGREEMENT: Final = 0.2
_LARGEST: Final = 0.95


class Judging:
    """The verbs that judge tierings."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self.opened)

    @reads
    def quality(
        self, tiering: str, at: datetime | str | None, horizon: str, value: str, against: str, seed: int
    ) -> dict[str, Any]:
        """Judge a tiering at a past instant by what its customers brought within a horizon after it."""
        from tierwise.value.tiers import compare, drift, judge

        forms = {name: self._form(name) for name in (tiering, *([against] if against else []))}
        past, rules = Hindsight.of(self._asking, at, horizon, value), self._rules(tiering)
        wanted = [*(named_cell(self.opened.catalogue, name) for name in forms), *past.named(rules.measured)]
        now, later = past.table(past.at, wanted, past.before), past.table(past.end, wanted, past.at)
        brought, order = aligned(later, now), {name: _order(form, now, name) for name, form in forms.items()}
        placed = {name: _placed(now[name], order[name]) for name in forms}
        judged = judge(placed[tiering], brought, order[tiering], np.random.default_rng(seed))
        inputs = [
            {"measured": print_tree(node), "psi": drift(numbers_of(now[name]), numbers_of(later[name]))}
            for name, node in rules.measured.items()
        ]
        moved = self._migration(past, tiering, order[tiering], now, later)
        found = {
            **self._head(past, tiering, seed),
            "ordered_by": "declaration" if _is_ordered(forms[tiering]) else "value before",
            **_told(judged, forms[tiering]),
            "stability": {"inputs": inputs, "migration": moved},
            "gates": _gates(judged, inputs, moved),
            "against": None,
        }
        if against:
            sizes = len(order[tiering]), len(order[against])
            rng = np.random.default_rng(seed)
            told = compare(placed[tiering], placed[against], brought, sizes, rng)
            found["against"] = {"tiering": against, **asdict(told)}
        return found

    @reads
    def suggest(self, tiering: str, at: datetime | str | None, horizon: str, value: str, seed: int) -> dict[str, Any]:
        """Seek numbers for a tiering's rules on the horizon before an instant, and try them on the one after it."""
        from tierwise.value.tiers import better_thresholds, compare

        form, rules = self._form(tiering), self._rules(tiering)
        past = Hindsight.of(self._asking, at, horizon, value)
        first = past.earlier
        then = first.table(first.at, first.named({**rules.measured, **rules.given}), first.before)
        columns = {name: numbers_of(then[name]) for name in rules.measured}
        columns |= {name: then[name].to_numpy() for name in rules.given}
        placed = rules.place(columns, [float(one.number) for one in rules.thresholds])
        names = list(form.tiers)
        order = list(range(len(names))) if _is_ordered(form) else _by_mean(placed, numbers_of(then[VALUE]), len(names))
        came = aligned(past.table(past.at, [], past.before), then)
        sought = better_thresholds(rules, columns, came, order)

        texts = {tier: (one.rule, rules.text(tier, one.rule, sought.numbers)) for tier, one in form.tiers.items()}
        tried = [
            self._stateless(name, {tier: pair[side] for tier, pair in texts.items()}, form)
            for side, name in enumerate(("was$", "is$"))
        ]
        now = past.table(past.at, tried, past.before)
        best = [names[place] for place in order]
        was, is_ = (_placed(now[one.name], best) for one in tried)
        brought = aligned(past.table(past.end, [], past.at), now)
        told = compare(is_, was, brought, (len(best), len(best)), np.random.default_rng(seed))
        improves, notes = told.difference > 0, []
        if not improves:
            notes.append("no other numbers were found that tell more of a time they were not sought on")
        if form.remembers:
            notes.append("it remembers: its entry rules are judged, as if nobody kept a tier from before")
        edit = self._edits(tiering, rules, sought.numbers if improves else [one.number for one in rules.thresholds])
        for one in edit["edits"]:
            if one["read_by"]:
                notes.append(f"`{one['path']}` is read by {', '.join(one['read_by'])} too, which changes with it")
        return {
            **self._head(past, tiering, seed),
            "sought_from": first.at,
            "score_was": told.second,
            "score_is": told.first,
            "difference": told.difference,
            "low": told.low,
            "high": told.high,
            "improves": improves,
            "tiers": [
                {"tier": tier, "was": int((was == place).sum()), "is": int((is_ == place).sum())}
                for place, tier in enumerate(best)
            ],
            **edit,
            "notes": notes,
        }

    # -- what is asked about ----------------------------------------------------------------------------------------

    def _form(self, tiering: str) -> Tiering:
        tierings = self.opened.definitions.tierings
        if tiering not in tierings:
            raise UnknownName(f"there is no tiering `{tiering}`", near_name(tiering, tierings))
        return tierings[tiering]

    def _rules(self, tiering: str) -> Rules:
        from tierwise.value.tiers import Rules

        catalogue = self.opened.catalogue
        parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
        return Rules({tier: rule.node for tier, rule in catalogue.tierings[tiering].items()}, parameters)

    def _stateless(self, name: str, texts: Mapping[str, str], form: Tiering) -> Named:
        """Return a tiering of these rules in which nobody keeps a tier from before."""
        catalogue = self.opened.catalogue
        rules = tuple(
            (tier, None if one.is_otherwise else catalogue.expression(texts[tier])[1])
            for tier, one in form.tiers.items()
        )
        return Named(name, TEXT, rules=rules)

    def _head(self, past: Hindsight, tiering: str, seed: int) -> dict[str, Any]:
        standing = past.standing
        return {
            "tiering": tiering,
            "label": both(self._form(tiering).label, tiering),
            "at": past.at,
            "end": past.end,
            "value": past.value,
            "as_of": standing.as_of,
            "run_id": standing.run_id,
            "snapshot_id": standing.snapshot_id,
            "seed": seed,
        }

    def _migration(
        self, past: Hindsight, tiering: str, names: Sequence[str], now: pa.Table, later: pa.Table
    ) -> dict[str, Any] | None:
        """Return who went where from the instant to the end: as recorded, or else as the rules of now say."""
        from tierwise.value.tiers import migration

        moves, basis = self._recorded(past, tiering), "recorded"
        if moves is None:
            moves, basis = _moves(now, later, tiering), "computed"
        found = migration(moves, names)
        return None if found is None else {"basis": basis, **asdict(found)}

    def _recorded(self, past: Hindsight, tiering: str) -> dict[tuple[str, str], int] | None:
        opened, zone = self.opened, self.opened.catalogue.zone

        def read(asked: datetime | str) -> datetime:
            return read_as_of(asked, zone, opened.now(), lambda: None)

        intervals = Intervals(opened.engine, opened.lake, zone, read, lambda customer: 0)
        try:
            if not intervals.is_current():
                return None
            found = intervals.migration(tiering, past.at.replace(tzinfo=UTC), past.end.replace(tzinfo=UTC))
        except (BadRequest, UnknownName):  # nothing was recorded by then
            return None
        rows = found.to_pylist()
        return {(row["was"], row["is"]): row["customers"] for row in rows if row["was"] and row["is"]}

    # -- as an edit -------------------------------------------------------------------------------------------------

    def _edits(self, tiering: str, rules: Rules, numbers: Sequence[Any]) -> dict[str, Any]:
        """Return what to write instead: each number, the files with them in place, and the difference as a patch."""
        definitions, edits, wanted = self.opened.definitions, [], dict[str, list[Replacement]]()
        form = self._form(tiering)
        for threshold, number in zip(rules.thresholds, numbers, strict=True):
            if threshold.number == number:
                continue
            name, (tier, _) = threshold.parameter, threshold.at[0]
            path = f"parameters.{name}.default" if name else f"tierings.{tiering}.tiers.{tier}"
            path = f"{path}.rule" if f"{path}.rule" in definitions.places else path
            place = definitions.place(path)
            said = {"path": path, "file": place.file, "line": place.line, "tier": "" if name else tier}
            said["read_by"] = self._readers(name, tiering) if name else []
            measured = print_tree(rules.measured[threshold.measured])
            edits.append({**said, "measured": measured, "was": str(threshold.number), "is": _written(number)})
            if name:
                was = str(definitions.parameters[name].default)
                wanted.setdefault(place.file, []).append(Replacement(place, was, _written(number)))
        for tier, one in form.tiers.items():
            text = rules.text(tier, one.rule, numbers, parameters=False)
            if text != one.rule:
                path = f"tierings.{tiering}.tiers.{tier}"
                place = definitions.place(f"{path}.rule" if f"{path}.rule" in definitions.places else path)
                wanted.setdefault(place.file, []).append(Replacement(place, one.rule, text))
        files, diff = {}, ""
        for file, replacements in wanted.items():
            text = (self.opened.folder / file).read_text(encoding="utf-8")
            after = edited(text, replacements)
            if after is not None:
                files[file] = after
                old, new = text.splitlines(keepends=True), after.splitlines(keepends=True)
                diff += "".join(difflib.unified_diff(old, new, f"a/{file}", f"b/{file}"))
        return {"edits": edits, "files": files, "diff": diff}

    def _readers(self, parameter: str, besides: str) -> list[str]:
        """Return the definitions that read a parameter, besides one."""
        catalogue = self.opened.catalogue
        rules = {name: [rule] for name, rule in (*catalogue.tags.items(), *catalogue.segments.items())}
        for name, tiers in catalogue.tierings.items():
            rules[name] = [*tiers.values(), *catalogue.stays.get(name, {}).values()]
        return [
            name
            for name, own in rules.items()
            if name != besides
            and any(node == Parameter(parameter) for rule in own if rule.node for _, node in walk(rule.node))
        ]


@dataclass(frozen=True)
class Tierings:
    """What can be asked of how good a tiering is; what was recorded of it is made ready first."""

    judging: Judging
    past: Past

    def quality(
        self,
        tiering: str,
        at: datetime | str | None = None,
        horizon: str = "90d",
        value: str = "orders.kept_amount",
        against: str = "",
        seed: int = _SEED,
    ) -> dict[str, Any]:
        """Judge a tiering at a past instant by what its customers brought within a horizon after it (docs/value.md).

        Args:
            tiering: the tiering.
            at: the instant; by default one horizon before the last run's as_of.
            horizon: how far ahead is looked, such as ``90d``; all of it must be known by now.
            value: what customers bring: a column of a stream; of orders those that are kept.
            against: another tiering to be compared with, on the same customers.
            seed: the chance that samples are drawn again with.

        Raises:
            UnknownName: when there is no such tiering, or there are no results yet.
            BadRequest: when the instant or the horizon cannot be understood, or what came is not known yet.
            DefinitionsInvalid: when there is no such column.
            TooLittleData: when fewer than 50 customers were known, or nobody brought anything afterwards.
        """
        self._recorded()
        return self.judging.quality(tiering, at, horizon, value, against, seed)

    def suggest(
        self,
        tiering: str,
        at: datetime | str | None = None,
        horizon: str = "90d",
        value: str = "orders.kept_amount",
        seed: int = _SEED,
    ) -> dict[str, Any]:
        """Seek numbers for a tiering's rules on the horizon before an instant, and try them on the one after it.

        The answer has the scores of the time they were not sought on, with the interval of their difference, and the
        definition's files with the numbers in place: nothing is written.

        Args:
            tiering: see `quality`.
            at: see `quality`; two horizons before it are read.
            horizon: see `quality`.
            value: see `quality`.
            seed: see `quality`.

        Raises:
            UnknownName: see `quality`.
            BadRequest: see `quality`.
            DefinitionsInvalid: see `quality`.
            TooLittleData: see `quality`; also when no rule compares something with a number.
        """
        return self.judging.suggest(tiering, at, horizon, value, seed)

    def _recorded(self) -> None:
        try:
            if not self.past.is_current():
                self.past.build()
        except UnknownName:  # nothing was recorded yet, so the rules alone say who moved
            return


def _is_ordered(form: Tiering) -> bool:
    return form.ordered or form.keep is not None


def _order(form: Tiering, now: pa.Table, name: str) -> list[str]:
    """Return the tiers, best first: as declared, or else by what their customers brought before."""
    names = list(form.tiers)
    if _is_ordered(form):
        return names
    return [names[place] for place in _by_mean(_placed(now[name], names), numbers_of(now[VALUE]), len(names))]


def _by_mean(placed: np.ndarray, value: np.ndarray, tiers: int) -> list[int]:
    """Return the places of the tiers by their mean value, the highest first; those without customers are last."""
    customers, sums = np.bincount(placed, minlength=tiers), np.bincount(placed, np.nan_to_num(value), minlength=tiers)
    means = np.where(customers > 0, sums / np.maximum(customers, 1), -np.inf)
    return [int(place) for place in np.argsort(-means, kind="stable")]


def _placed(column: pa.ChunkedArray, names: Sequence[str]) -> np.ndarray:
    found = pc.index_in(column, value_set=pa.array(names, pa.string()))
    return np.asarray(found.to_numpy(), np.int64)


def _moves(now: pa.Table, later: pa.Table, tiering: str) -> dict[tuple[str, str], int]:
    place = pc.index_in(now["customer_id"], value_set=later["customer_id"].combine_chunks())
    both_ = pa.table({"was": now[tiering], "is": later[tiering].take(place)})
    rows = both_.group_by(["was", "is"]).aggregate([([], "count_all")]).to_pylist()
    return {(row["was"], row["is"]): row["count_all"] for row in rows if row["is"]}


def _told(judged: Judgement, form: Tiering) -> dict[str, Any]:
    """Return a judgement as plain values, with the curve of the value over the customers, the lowest tier first."""
    tiers = [{**asdict(one), "label": both(form.tiers[one.tier].label, one.tier)} for one in judged.tiers]
    curve, customers, value = [{"customers": 0.0, "value": 0.0}], 0.0, 0.0
    for one in reversed(judged.tiers):
        customers, value = customers + one.share, value + one.value_share
        curve.append({"customers": customers, "value": value})
    rest = {name: part for name, part in asdict(judged).items() if name not in ("tiers", "steps")}
    return {**rest, "tiers": tiers, "steps": [asdict(step) for step in judged.steps], "curve": curve}


def _gates(
    judged: Judgement, inputs: Sequence[Mapping[str, Any]], moved: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return what has to hold beside the score, each with the number it goes by; missing where nothing is known."""
    certain = sum(step.significant for step in judged.steps)
    wanted = max(len(judged.tiers) - 1, 1)
    largest = max(one.share for one in judged.tiers)
    psi = max((one["psi"] for one in inputs), default=None)
    kappa = moved["kappa"] if moved else None
    return [
        {"gate": "steps", "passed": certain == wanted, "number": certain, "bound": wanted},
        {"gate": "sizes", "passed": largest <= _LARGEST, "number": largest, "bound": _LARGEST},
        {"gate": "inputs", "passed": None if psi is None else psi < _STEADY, "number": psi, "bound": _STEADY},
        {
            "gate": "migration",
            "passed": None if kappa is None else kappa >= _AGREEMENT,
            "number": kappa,
            "bound": _AGREEMENT,
        },
    ]


def _written(number: Any) -> str:
    return str(number) if isinstance(number, int) else f"{number:f}"
