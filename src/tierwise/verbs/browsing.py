"""Browsing: what a page shows of the results at once, such as the overview and how one answer is spread."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from tierwise.engine.labels import both
from tierwise.engine.results import segments_table, tiers_table
from tierwise.engine.sales import sales
from tierwise.engine.spread import spread
from tierwise.engine.standing import RESULTS, Standing
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.verbs.asking import Asking, held
from tierwise.verbs.opened import Opened
from tierwise.verbs.through import reads

__all__ = ["Browsing"]

_MOST_DAYS: Final = 366
#: Up to so many days each day is shown, above it each week.
_BY_DAY: Final = 31


class Browsing:
    """The verbs of pages; hangs on the façade as ``project.browsing``."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @reads
    def overview(self, days: int = 30) -> dict[str, Any]:
        """Return what the results and the last days amount to, at the as_of of the last run.

        Args:
            days: how many days up to as_of are compared with as many before them; 1 to 366.

        Returns:
            ``customers``; ``sales`` of the last days (``now``), of those before (``before``) and of each day or week
            (``steps``), nothing where there are no orders; ``tierings`` and ``segments`` with their sizes; and what the
            results are of: ``as_of``, ``state``, ``run_id``, ``snapshot_id``, ``definitions_hash``.

        Raises:
            UnknownName: when there are no results yet.
            BadRequest: when it is no such number of days, or the definitions have changed.
        """
        if not 1 <= days <= _MOST_DAYS:
            raise BadRequest(f"{days} days cannot be looked at together", f"ask for 1 to {_MOST_DAYS}")
        asking = Asking(self.opened)
        standing, engine, catalogue = asking.standing(), self.opened.engine, asking.current()
        tiers = tiers_table(engine, catalogue, RESULTS, {}).to_pylist()
        return {
            "as_of": standing.as_of,
            "state": asking.state(standing),
            "run_id": standing.run_id,
            "snapshot_id": standing.snapshot_id,
            "definitions_hash": standing.definitions_hash,
            "currency": self.opened.definitions.settings.currency,
            "days": days,
            "customers": engine.count(RESULTS),
            "sales": self._sales(standing, days),
            "tierings": [
                {
                    "tiering": name,
                    "label": both(catalogue.definitions.tierings[name].label, name),
                    "tiers": [row for row in tiers if row["tiering"] == name],
                }
                for name in catalogue.tierings
            ],
            "segments": segments_table(engine, catalogue, RESULTS, {}).to_pylist(),
        }

    @reads
    def spread(self, name: str) -> dict[str, Any]:
        """Return how the answers to a tag, a tiering or a segment are spread over the customers (`engine.spread`).

        Raises:
            UnknownName: when there is no such name, or no results yet.
            BadRequest: when it has not been computed yet.
        """
        asking = Asking(self.opened)
        standing, kinds = asking.standing(), held(asking.current())
        if name not in kinds:
            raise UnknownName(f"there is no tag, tiering or segment `{name}`", near_name(name, kinds))
        found = spread(self.opened.engine, name, kinds[name], RESULTS)
        return {**found, "as_of": standing.as_of, "state": asking.state(standing), "snapshot_id": standing.snapshot_id}

    def _sales(self, standing: Standing, days: int) -> dict[str, Any] | None:
        engine, zone = self.opened.engine, self.opened.catalogue.zone
        if "orders" not in engine.tables():
            return None
        end, whole = standing.as_of, timedelta(days=days)
        before, now = sales(engine, zone, end, [end - 2 * whole, end - whole, end])
        steps = sales(engine, zone, end, _edges(end, days))
        return {"now": now, "before": before, "steps": steps}


def _edges(end: datetime, days: int) -> list[datetime]:
    """Return where the days or weeks up to an instant begin and end; the first week may be shorter."""
    step = 1 if days <= _BY_DAY else 7
    back = sorted({days, *range(0, days, step)}, reverse=True)
    return [end - timedelta(days=one) for one in back]
