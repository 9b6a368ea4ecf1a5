"""A command that ends with the one that started it: when nobody holds its standard input any more."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Final

__all__ = ["TIED", "end_with_input"]

#: What the option says.
TIED: Final = "End when standard input ends, as it does when whoever started this is gone, however it went."
#: What is at work may be finished for so long, then the process goes as it is: what is written is whole at any instant.
_LAST_SECONDS: Final = 30.0


def end_with_input() -> None:
    """Ask this process to end (SIGTERM) as soon as its standard input has, and end it if it does not."""
    threading.Thread(target=_watch, name="tied", daemon=True).start()


def _watch() -> None:
    # A descriptor of its own: whatever reads from `sys.stdin` is not disturbed.
    with open(os.dup(sys.stdin.fileno()), "rb", buffering=0) as held:
        while held.read(4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_SECONDS)
    os._exit(1)
