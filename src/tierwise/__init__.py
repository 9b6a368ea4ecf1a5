"""Tierwise: customer tiering and membership operations, from files to tiers to measured effect.

The map, from the top: `cli` (commands), `project` (the façade), `sources` (the river's stages, one package each),
`engine` (compiles and computes) and `store` (transactions), `lake` (what was received), `shop` (a simulated brand),
`packs` (ready projects), `definitions` (what a brand declares, and its language), `errors`.
"""

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
