"""The same answers by other means: SQL written by hand, Polars, pandas."""

__all__: list[str] = []
