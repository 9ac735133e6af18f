"""Time stamps of profiles as people write them."""

from __future__ import annotations

from typing import Any

import pandas as pd


def read_timestamps(given: Any) -> pd.Series:
    """Time stamps, those that cannot be read NaT. With offsets from UTC, all of them at the first one's offset: evenly spaced where clocks change."""
    text = pd.Series(given)
    try:
        time = pd.to_datetime(text, errors="coerce")
        mixed = not pd.api.types.is_datetime64_any_dtype(time)
    except (ValueError, TypeError):
        mixed = True
    if mixed:
        time = pd.to_datetime(text, errors="coerce", utc=True)
    if time.dt.tz is None:
        return time
    first = pd.Timestamp(text.iloc[0])
    offset = first.utcoffset() if first is not pd.NaT else None
    return time.dt.tz_convert("UTC").dt.tz_localize(None) + (offset if offset is not None else pd.Timedelta(0))
