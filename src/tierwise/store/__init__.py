"""The store: what happened in transactions and cannot be computed again (today: ids and runs).

Open it with `Store.open`; each noun's verbs hang on it by name (`store.ids.assign`, `store.runs.begin`).
SQLite in one file on a laptop, PostgreSQL by URL. Modules, in reading order:

- `actors`        who does something: `Actor(kind, id, roles)`
- `schema`        every table, with types both databases know
- `transactions`  connections, and the two kinds of transaction: `read` and `write`
- `sequences`     numbers that are given once
- `migrations`    how an older store becomes a current one
- `ids`           source records and the customers they belong to
- `runs`          what was run, when, on what, and how it ended
- `session`       `Store`, which holds them together
"""

from tierwise.store.actors import SYSTEM, Actor
from tierwise.store.ids import Ids
from tierwise.store.runs import Run, Runs
from tierwise.store.session import Store

__all__ = ["SYSTEM", "Actor", "Ids", "Run", "Runs", "Store"]
