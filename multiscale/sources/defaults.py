"""Defaults of the schema in tables that are put together of parts with different columns."""

from __future__ import annotations

import pandas as pd

from multiscale.system.schema import COMPONENTS


def with_defaults(component: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the schema's defaults where it has a gap, or lacks a column that has one."""
    defaults = {name: declared.default for name, declared in COMPONENTS[component].items() if declared.default is not None}
    missing = frame.assign(**{name: default for name, default in defaults.items() if name not in frame})
    return missing.assign(**{name: missing[name].where(missing[name].notna(), default) for name, default in defaults.items() if name in frame})
