"""How much of the machine the engine may use: its share of memory and processors, a container's limits included."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tierwise.errors import BadRequest

__all__ = ["MEMORY", "THREADS", "Limits", "limits"]

#: The environment variables that say otherwise: megabytes, and a number of threads.
MEMORY: Final = "TIERWISE_MEMORY_MB"
THREADS: Final = "TIERWISE_THREADS"
#: The engine's part of the memory there is, and the least it takes where no more than the larger share is that much:
#: the files that the system caches are read again and again, and Python takes its own beside. Spilling costs little.
_SHARE: Final = 0.1
_USUAL_MB: Final = 2_500
_LARGEST_SHARE: Final = 0.6
_LEAST_MB: Final = 256
_CGROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Limits:
    """What the engine may use; what does not fit into `memory_mb` is spilled to disk."""

    memory_mb: int
    threads: int


def limits(environment: Mapping[str, str], cgroup: Path = _CGROUP) -> Limits:
    """Return what the environment says, else a share of what the machine or the container has.

    A tenth of the memory, but 2,500 MB where that is at most six tenths of it: with it the whole process of a run over
    a million customers stays below 4 GB, and is hardly slower than with more.

    Args:
        environment: the variables of the process.
        cgroup: where the limits of a container stand (of either version).

    Raises:
        BadRequest: when a variable is not a whole number in its range.

    Example:
        >>> limits({"TIERWISE_MEMORY_MB": "2000", "TIERWISE_THREADS": "2"})
        Limits(memory_mb=2000, threads=2)
    """
    memory = _asked(environment, MEMORY, _LEAST_MB)
    threads = _asked(environment, THREADS, 1)
    there = _memory_mb(cgroup)
    usual = min(max(there * _SHARE, _USUAL_MB), there * _LARGEST_SHARE)
    return Limits(memory or max(_LEAST_MB, int(usual)), threads or _processors(cgroup))


def _asked(environment: Mapping[str, str], name: str, least: int) -> int | None:
    said = environment.get(name, "").strip()
    if not said:
        return None
    if not (said.isascii() and said.isdigit()) or not least <= int(said) <= 10**9:
        raise BadRequest(f"{name} is {said!r}", f"write a whole number, {least} or more")
    return int(said)


def _memory_mb(cgroup: Path) -> float:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    allowed = [_number(cgroup / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    return min([physical, *(value for value in allowed if value)]) / 2**20


def _processors(cgroup: Path) -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _number(cgroup / "cpu.max"), _number(cgroup / "cpu.max", 1)
    if not quota:
        quota, period = _number(cgroup / "cpu/cpu.cfs_quota_us"), _number(cgroup / "cpu/cpu.cfs_period_us")
    return max(1, min(available, math.ceil(quota / period))) if quota and period else available


def _number(path: Path, position: int = 0) -> int | None:
    """Return one of the numbers of a file; None where it says ``max``, or is not there."""
    try:
        word = path.read_text(encoding="ascii").split()[position]
    except (OSError, IndexError, UnicodeDecodeError):
        return None
    return int(word) if word.isdigit() else None
