"""The measures in words, for the documentation: generated from the registry."""

from __future__ import annotations

import inspect

from multiscale.measures import MEASURES, Measure


def describe_measures() -> str:
    """A section of Markdown per measure, as they stand in ``docs/data.md``."""
    return "\n\n".join(_section(kind, measure) for kind, measure in MEASURES.items())


def _section(kind: str, measure: type[Measure]) -> str:
    columns = [f"`{name}`{' (required)' if name in measure.required else ''}" for name in measure.columns]
    lines = [
        f"### {kind}",
        "",
        inspect.cleandoc(measure.__doc__ or ""),
        "",
        f"- `kind` in the option table: `{kind}`",
        f"- columns beyond the common ones: {', '.join(columns) or 'none'}",
        f"- settings: `measures.{kind}.` {', '.join(f'`{name}`' for name in measure.model_fields)}",
    ]
    return "\n".join(lines)
