"""Published distributions against their definition, word by word, and their way through the lake."""

from __future__ import annotations

import math
import statistics
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.definitions.check import Catalogue, check
from tierwise.definitions.language.typed import Population
from tierwise.definitions.load import define
from tierwise.engine.distributions import Distribution, Group, fingerprint, from_rows, measure, newest, to_rows
from tierwise.lake import Lake

AS_OF = datetime(2026, 7, 1)


def group_of(values: list[int] | list[float], scale: int = 1) -> Group:
    distinct, counts = np.unique(np.array(values), return_counts=True)
    return measure(distinct, counts.astype(np.int64), scale)


whole = st.lists(st.integers(-5, 5) | st.integers(-(2**62), 2**62), min_size=1, max_size=40)


@given(whole, st.integers(2, 12))
def test_a_cut_point_is_the_smallest_value_with_its_share_at_or_below(values: list[int], n: int) -> None:
    for k, cut in enumerate(group_of(values).cuts(n).tolist(), 1):
        at_or_below = [value for value in sorted(set(values)) if sum(v <= value for v in values) * n >= k * len(values)]
        assert cut == at_or_below[0]


@given(whole, st.booleans())
def test_thousandths(values: list[int], low: bool) -> None:
    points = group_of(values).thousandths(low).tolist()
    assert len(points) == 1000
    for k in (1, 2, 333, 500, 999, 1000):
        need = Fraction(k * len(values), 1000)
        beyond = [v for v in set(values) if sum(w >= v if low else w <= v for w in values) >= need]
        assert points[k - 1] == (max(beyond) if low else min(beyond))


@given(whole)
def test_steps_of_ranks_are_all_distinct_values(values: list[int]) -> None:
    found, position = group_of(values).steps("rank", None, False)
    assert found.tolist() == sorted(set(values))
    assert position.tolist() == [sum(v <= value for v in values) for value in found.tolist()]


@given(whole, st.integers(2, 12))
def test_the_position_of_a_step_is_how_many_cut_points_are_at_or_below(values: list[int], n: int) -> None:
    group = group_of(values)
    found, position = group.steps("ntile", n, False)
    cuts = group.cuts(n).tolist()
    assert position.tolist() == [sum(cut <= value for cut in cuts) for value in found.tolist()]


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1, max_size=30))
def test_mean_and_deviation_of_money_are_those_of_exact_numbers(cents: list[int]) -> None:
    group = group_of(cents, 100)
    exact = [Fraction(cent, 100) for cent in cents]
    assert math.isclose(group.mean, float(sum(exact) / len(exact)), rel_tol=1e-12)
    assert math.isclose(group.deviation, math.sqrt(statistics.pvariance(exact)), rel_tol=1e-12)


def test_equal_values_have_no_deviation() -> None:
    assert group_of([10] * 3, 100).deviation == 0.0  # three times 0.10, whose mean in binary is not 0.10
    assert group_of([0.1] * 3).deviation == 0.0


def test_values_close_to_each_other_and_far_from_zero_keep_their_distance() -> None:
    assert group_of([2**62, 2**62 + 2]).deviation == 1.0
    assert group_of([2**53 + 1, 2**53 + 2]).cuts(2).tolist() == [2**53 + 1]


def test_floats_beyond_binary64_have_no_mean() -> None:
    group = group_of([1e308, 1.5e308, 1.7e308])
    assert math.isnan(group.mean)
    assert math.isnan(group.deviation)
    assert math.isnan(group_of([1e200, -1e200]).deviation)


def test_nobody() -> None:
    empty = measure(np.array([], dtype=np.int64), np.array([], dtype=np.int64), 1)
    assert empty.size == 0
    assert math.isnan(empty.mean)


@pytest.mark.parametrize("values", [[2**62 - 1, 2**62, 5], [0.5, 1e300, -0.25]])
def test_through_the_lake_and_back(values: list[int] | list[float]) -> None:
    groups = {None: group_of(values), "": group_of(values[:1]), "北京": group_of(values[1:])}
    known = Distribution("abc", "rank of x", "rank", AS_OF, groups)
    later = Distribution("abc", "rank of x", "rank", datetime(2026, 8, 1), {None: group_of(values)})
    found = from_rows(to_rows([known, later]))
    assert [(one.id, one.as_of, list(one.groups)) for one in found] == [
        ("abc", AS_OF, [None, "", "北京"]),
        ("abc", later.as_of, [None]),
    ]
    for key, group in groups.items():
        back = found[0].groups[key]
        assert back.values.tolist() == group.values.tolist()
        assert back.values.dtype.kind == group.values.dtype.kind
        assert back.up_to.tolist() == group.up_to.tolist()
        np.testing.assert_equal((back.mean, back.deviation), (group.mean, group.deviation))


def test_the_newest_by_an_instant_is_read_when_asked_for(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for day, values in ((1, [1, 2]), (2, [3]), (9, [4])):
        groups: dict[str | None, Group] = {None: group_of(values)}
        published = [Distribution(key, "x", "rank", datetime(2026, 7, day), groups) for key in ("abc", "def")]
        lake.append("distributions", {"distributions": to_rows(published)}, f"run-{day}")
    found = newest(lake, datetime(2026, 7, 5))
    assert {key: [one.as_of.day for one in versions] for key, versions in found.items()} == {"abc": [2], "def": [2]}
    assert found["abc"][0].groups[None].values.tolist() == [3]
    assert newest(lake, datetime(2026, 7, 5), up_to=1)["abc"][0].as_of.day == 1
    for path in lake.paths("distributions"):
        path.unlink()
    assert list(found["abc"][0].groups) == [None], "what was read once is kept"
    with pytest.raises(FileNotFoundError):
        found["def"][0].groups[None]


# -- which publication answers which function --------------------------------------------------------------------------


def catalogue(text: str, spend: str = "count(orders)", k: int = 2) -> Catalogue:
    definitions, problems = define(
        "shop", tags={"spend": spend, "x": text}, parameters={"k": {"type": "integer", "default": k}}
    )
    assert definitions is not None and not problems
    found, problems = check(definitions)
    assert found is not None, problems
    return found


def print_of(text: str, spend: str = "count(orders)", k: int = 2) -> str:
    checked = catalogue(text, spend, k)
    node = checked.tags["x"].expr
    assert isinstance(node, Population)
    return fingerprint(node, checked)


def test_functions_of_one_population_share_its_publication() -> None:
    assert print_of("rank(spend)") == print_of("ntile(spend, 4)") == print_of('zscore(spend, best="low")')


@pytest.mark.parametrize(
    "other",
    ["rank(spend + 0)", "rank(spend, among=spend > 0)", "rank(spend, by=spend)", "rank(count(orders))"],
)
def test_other_populations_have_others(other: str) -> None:
    assert print_of(other) != print_of("rank(spend)")


def test_a_publication_is_of_the_definitions_it_read() -> None:
    assert print_of("rank(spend)") != print_of("rank(spend)", "count(events)")
    assert print_of("rank(spend * param.k)") != print_of("rank(spend * param.k)", k=3)
    assert print_of("rank(spend)") == print_of("rank(spend)", k=3)
