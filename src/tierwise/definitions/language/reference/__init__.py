"""The slow, obviously right evaluator: the judge that every engine is compared with.

It is written straight from the pages that pin the language, with plain Python values and no engine, and favours
being easy to check over being quick. In reading order:

- `world`: what there is to evaluate over: rows, records, tables, definitions
- `numbers`: kinds, exact arithmetic, comparison
- `clock`: calendar arithmetic and the scalar functions of time
- `scalars`: operators and functions on values
- `rows`: which rows count, and the columns that exist only at an as_of
- `aggregates`: functions over the rows that count
- `histories`: what the membership log says
- `sequences`: rows that follow each other
- `groups`: functions over a group of customers
- `populations`: published distributions and comparisons with them
- `remembering`: tierings that remember, advanced instant by instant
- `evaluation`: the walk over the checked tree that joins these
"""

from tierwise.definitions.language.reference.evaluation import Evaluation, evaluate, publish, tier_of
from tierwise.definitions.language.reference.populations import Published
from tierwise.definitions.language.reference.world import Change, CustomerId, Row, Said, World

__all__ = ["Change", "CustomerId", "Evaluation", "Published", "Row", "Said", "World", "evaluate", "publish", "tier_of"]
