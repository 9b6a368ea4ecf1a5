"""Probabilities that two records are one person, from what they say: a Fellegi-Sunter model, trained without labels.

Splink does the work on an engine of its own in memory. What is declared is only which columns say what; which pairs are
compared, and on which the model is trained, follows from how the values are spread, so it fits a thousand records as
well as a million.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tierwise.errors import BadRequest, EngineRefused

if TYPE_CHECKING:
    from splink import Linker

__all__ = ["PAIRS", "Plan", "match", "plan"]

#: The columns `match` returns, beside a column ``level_<field>`` for each field: 0 differs, larger agrees more.
PAIRS: Final = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("score", pa.float64())])
#: How many pairs of a block are compared for each record at most; a block with more is narrowed by a second column.
_PAIRS_PER_RECORD: Final = 40
#: A model of fewer records would be made of chance.
_RECORDS_MIN: Final = 100
_FIELDS_MIN: Final = 3
_SAMPLED_PAIRS: Final = 1_000_000
#: Of the pairs that agree on what hardly anybody shares by chance, and of the people, about so many find each other.
_RECALL: Final = 0.8
#: Pairs less likely than this are not worth keeping.
_SCORE_MIN: Final = 0.01


@dataclass(frozen=True)
class Plan:
    """Which pairs are compared, which are taken for the same person at first, and on which the model is trained.

    Each is a list of blocks: the columns on which both records of a pair agree.
    """

    compared: tuple[tuple[str, ...], ...]
    presumed: tuple[tuple[str, ...], ...]
    trained: tuple[tuple[str, ...], ...]


def plan(records: pa.Table, fields: Mapping[str, str]) -> Plan:
    """Choose the blocks by how many pairs each would give.

    Args:
        records: the columns of `fields`, texts.
        fields: what each column says: name, date, number, email, text or category.

    Raises:
        BadRequest: when the columns say too little to tell people apart.

    Example:
        >>> names = pa.table({"name": ["a", "a", "b"], "born_on": ["1", "1", "2"], "city": ["x", "x", "x"]})
        >>> plan(names, {"name": "name", "born_on": "date", "city": "category"}).compared
        (('name',), ('born_on',), ('city',))
    """
    names = [name for name in fields if records.num_rows - records[name].null_count > 1]
    if len(names) < _FIELDS_MIN:
        raise BadRequest("at least three columns with values are needed to tell people apart", "declare more of them")
    budget = _PAIRS_PER_RECORD * records.num_rows
    pairs: dict[tuple[str, ...], int] = {(name,): _pairs(records, (name,)) for name in names}
    narrow = [block for block, count in pairs.items() if count <= budget]
    wide = [name for name in names if (name,) not in narrow]
    for two in itertools.combinations(names, 2):
        pairs[two] = _pairs(records, two)
        if (two[0] in wide or two[1] in wide) and pairs[two] <= budget:
            narrow.append(two)
    if not narrow:
        raise BadRequest("every column has too few different values to tell people apart", "declare more of them")
    telling = sorted(names, key=lambda name: pairs[name,])
    trained = _training(telling, pairs, budget)
    presumed = (telling[0],), (telling[1], telling[2])
    return Plan(tuple(narrow), presumed, trained)


def _training(telling: Sequence[str], pairs: Mapping[tuple[str, ...], int], budget: int) -> tuple[tuple[str, ...], ...]:
    """Return blocks without a common column, so that each comparison is trained on pairs it did not choose."""
    blocks: list[tuple[str, ...]] = []
    left = list(telling)
    while left and len(blocks) < 3:
        one = left.pop(0)
        if pairs[one,] <= budget // 4 or not left:
            blocks.append((one,))
        else:
            other = min(left, key=lambda name: pairs.get((one, name), pairs.get((name, one), budget)))
            left.remove(other)
            blocks.append((one, other))
    return tuple(blocks)


def _pairs(records: pa.Table, block: tuple[str, ...]) -> int:
    """Return how many pairs of records agree on some columns."""
    some = records.select(list(block))
    counted = some.drop_null().group_by(list(block)).aggregate([([], "count_all")])["count_all"].to_numpy()
    return int((counted * (counted - 1) // 2).sum())


def match(records: pa.Table, fields: Mapping[str, str], seed: int, chosen: Plan | None = None) -> pa.Table:
    """Return the pairs of records that may be one person, with the probability that they are.

    Args:
        records: `record`, an integer that names each, and the columns of `fields`, texts; an empty one says nothing.
        fields: what each column says: name, date, number, email, text or category.
        seed: of the sample on which chance agreement is estimated.
        chosen: the blocks, if not those of `plan`.

    Returns:
        The columns of `PAIRS`, the smaller record left, and the levels of agreement; the likeliest pair first.

    Raises:
        BadRequest: when there are too few records or columns to learn from.
        EngineRefused: when the model cannot be trained on them.
    """
    if records.num_rows < _RECORDS_MIN:
        raise BadRequest(f"{records.num_rows} records are too few to learn from; {_RECORDS_MIN} are needed")
    clean = _plain(records, fields)
    blocks = chosen or plan(clean, fields)
    linker = _linker(clean, fields, blocks)
    try:
        _train(linker, blocks, seed)
        found: Any = linker.inference.predict(threshold_match_probability=_SCORE_MIN)
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        raise EngineRefused(
            f"no model could be trained on these records: {error}", "declare columns that fewer people share"
        ) from error
    predicted: pa.Table = found.as_pyarrow_table()
    sides = [predicted[f"record_{side}"].to_numpy() for side in "lr"]
    whole = pa.table(
        {
            "left": np.minimum(*sides),
            "right": np.maximum(*sides),
            "score": predicted["match_probability"],
            **{f"level_{name}": predicted[f"gamma_{name}"].cast(pa.int32()) for name in fields},
        }
    )
    return whole.sort_by([("score", "descending"), ("left", "ascending"), ("right", "ascending")])


def _plain(records: pa.Table, fields: Mapping[str, str]) -> pa.Table:
    """Return the columns in one form: NFKC, lower case, without blanks around; an empty text is nothing."""
    columns: dict[str, Any] = {"record": records["record"].cast(pa.int64())}
    for name in fields:
        texts = pc.utf8_trim_whitespace(pc.utf8_lower(pc.utf8_normalize(records[name].cast(pa.string()), "NFKC")))
        columns[name] = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    return pa.table(columns)


def _linker(records: pa.Table, fields: Mapping[str, str], blocks: Plan) -> Linker:
    # Imported late: only who matches by probability needs it.
    try:
        from splink import Linker, SettingsCreator, block_on
    except ModuleNotFoundError:
        raise EngineRefused(
            "matching by probability needs Splink, which is not installed", "pip install 'tierwise[matching]'"
        ) from None
    logging.getLogger("splink").setLevel(logging.ERROR)
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record",
        comparisons=[_comparison(name, kind) for name, kind in fields.items()],
        blocking_rules_to_generate_predictions=[block_on(*block) for block in blocks.compared],
        max_iterations=20,
    )
    return Linker(_engine().register(records), settings, log_level=logging.ERROR)


def _engine() -> Any:
    """Return Splink's engine in memory, its results read to their end.

    DuckDB 2 refuses a statement while an earlier result on the connection is unread; Splink leaves them so.
    """
    from splink.backends.duckdb import DuckDBAPI

    class Finished(DuckDBAPI):
        def _execute_sql_against_backend(self, final_sql: str) -> Any:
            relation = self._con.sql(final_sql)
            return relation if relation is None else self._con.from_arrow(relation.to_arrow_table())

    return Finished()


def _comparison(name: str, kind: str) -> Any:
    import splink.comparison_level_library as levels
    import splink.comparison_library as library

    match kind:
        case "name":
            return library.JaroWinklerAtThresholds(name, [0.9, 0.8]).configure(term_frequency_adjustments=True)
        case "text":
            return library.JaroWinklerAtThresholds(name, [0.9, 0.8])
        case "email":
            return library.EmailComparison(name)
        case "category":
            return library.ExactMatch(name).configure(term_frequency_adjustments=True)
    steps = [levels.NullLevel(name), levels.ExactMatchLevel(name)]
    steps += [levels.DamerauLevenshteinLevel(name, distance) for distance in (1, 2)]
    return library.CustomComparison(output_column_name=name, comparison_levels=[*steps, levels.ElseLevel()])


def _train(linker: Linker, blocks: Plan, seed: int) -> None:
    from splink import block_on

    training = linker.training
    training.estimate_probability_two_random_records_match([block_on(*block) for block in blocks.presumed], _RECALL)
    training.estimate_u_using_random_sampling(max_pairs=_SAMPLED_PAIRS, seed=seed)
    for block in blocks.trained:
        training.estimate_parameters_using_expectation_maximisation(block_on(*block))
