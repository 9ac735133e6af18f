"""The assumptions of a run: every setting with its value, unit, meaning and where it was set."""

from __future__ import annotations

import pandas as pd

from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table
from multiscale.results.words.numbers import number


def assumptions_table(result: RunResult) -> Table | None:
    """All settings that the answer depends on, as they were declared when it was computed."""
    record = result.provenance()
    if not record.get("settings"):
        return None
    asked = {o.split("=", 1)[0].lstrip("+~") for o in record.get("overrides", [])}
    rows = []
    for setting in record["settings"]:
        key, value = setting["key"], setting["value"]
        group = key.split(".", maxsplit=1)[0]
        if group in ("output", "engine", "study"):
            continue
        source = "this run" if key in asked or group in asked else "default"
        shown = number(value, 4) if isinstance(value, int | float) else ", ".join(map(str, value)) if isinstance(value, list) else str(value or "–")
        rows.append({"setting": key, "value": shown, "unit": setting["unit"], "meaning": setting["meaning"], "set by": source})
    return Table("assumptions", "Assumptions", pd.DataFrame(rows))
