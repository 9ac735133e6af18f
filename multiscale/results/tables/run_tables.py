"""Tables of the run itself: the size of its system, computing time and memory, every value of its summary."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.results.data.dataset import has
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table


def system_table(result: RunResult) -> Table | None:
    """Size of the system."""
    rows = [{"what": k.removeprefix("system."), "number": v} for k, (v, _) in result.summary.items() if k.startswith("system.")]
    if has(result.dataset, "branch_kind") and result.dataset is not None:
        kinds, counts = np.unique(result.dataset.branch_kind.values.astype(str), return_counts=True)
        rows += [{"what": f"{kind}s", "number": int(n)} for kind, n in zip(kinds, counts, strict=True)]
    return Table("system", "Size of the system", pd.DataFrame(rows)) if rows else None


def costs_table(result: RunResult) -> Table | None:
    """Time and memory."""
    rows = [{"what": k.removeprefix("time."), "value": v, "unit": u} for k, (v, u) in result.summary.items() if k.startswith("time.")]
    rows += [{"what": "peak memory", "value": v, "unit": u} for k, (v, u) in result.summary.items() if k == "memory.peak"]
    return Table("computing", "Computing time and memory", pd.DataFrame(rows)) if rows else None


def summary_table(result: RunResult) -> Table:
    """Every value of the summary but computing time and memory, which have a table of their own."""
    rows = [{"key": k, "value": v, "unit": u} for k, (v, u) in result.summary.items() if not k.startswith(("time.", "memory."))]
    return Table("summary", "All summary values", pd.DataFrame(rows, columns=["key", "value", "unit"]))
