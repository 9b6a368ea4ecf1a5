"""Backends: where the compiled plan runs."""
