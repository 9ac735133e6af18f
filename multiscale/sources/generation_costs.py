"""Marginal costs of wholesale generators from a table of fuels."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pandas as pd

from multiscale.system.cost_settings import CostsSettings
from multiscale.system.schema import table
from multiscale.system.system import System

CO2_PRICE = CostsSettings().co2_price
EFFICIENCY_SPREAD = 0.10


def generation_costs() -> pd.DataFrame:
    """The table of fuels: ``fuel_price`` [EUR/MWh_th], ``efficiency`` [1], ``vom`` [EUR/MWh], ``co2`` [t/MWh_th], ``source``; index: fuel."""
    with (resources.files("multiscale.sources") / "data" / "generation_costs.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, index_col="fuel", comment="#")


def marginal_costs(fuel: np.ndarray, p_max_kw: np.ndarray, costs: pd.DataFrame, co2_price: float = CO2_PRICE) -> np.ndarray:
    """Marginal cost of every unit [EUR/kWh]: ``(fuel price + CO2 price x CO2 content) / efficiency + VOM``.

    The units of one fuel differ: the efficiency rises evenly from 90 % of the table's value for the smallest to 110 % for the largest
    unit (new units are large ones), so that the merit order has steps and no ties.

    Args:
        fuel: fuel of each unit.
        p_max_kw: size of each unit [kW].
        costs: table of ``generation_costs``, or one like it.
        co2_price: [EUR/t].

    Raises:
        KeyError: a fuel that the table does not have.
    """
    unknown = sorted(set(fuel.tolist()) - set(costs.index))
    if unknown:
        raise KeyError(f"generation cost table: no row for fuel {unknown}; it has {sorted(costs.index)}")
    chosen = costs.loc[fuel]
    spread = np.ones(len(fuel))
    for name in pd.unique(fuel):
        members = np.flatnonzero(fuel == name)
        if len(members) > 1:
            order = members[np.argsort(p_max_kw[members], kind="stable")]
            spread[order] = np.linspace(1 - EFFICIENCY_SPREAD, 1 + EFFICIENCY_SPREAD, len(members))
    thermal = chosen["fuel_price"].to_numpy(float) + co2_price * chosen["co2"].to_numpy(float)
    return (thermal / (chosen["efficiency"].to_numpy(float) * spread) + chosen["vom"].to_numpy(float)) / 1e3


def priced(system: System, co2_price: float = CO2_PRICE, costs: pd.DataFrame | None = None) -> System:
    """The system with its generators' marginal costs set from a table of fuels (default: the one that comes along)."""
    units = system.generators
    values = marginal_costs(units.fuel.values, units.p_max_kw.values, generation_costs() if costs is None else costs, co2_price)
    columns = {str(name): units[name].values for name in units.data_vars} | {"cost_eur_per_kwh": values}
    return system.replace(generators=table("generator", units.generator.values, columns))
