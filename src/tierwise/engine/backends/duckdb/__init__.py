"""DuckDB: the backend of a laptop, and the serving copy of a cluster."""
