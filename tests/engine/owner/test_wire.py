"""What crosses the door comes out as it went in: values, tables, and errors of every kind."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise import errors
from tierwise.engine.owner.wire import decode, decode_error, encode, encode_error, pack, unpack
from tierwise.errors import BadRequest, DefinitionsInvalid, Place, Problem, TierwiseError

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(), st.dates(),
    *(st.datetimes(timezones=st.just(zone)).map(lambda at: at.replace(fold=0)) for zone in (None, UTC)), st.decimals(allow_nan=False, allow_infinity=False),
)  # fmt: skip
KEYS = st.one_of(st.text(), st.integers(), st.none(), st.just("$"))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.tuples(inner, inner), max_leaves=20
)


@given(VALUES)
def test_values(value: Any) -> None:
    plain, table = encode(value)
    assert table is None
    found = decode(unpack(pack({"v": plain}))["v"], None)
    assert found == value and repr(found) == repr(value)


def test_a_table_and_what_stands_around_it() -> None:
    table = pa.table({"at": [datetime(2026, 1, 1)], "spend": [Decimal("1.50")]})
    value = {"rows": table, "on": date(2026, 1, 1), "to": Path("x.csv")}
    plain, carried = encode(value)
    assert carried is table
    assert decode(unpack(pack(plain)), carried) == value


def test_two_tables_do_not_cross() -> None:
    with pytest.raises(AssertionError, match="one table"):
        encode([pa.table({"x": [1]}), pa.table({"x": [1]})])


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", datetime])
def test_what_cannot_cross_says_so(value: object) -> None:
    with pytest.raises(AssertionError, match="does not cross"):
        encode(value)


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TierwiseError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (TierwiseError, DefinitionsInvalid)])
def test_every_error(kind: type[TierwiseError]) -> None:
    error = kind("what", "what to do", statement="SELECT 1", at=datetime(2026, 1, 1))
    found = decode_error(unpack(pack(encode_error(error))))
    assert type(found) is kind
    assert (found.message, found.hint, found.details) == (error.message, error.hint, error.details)
    assert str(found) == str(error)


def test_every_problem_of_the_definitions() -> None:
    problems = [
        Problem("kind", "wrong", Place("a.yaml", 3, 4, "tags.x"), "hint", "x\n^", "args.0"),
        Problem("yaml", "y"),
    ]
    found = decode_error(unpack(pack(encode_error(DefinitionsInvalid(problems)))))
    assert isinstance(found, DefinitionsInvalid) and list(found.problems) == problems


def test_an_error_without_details() -> None:
    assert decode_error(encode_error(BadRequest("x"))).details == {}
