"""Value: whether purchase models foretell what these customers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.definitions.language.times import Zone, parse_duration
from tierwise.engine.purchases import purchase_days
from tierwise.engine.standing import Standing
from tierwise.errors import BadRequest, TooLittleData, UnknownName, near_name
from tierwise.verbs.opened import Opened
from tierwise.verbs.through import reads

if TYPE_CHECKING:
    from tierwise.value.btyd import Backtest

__all__ = ["Valuing"]

#: Every backtest draws the same futures, so that one state of the tables has one answer.
_SEED: Final = 20_260_101
_EPOCH: Final = date(1970, 1, 1)


class Valuing:
    """The verbs of value; hangs on the façade as ``project.value``."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @reads
    def backtest(self, horizon: str = "90d", model: str = "bg_nbd") -> dict[str, Any]:
        """Fit a purchase model at past days, foretell what came after each, and judge (see ``docs/value.md``).

        The orders are those kept at the last run's as_of; the orders of a customer on one local day are one purchase.

        Args:
            horizon: how far ahead is asked, such as ``90d`` or ``6mo``.
            model: the model that is tried first: ``pareto_nbd bg_nbd mbg_nbd nbd past_rate``; simpler ones follow.

        Raises:
            UnknownName: when there are no results yet, or no such model.
            BadRequest: when the horizon is no length of time of at least a day.
            TooLittleData: when at no past day there is enough to fit.
        """
        # SciPy is loaded by whoever asks for a model, not by every command.
        from numpy.random import default_rng

        from tierwise.value.btyd import backtest, purchases_of
        from tierwise.value.btyd.ladder import LADDER

        standing = Standing.of(self.opened.engine)
        if standing is None:
            raise UnknownName("there are no results yet", "run `tierwise run` first")
        if model not in LADDER:
            raise UnknownName(f"there is no purchase model `{model}`", near_name(model, LADDER))
        zone = self.opened.catalogue.zone
        ahead = _days_ahead(horizon, standing, zone)
        days = self._days(standing, zone)
        first = _EPOCH + timedelta(days=int(pc.min(days["on"]).as_py()))
        today = (zone.day_of(standing.as_of) - _EPOCH).days
        purchases = purchases_of(days["customer_id"].to_numpy(), days["on"].to_numpy(), today, grain=1.0)
        rungs = list(LADDER)[list(LADDER).index(model) :]
        found = backtest(purchases, ahead, default_rng(_SEED), rungs, at=lambda cut: _day(first, cut).isoformat())
        return {
            "as_of": standing.as_of,
            "run_id": standing.run_id,
            "snapshot_id": standing.snapshot_id,
            "horizon_days": ahead,
            "asked": model,
            **_told(found, first),
        }

    def _days(self, standing: Standing, zone: Zone) -> pa.Table:
        """Return (customer_id, on) of the orders that were kept, days as numbers."""
        if "orders" not in self.opened.engine.tables():
            raise TooLittleData("there are no orders", "map a source to `orders`, then run `tierwise run`")
        found = purchase_days(self.opened.engine, zone, standing.as_of)
        if not found.num_rows:
            raise TooLittleData("no order was kept by the as_of of the last run")
        return found.set_column(1, "on", found["on"].cast(pa.int32()))


def _days_ahead(horizon: str, standing: Standing, zone: Zone) -> int:
    duration = parse_duration(horizon)
    days = 0 if duration is None else (zone.add(standing.as_of, duration, 1) - standing.as_of).days
    if days < 1:
        raise BadRequest(f"`{horizon}` is no length of time of at least a day", "write 90d, 12w or 6mo")
    return days


def _day(first: date, cut: float) -> date:
    return first + timedelta(days=int(cut))


def _told(found: Backtest, first: date) -> dict[str, Any]:
    """Return a backtest as plain values, instants as days."""
    origins: Sequence[dict[str, Any]] = [
        {"from": _day(first, origin.cut), "days": origin.h, **asdict(origin)} for origin in found.origins
    ]
    for origin in origins:
        del origin["cut"], origin["h"]
    return {
        "passed": found.passed,
        "origins": list(origins),
        "calibration": asdict(found.calibration),
        "failures": list(found.failures),
        "notes": list(found.notes),
    }
