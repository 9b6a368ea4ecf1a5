"""Evaluation: what did an action earn, and is that more than chance?

**Reads** who was in which arm and what came of it, a row for each customer. **Writes** nothing.
**Extend** by another metric over the columns of the rows; a check is a function of `checks`.

- `design`      what an experiment is about: arms, metrics, planned looks
- `columns`     the rows as checked numbers
- `moments`     counts, means and covariances of each arm; all that is ever needed of millions of rows
- `checks`      whether the comparison may be read at all: the sample ratio first
- `comparison`  one metric between two arms
- `sequential`  how large a difference must be at each planned look
- `power`       how many customers, for how long, or what can be seen with those there are
- `verdict`     what was found, in a sentence
- `analysis`    all of it in its order
"""

from tierwise.evaluation.analysis import Analysis, analyse
from tierwise.evaluation.checks import Check
from tierwise.evaluation.comparison import Effect
from tierwise.evaluation.design import Design, Metric, read_metric
from tierwise.evaluation.power import Plan, Trial, detectable, needed, power_of
from tierwise.evaluation.sequential import SPENDING, Looks, bounds, crossing

__all__ = [
    "SPENDING",
    "Analysis",
    "Check",
    "Design",
    "Effect",
    "Looks",
    "Metric",
    "Plan",
    "Trial",
    "analyse",
    "bounds",
    "crossing",
    "detectable",
    "needed",
    "power_of",
    "read_metric",
]
