"""What a repair of a plan looks at: the violations of an AC power flow at their worst, and how far the linear model was off where it matters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.operation.built import built_network
from multiscale.operation.busbars import busbar_voltages
from multiscale.operation.radial import RadialTree, radial_tree
from multiscale.planning.repair import Violations
from multiscale.system.limits import LoadingLimits
from multiscale.system.system import System
from multiscale.verification.ac import VOLTAGE_TOLERANCE_PU, Verification


def violations_of(system: System, dso: str, checked: Verification, injections: xr.Dataset, built: xr.Dataset) -> Violations:
    """Violations of the operated periods.

    The linear voltages are those the platforms' programs go by: fed by the linear model of the network above, at the powers that were injected.

    Args:
        system: owner of the networks.
        dso: the DSO whose networks, with those of its platforms, were checked.
        checked: AC power flow of the operated periods.
        injections: what was drawn in them, as for ``ac_verify``.
        built: options that are built (component ``option``).
    """
    result, rule = checked.result, LoadingLimits()
    low, high = (system.buses[name].sel(bus=result.bus).values[:, None] for name in ("v_min_pu", "v_max_pu"))
    outside = np.fmax(low - result.voltage.values, result.voltage.values - high) > VOLTAGE_TOLERANCE_PU
    outside &= ~result.slack.values[:, None]
    if not checked.outside_band:
        return Violations(checked.overloaded)
    drawn = [pd.DataFrame(injections[v].transpose("bus", "period").values, injections.bus.values, injections.period.values) for v in ("p", "q")]
    above = radial_tree(built_network(system, dso, built), rule)
    fed = busbar_voltages(system, dso, above, *(above.below(_drawn_from(system, dso, above, power)) for power in drawn))
    error: dict[str, tuple[float, float]] = {}
    for platform in system.children(dso):
        busbar = system.boundary_bus(platform)
        network = built_network(system, platform, built)
        periods = outside[pd.Index(result.bus.values).get_indexer(network.buses.bus.values)].any(axis=0)
        if periods.any():
            tree = radial_tree(network, rule, fed[platform][periods])
            at = pd.Index(result.bus.values).get_indexer(tree.buses)
            chosen = result.period.values[periods]
            active, reactive = (tree.below(power.reindex(tree.buses, fill_value=0.0)[chosen].to_numpy()) for power in drawn)
            apart = result.voltage.values[np.ix_(at, periods)] - tree.voltage(active, reactive)
            error |= {bus: (float(apart[k].min()), float(apart[k].max())) for k, bus in enumerate(tree.buses.tolist()) if bus != busbar}
    return Violations(checked.overloaded, checked.outside_band, error)


def _drawn_from(system: System, dso: str, above: RadialTree, power: pd.DataFrame) -> np.ndarray:
    """What is drawn from every bus of a DSO's network, (bus, period): what the networks of its platforms draw, at their busbars."""
    total = power.reindex(above.buses, fill_value=0.0)
    for platform in system.children(dso):
        busbar, inside = system.boundary_bus(platform), system.network(platform).buses.bus.values
        total.loc[busbar] += power.loc[power.index.intersection(inside).difference([busbar])].sum()
    return total.to_numpy()
