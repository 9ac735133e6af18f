"""The measures in words, for the documentation: generated from the registry."""

from __future__ import annotations

from multiscale.attribute import section
from multiscale.measures import MEASURES


def describe_measures() -> str:
    """A section of Markdown per measure, as they stand in ``docs/data.md``."""
    return "\n\n".join("\n".join(section(kind, measure, [f"`kind` in the option table: `{kind}`"], "measures")) for kind, measure in MEASURES.items())
