"""Lines and transformers of a pandapower network as one table of branches."""

from __future__ import annotations

from typing import Any

import pandas as pd

from multiscale.sources.defaults import with_defaults
from multiscale.sources.pandapower_hierarchy import HIGH_VOLTAGE_KV
from multiscale.sources.pandapower_tables import between_buses, line_frame, unique_names
from multiscale.sources.pandapower_transformers import transformer_frame
from multiscale.system.approximation import Approximation, several


def branch_frame(net: Any, name_of: pd.Series, notes: list[str], changed: list[Approximation]) -> pd.DataFrame:
    """Lines and transformers in the columns of ``branch``, all but the node that owns them; index: name."""
    lines, units = line_frame(net, name_of), transformer_frame(net, name_of)
    lines.index = pd.Index(unique_names(net.line["name"], "line"))
    units.index = pd.Index(unique_names(net.trafo["name"], "transformer"))
    both = with_defaults("branch", pd.concat([p for p in (lines, units) if len(p)]))
    high = net.bus["vn_kv"].set_axis(name_of.to_numpy())
    high = high[~high.index.duplicated()].reindex(both["from_bus"]).to_numpy(float) >= HIGH_VOLTAGE_KV
    active = (both["r_ohm"] < 0) & (both["kind"] == "line") & ~high
    if active.any():
        names = [str(name) for name in both.index[active]]
        changed.append(Approximation(several("line", names), "r_ohm_per_km", "below zero (part of an equivalent): set to zero"))
        both.loc[active, "r_ohm"] = 0.0
    capacitive = both["i0_percent"] < 0
    if capacitive.any():
        names = [str(name) for name in both.index[capacitive]]
        changed.append(
            Approximation(
                several("transformer", names), "i0_percent", "below zero (line charging of a converted case): its size is taken, as by pandapower"
            )
        )
        both["i0_percent"] = both["i0_percent"].abs()
    return between_buses(both, notes)
