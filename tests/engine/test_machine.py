"""How much of the machine the engine takes: what the environment says, else a share of what a container allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.backends.duckdb.machine import limits
from tierwise.errors import BadRequest


def test_the_second_kind_of_cgroup_limits_both(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{1000 * 2**20}\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    found = limits({}, tmp_path)
    assert (found.memory_mb, found.threads) == (600, 1)


def test_the_first_kind_of_cgroup_limits_both(tmp_path: Path) -> None:
    for folder in ("memory", "cpu"):
        (tmp_path / folder).mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(str(2000 * 2**20))
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    found = limits({}, tmp_path)
    assert (found.memory_mb, found.threads) == (1200, 1)


def test_without_limits_it_is_a_share_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    found = limits({}, tmp_path)
    assert found.memory_mb == int(min(max(physical * 0.1, 2_500), physical * 0.6))
    assert found.threads == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("said", ["many", "0", "-1", "255", "1.5"])
def test_a_variable_that_says_nothing_useful_is_refused(said: str) -> None:
    with pytest.raises(BadRequest, match="TIERWISE_MEMORY_MB"):
        limits({"TIERWISE_MEMORY_MB": said})


def test_the_engine_keeps_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_MEMORY_MB", "512")
    monkeypatch.setenv("TIERWISE_THREADS", "1")
    settings = [exp.func("current_setting", exp.Literal.string(name)) for name in ("memory_limit", "threads")]
    with DuckEngine(None) as engine:
        ((memory, threads),) = engine.rows(exp.select(*settings))
    assert (memory, threads) == ("488.2 MiB", 1)  # 512 million bytes
