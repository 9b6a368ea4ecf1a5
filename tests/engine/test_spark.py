"""The engine's trees in Spark's words, and a cluster that is not there; what they answer is tested on a real cluster."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from sqlglot import exp

from tierwise.engine.backends.spark.dialect import for_spark
from tierwise.engine.backends.spark.files import url_of
from tierwise.engine.backends.spark.session import open_session
from tierwise.engine.sql import cast, col, filtered, fn, number, text, try_cast
from tierwise.errors import EngineRefused

SAID = {
    "a sum is exact": (exp.Sum(this=col("amount")), "SUM(CAST(`amount` AS DECIMAL(38, 6)))"),
    "what does not fit is missing": (try_cast(col("x"), "BIGINT"), "TRY_CAST(`x` AS BIGINT)"),
    "the widest integer": (cast(col("x"), "HUGEINT"), "CAST(`x` AS DECIMAL(38, 0))"),
    "an instant has no zone": (cast(text("2026-03-01"), "TIMESTAMP"), "CAST('2026-03-01' AS TIMESTAMP_NTZ)"),
    "the value of the last row": (
        filtered(fn("arg_max", col("v"), col("pos")), col("ok")),
        "MAX_BY(`v`, `pos`) FILTER(WHERE `ok`)",
    ),
    "an element that may not be there": (fn("list_extract", col("l"), number(2)), "GET(`l`, 1)"),
    "days between": (fn("date_diff", text("day"), col("a"), col("b")), "DATEDIFF(`b`, `a`)"),
    "the last of a week": (fn("date_part", text("isodow"), col("d")), "DATE_PART('dayofweek_iso', `d`)"),
    "distinct days": (
        fn("bit_count", filtered(fn("bitstring_agg", col("d"), number(0), number(9)), col("ok"))),
        "SIZE(COLLECT_SET(`d`) FILTER(WHERE `ok`))",
    ),
    "hexadecimal digits": (fn("concat", text("0x"), col("h")), "CONV(`h`, 16, 10)"),
    "the whole text matches": (fn("regexp_full_match", col("t"), text("a|b")), "`t` RLIKE '\\\\A(?:a|b)\\\\z'"),
    "one of one": (fn("least", col("a")), "`a`"),
    "a row for each of a list": (fn("unnest", col("l")), "EXPLODE(`l`)"),
    "an instant in no zone": (
        fn("epoch_us", col("t")),
        "CAST((CAST(CAST((`t` - CAST('1970-01-01 00:00:00' AS TIMESTAMP_NTZ)) AS INTERVAL SECOND) AS DECIMAL(20, 6))"
        " * 1000000) AS BIGINT)",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_spark_says(name: str) -> None:
    tree, wanted = SAID[name]
    assert for_spark(tree, {}).sql("spark", identify=True) == wanted


def test_a_list_in_order_keeps_its_filter_inside() -> None:
    listed = exp.ArrayAgg(this=exp.Order(this=col("v"), expressions=[exp.Ordered(this=col("pos"))]))
    found = for_spark(filtered(listed, col("ok")), {}).sql("spark", identify=True)
    assert found.startswith("TRANSFORM(ARRAY_SORT(COLLECT_LIST(NAMED_STRUCT('k', `pos`, 'v', `v`)) FILTER(WHERE `ok`))")


def test_a_clocks_function_is_written_out() -> None:
    body = exp.Add(this=exp.Paren(this=exp.column("w")), expression=number(8))
    found = for_spark(fn("local_time", col("time")), {"local_time": body}).sql("spark", identify=True)
    assert found == "GET(TRANSFORM(ARRAY(`time`), `w$` -> (`w$`) + 8), 0)"


def test_an_as_of_join_becomes_one_ordered_pass() -> None:
    left = exp.select("k", "x").from_("a").subquery("m")
    on = exp.and_(
        exp.EQ(this=col("k", "m"), expression=col("k", "p")), exp.GTE(this=col("x", "m"), expression=col("v", "p"))
    )
    query = exp.select(col("x", "m"), col("n", "p")).from_(left).join(
        exp.to_table("steps").as_("p"), on=on, join_type="asof left"
    )  # fmt: skip
    found = for_spark(query, {}).sql("spark", identify=True)
    assert "ASOF" not in found and "LAST_VALUE(`r$`) IGNORE NULLS OVER (PARTITION BY `e0$` ORDER BY `o$`" in found
    assert found.startswith("SELECT `l$`.`x`, `r$`.`n` FROM")


@pytest.mark.parametrize("tree", [fn("json_extract", col("x")), fn("regexp_full_match", col("t"), text("[[:alpha:]]"))])
def test_what_spark_has_no_equal_of_is_refused(tree: exp.Expression) -> None:
    with pytest.raises(EngineRefused) as refused:
        for_spark(tree, {})
    assert refused.value.hint


@pytest.mark.spark
def test_a_master_that_is_not_there_is_told_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(EngineRefused, match="no Spark master answers"):
        open_session(f"spark://127.0.0.1:{port}", {})


@pytest.mark.spark
def test_spark_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(EngineRefused, match="Spark is not installed") as refused:
        open_session("local[1]", {})
    assert "tierwise[spark]" in refused.value.hint


@pytest.mark.spark
def test_java_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineRefused, match="Java is not installed") as refused:
        open_session("local[1]", {})
    assert "JAVA_HOME" in refused.value.hint


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.xdist_group("spark")
def test_java_that_does_not_start_says_why() -> None:
    with pytest.raises(EngineRefused, match=r"Java process did not start: .*heap"):
        open_session("local[1]", {"spark.driver.memory": "1k"})


def test_files_are_called_by_the_clusters_name_for_them(tmp_path: Path) -> None:
    here = tmp_path / "brand"
    assert url_of(here / "lake" / "a b.parquet", {here: "/mnt/brand"}) == "file:///mnt/brand/lake/a b.parquet"
    assert url_of(tmp_path / "店铺", {here: "/mnt/brand"}) == f"file://{tmp_path}/店铺"
