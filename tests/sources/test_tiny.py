import numpy as np
import pandas as pd
import xarray as xr

from multiscale.sources.tiny import tiny_system
from multiscale.system.validation import validate
from multiscale.timeline import Horizon


def test_tiny_is_valid_and_complete():
    system = tiny_system()
    assert validate(system) == []
    assert [len(system.at_level(level)) for level in ("tso", "dso", "platform")] == [1, 3, 6]
    assert set(system.devices.kind.values) == {"load", "pv", "battery", "ev", "heat_pump"}
    assert (system.prosumers.to_dataframe().groupby("node").size() == 5).all()


def test_tiny_is_the_same_every_time():
    xr.testing.assert_identical(tiny_system().profiles, tiny_system().profiles)


def test_profiles_are_shares_over_the_leap_year():
    profiles = tiny_system().profiles
    assert len(profiles.time) == 366 * 24
    assert float(profiles.p.min()) >= 0
    np.testing.assert_allclose(profiles.p.max("time").values, 1.0, rtol=1e-6)
    night = profiles.p.sel(profile="pv").isel(time=profiles.time.dt.hour == 0)
    assert float(night.max()) == 0


def test_cheapest_dispatch_congests_the_line_d_e():
    """DC power flow of the merit order at peak: more would flow over D-E than it is rated for."""
    system = tiny_system()
    network = system.network("transmission")
    start, end = network.ends()
    buses = network.buses.bus.values.tolist()
    demand = np.zeros(len(buses))
    for bus in ("bus B", "bus C", "bus D"):
        demand[buses.index(bus)] = 29e3
    supply, left = np.zeros(len(buses)), demand.sum()
    units = system.generators.to_dataframe().sort_values("cost_eur_per_kwh")
    for unit in units.itertuples():
        power = min(left, unit.p_max_kw)
        supply[buses.index(unit.bus)] += power
        left -= power
    susceptance = 1.0 / network.active.x_ohm.values
    incidence = np.zeros((len(start), len(buses)))
    incidence[np.arange(len(start)), start], incidence[np.arange(len(start)), end] = 1, -1
    laplacian = incidence.T @ (susceptance[:, None] * incidence)
    flow = susceptance * (incidence @ np.linalg.lstsq(laplacian, supply - demand, rcond=None)[0])
    k = network.active.branch.values.tolist().index("line D-E")
    others = np.arange(len(start)) != k
    assert abs(flow[k]) > network.active.rating_kva.values[k]
    assert (np.abs(flow) < network.active.rating_kva.values)[others].all()


def test_platform_demand_is_near_the_rating_of_the_small_transformers():
    system = tiny_system()
    day = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 1.0)
    fleet = system.fleet("north 1", day).data
    peak = float((fleet.demand + fleet.ev + fleet.heat_pump - fleet.pv).sum("prosumer").max())
    assert 30 < peak < 63
