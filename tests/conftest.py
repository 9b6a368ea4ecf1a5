"""Settings every test shares: a fixed terminal, one Hypothesis profile, and marks that say why they skip."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import PostgresServer, binaries, fresh_database
from tests.spark_cluster import spark_cluster
from tierwise.engine.backends.spark.gateway import java

os.environ.setdefault("NO_COLOR", "1")
os.environ["COLUMNS"] = "120"

settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def _real_data() -> Path | None:
    folder = os.environ.get("TIERWISE_DATA")
    return Path(folder) if folder and Path(folder).is_dir() else None


def _without_spark() -> str:
    """Why there is no Spark here; "" where there is."""
    if not importlib.util.find_spec("pyspark"):
        return "pyspark is not installed (extra `spark`)"
    return "" if java() else "no Java: install it (openjdk-17-jre-headless)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    reasons = {
        "real": "" if _real_data() else "no public data sets: set TIERWISE_DATA to their folder",
        "spark": _without_spark(),
        "postgres": ""
        if os.environ.get("TIERWISE_POSTGRES") or binaries()
        else "no PostgreSQL: install it (postgresql), or set TIERWISE_POSTGRES to the URL of a server",
    }
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the public data sets; the test is skipped where there is none."""
    folder = _real_data()
    if folder is None:
        pytest.skip("no public data sets: set TIERWISE_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: the one of `TIERWISE_POSTGRES`, or one of this session's own."""
    declared = os.environ.get("TIERWISE_POSTGRES")
    if declared:
        yield declared
        return
    with _own_postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def spark_master() -> Iterator[str]:
    """The address of a Spark cluster of this session's own: a master and two workers."""
    with spark_cluster() as master:
        yield master


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test alone, which it may kill."""
    with _own_postgres() as server:
        yield server


@pytest.fixture
def empty_server(postgres_server: str) -> Iterator[str]:
    """The URL of a PostgreSQL database without tables."""
    with fresh_database(postgres_server) as url:
        yield url


@contextmanager
def _own_postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server and stop it at the end."""
    folder = binaries()
    assert folder is not None, "the mark `postgres` skips where there is none"
    server = PostgresServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
