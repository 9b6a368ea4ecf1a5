"""Tierwise: customer tiering and membership operations, from files to tiers to measured effect.

The map, from the top: `cli` (commands), `project` (the façade), `sources` (the river's stages, one package each),
`engine` (compiles and computes) and `store` (transactions), `lake` (what was received), `shop` (a simulated brand),
`packs` (ready projects), `definitions` (what a brand declares, and its language), `errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tierwise.definitions.load import define
    from tierwise.definitions.model import Label, Lookup, Parameter, Segment, Settings, Tag, Tier, Tiering
    from tierwise.definitions.sources import Source
    from tierwise.engine.snapshot import customers, everyone, moments
    from tierwise.entry import init, open
    from tierwise.errors import Problem, TierwiseError
    from tierwise.project import Project

__version__ = "0.1.0"

__all__ = [
    "Label",
    "Lookup",
    "Parameter",
    "Problem",
    "Project",
    "Segment",
    "Settings",
    "Source",
    "Tag",
    "Tier",
    "Tiering",
    "TierwiseError",
    "__version__",
    "customers",
    "define",
    "everyone",
    "init",
    "moments",
    "open",
]  # fmt: skip

#: Where each name comes from: it is imported when it is first asked for, so that `tierwise --help` stays quick.
_HOMES: Final = {
    "Label": "tierwise.definitions.model",
    "Lookup": "tierwise.definitions.model",
    "Parameter": "tierwise.definitions.model",
    "Problem": "tierwise.errors",
    "Project": "tierwise.project",
    "Segment": "tierwise.definitions.model",
    "Settings": "tierwise.definitions.model",
    "Source": "tierwise.definitions.sources",
    "Tag": "tierwise.definitions.model",
    "Tier": "tierwise.definitions.model",
    "Tiering": "tierwise.definitions.model",
    "TierwiseError": "tierwise.errors",
    "customers": "tierwise.engine.snapshot",
    "define": "tierwise.definitions.load",
    "everyone": "tierwise.engine.snapshot",
    "init": "tierwise.entry",
    "moments": "tierwise.engine.snapshot",
    "open": "tierwise.entry",
}

if not TYPE_CHECKING:  # a type checker must still refuse a name that is none of these

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(_HOMES[name]), name)
        globals()[name] = found
        return found
