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
from multiscale.verification.outages import OutageCheck

NEGLIGIBLE_SHARE = 1e-3
"""A branch that carries less than this share of its rating without an outage cannot be asked to be stronger by what it carries."""


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


def outage_violations(system: System, dso: str, check: OutageCheck, checked: Verification, built: xr.Dataset) -> Violations:
    """Branches that a single outage overloads and that one more option makes strong enough, with their loading without and under it.

    Where no option does, a smaller share would only cut off customers in normal operation.

    Args:
        system: owner of the networks and options.
        dso: whose lines were taken out.
        check: of the outages.
        checked: AC power flow of the same periods without outage.
        built: options that are built (component ``option``).
    """
    options, carried = system.options, checked.result.loading.max("period")
    found = {}
    for branch, loading in check.overloaded.items():
        now, without = _rating(system, dso, branch, built), float(carried.sel(branch=branch)) / 100.0
        left = np.flatnonzero((options.branch.values == branch) & ~np.isin(options.option.values, built.option.values))
        with_one = [_rating(system, dso, branch, xr.concat([built, options.isel(option=[k])], "option")) for k in left.tolist()]
        if without > NEGLIGIBLE_SHARE and max(with_one, default=0.0) >= now * loading / 100.0:
            found[branch] = without, loading / 100.0
    return Violations(under_outage=found)


def _rating(system: System, dso: str, branch: str, built: xr.Dataset) -> float:
    """Rating of a branch with some options built [kVA]."""
    return float(built_network(system, dso, built).branches.rating_kva.sel(branch=branch))


def _drawn_from(system: System, dso: str, above: RadialTree, power: pd.DataFrame) -> np.ndarray:
    """What is drawn from every bus of a DSO's network, (bus, period): what the networks of its platforms draw, at their busbars."""
    total = power.reindex(above.buses, fill_value=0.0)
    for platform in system.children(dso):
        busbar, inside = system.boundary_bus(platform), system.network(platform).buses.bus.values
        total.loc[busbar] += power.loc[power.index.intersection(inside).difference([busbar])].sum()
    return total.to_numpy()
