"""The table of targets: what was demanded, what the plan reaches, and what operation comes to."""

from __future__ import annotations

import pandas as pd

from multiscale.planning.targets import TARGETS
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table
from multiscale.results.words.numbers import number
from multiscale.results.words.target_words import states_of, target_names


def targets_table(result: RunResult) -> Table | None:
    """Every target next to what is reached."""
    rows = []
    for name in target_names(result):
        value = {key: result.value(f"targets.{name}.{key}") for key in ("kind", "limit", "planned", "operated", "operator", "at_least")}
        unit = str(result.summary[f"targets.{name}.limit"][1])
        rows.append(
            {
                "target": f"{name}: {TARGETS[str(value['kind'])].called}" + (f" ({value['operator']})" if value["operator"] else ""),
                "limit": ("at least " if value["at_least"] else "at most ") + number(float(value["limit"]), 6),
                "plan": float(value["planned"]),
                "operation": float("nan") if value["operated"] is None else float(value["operated"]),
                "unit": "" if unit == "1" else unit,
                "state": states_of(result, name),
            }
        )
    if not rows:
        return None
    note = "Plan: in the answer of the platforms as the planner expects it. Operation: as settled under the mechanism, on the representative days. "
    note += "Of several operators, the one that misses the limit by most in operation, or comes nearest to it."
    return Table("targets", "Targets", pd.DataFrame(rows), note=note)
