"""Systems that differ from a given one in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from multiscale.operation import Design
from multiscale.system import System
from multiscale.system.schema import table
from multiscale.tariffs import Tariff, standard_components

_COMPONENT = {"buses": "bus", "branches": "branch", "devices": "device", "generators": "generator", "nodes": "node"}


def changed(system: System, name: str, column: str, values: Mapping[str, object]) -> System:
    """The system with one column of a table changed at some identifiers."""
    component, old = _COMPONENT[name], getattr(system, name)
    data = {str(c): old[c].values.astype(object) for c in old.data_vars}
    for identifier, value in values.items():
        where = old[component].values == identifier
        assert where.sum() == 1, identifier
        data[column][where] = value
    return system.replace(**{name: table(component, old[component].values, data)})


def with_options(system: System, options: Mapping[str, tuple[float, float]]) -> System:
    """The system with one option for each branch: branch -> (added rating [kVA], cost [EUR])."""
    branches = list(options)
    added, cost = (np.array([v[k] for v in options.values()]) for k in (0, 1))
    names = [f"reinforce {b}" for b in branches]
    return system.replace(options=table("option", names, {"branch": np.array(branches), "added_rating_kva": added, "cost_eur": cost}))


def reinforced(system: System, added: Mapping[str, float]) -> xr.Dataset:
    """Options that are built: branch -> rating added [kVA]."""
    return with_options(system, {branch: (kva, 0.0) for branch, kva in added.items()}).options


def charged(dsos: Iterable[str], charge: float) -> Design:
    """Nothing is built, and every DSO asks for the same network charge [EUR/kWh]."""
    return Design({}, {d: {"network_charge": np.asarray(charge)} for d in dsos})


def priced(**prices: float) -> Tariff:
    """The standard tariff with some given prices changed, component -> price."""
    standard = standard_components()
    return Tariff(standard | {name: standard[name].model_copy(update={"price": price}) for name, price in prices.items()})
