"""The engine: compiles what was declared and computes it; everything in ``engine/`` can be computed again.

Reads: lake, store (ids), definitions. Writes: ``engine/``, and memberships and distributions to the lake.
Extend: a backend is a folder in `tierwise.engine.backends`.
"""
