"""What was foretold and what came: CDNOW's second 39 weeks, and a retail log on which a model must be caught failing."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tierwise.value.btyd import BGNBD, backtest, predict, purchases_of

pytestmark = pytest.mark.real

BEGIN = date(1997, 1, 1)
#: 30 September 1997 and 30 June 1998, as days.
HALF, WHOLE = 272, 545


def test_cdnow_weeks_40_to_78(real_data: Path) -> None:
    """The level, the single customers, and intervals calibrated on the first 39 weeks alone.

    A bare interval of the parameters, [1520, 1803], misses the 1,882 purchases that came.
    """
    with gzip.open(real_data / "cdnow" / "CDNOW_sample.txt.gz", "rt") as lines:
        rows = [line.split() for line in lines]
    who = np.array([row[1] for row in rows])
    dates = [date(int(row[2][:4]), int(row[2][4:6]), int(row[2][6:])) for row in rows]
    days = np.array([(day - BEGIN).days for day in dates])
    everything = purchases_of(who, days, WHOLE, grain=1.0)
    past = purchases_of(who[days <= HALF], days[days <= HALF], HALF, grain=1.0)
    horizon = WHOLE - HALF

    checked = backtest(past, horizon, np.random.default_rng(1))
    assert checked.passed, checked.failures

    _, x, tx, T = past.until(past.end)
    found = predict(BGNBD().fit(x, tx, T), horizon, x, tx, T, np.random.default_rng(2), checked.calibration)
    customers, *_ = everything.until(past.end)
    came = everything.between(customers, past.end, everything.end)
    assert came.sum() == 1882
    assert found.total / 1882 >= 0.87
    assert np.abs(found.expected - came).mean() <= 0.79
    assert 0.90 <= np.mean((found.low <= came) & (came <= found.high)) <= 0.97
    assert found.total_low < 1882 < found.total_high < 1.3 * found.total


def test_a_season_in_online_retail_is_caught(real_data: Path) -> None:
    """A year that begins with old customers and ends with Christmas: the check says so by itself."""
    table = pq.read_table(
        real_data / "online_retail" / "online_retail_I_2010_2011.parquet",
        columns=["InvoiceNo", "InvoiceDate", "CustomerID"],
    )
    sold = pc.and_(pc.is_valid(table["CustomerID"]), pc.invert(pc.starts_with(table["InvoiceNo"], "C")))
    table = table.filter(sold)
    seconds = pc.cast(table["InvoiceDate"].cast(pa.timestamp("s")), pa.int64()).to_numpy()
    found = backtest(
        purchases_of(table["CustomerID"].to_numpy(), seconds / 86_400, grain=1.0), 90, np.random.default_rng(1)
    )
    assert not found.passed
    assert "times the purchases that came" in found.failures[0]
    assert any("earlier purchases are not in the data" in note for note in found.notes)
    assert found.calibration.miss > 0.15
