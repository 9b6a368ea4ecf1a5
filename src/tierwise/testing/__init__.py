"""What a brand proves its definitions with, and the author of an engine that engine: truths, worlds, comparisons."""
