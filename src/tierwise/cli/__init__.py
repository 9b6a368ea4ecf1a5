"""The command line: thin commands over the façade, one file per verb group; every command also speaks ``--json``."""

from tierwise.cli.main import main

__all__ = ["main"]
