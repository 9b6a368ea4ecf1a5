"""Loyalty: how many points does each customer have, and why?

**Reads** the streams at as_of (what earns points, and what was refunded since), the points ledger in the store.
**Writes** entries of the points ledger, through `tierwise.store.points`.
**Extend** by another rule under `points: … earn:` in the definitions; none of it is code.

- `earning`  what the ledger has to be told so that it says what the rows say
- `desk`     the verbs on an open project: show, earn, redeem, reverse, adjust, settle, report
"""

from tierwise.loyalty.desk import PointsDesk
from tierwise.loyalty.earning import Due, deeds

__all__ = ["Due", "PointsDesk", "deeds"]
