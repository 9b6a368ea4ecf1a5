"""One contender in a process of its own: ``python -m benchmarks.child NAME FOLDER`` prints its figures as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, Timed

__all__ = ["main"]


def main(name: str, folder: Path) -> None:
    """Run a contender; print wall seconds, processor seconds, peak memory of the whole process, and what it found."""
    spent = {"seconds": 0.0, "cpu_seconds": 0.0}

    def clock(work: Callable[[], Any]) -> Timed:
        wall, processor = time.perf_counter(), _processor()
        answer = work()
        taken = time.perf_counter() - wall
        spent["seconds"] += taken
        spent["cpu_seconds"] += _processor() - processor
        # the peak so far: what is written out for the comparison afterwards does not count
        spent["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Timed(answer, taken)

    found = CONTENDERS[name](folder, clock)
    sys.stdout.write(json.dumps({**spent, **found}) + "\n")


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
