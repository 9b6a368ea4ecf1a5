"""People: what is held on one person, and how is all of it given to them or erased?

Reads: store (people, ids, originals), lake, engine, ``store/quarantine``. Writes: store (erasures, exports); an erasure
rewrites lake, engine and quarantine without the person.
Extend: a table of the store joins by its line in `tierwise.store.personal`.
"""
