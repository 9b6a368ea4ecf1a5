"""What a brand tests with needs neither pytest nor hypothesis; only the strategies need the latter."""

from __future__ import annotations

import random
import subprocess
import sys

from tierwise.testing.drawing import draw_case
from tierwise.testing.worlds import differences

WITHOUT = """\
import pkgutil, sys
sys.modules |= dict.fromkeys(("pytest", "hypothesis"))  # importing them is refused
import tierwise.testing
for found in pkgutil.iter_modules(tierwise.testing.__path__):
    try:
        __import__(f"tierwise.testing.{found.name}")
    except ImportError:
        sys.stdout.write(found.name)
"""


def test_only_the_strategies_need_hypothesis() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("strategies", "")


def test_a_case_can_be_drawn_without_it() -> None:
    case = draw_case(random.Random(7).choice, tags=4, depth=2)
    assert case == draw_case(random.Random(7).choice, tags=4, depth=2)
    assert len(case.names) == 6
    assert not differences(case)
