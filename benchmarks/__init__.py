"""Benchmarks, run on demand: the standard set of definitions against the floor, hand-written SQL, Polars and pandas."""

__all__: list[str] = []
