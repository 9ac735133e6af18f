from types import SimpleNamespace

import numpy as np
import xarray as xr

from multiscale.results.figures.negotiation import convergence_figure


def test_the_gap_of_every_day_is_drawn_and_days_may_end_early():
    cost = np.array([[110.0, 101.0, 100.0], [52.0, 50.0, np.nan]])
    bound = np.array([[90.0, 99.0, 99.99], [49.0, 49.999, np.nan]])
    dims = ("episode", "negotiation_step")
    coords = {"episode": ["typical", "typical"], "negotiation_step": [1, 2, 3]}
    data = xr.Dataset({"negotiation_cost": (dims, cost), "negotiation_bound": (dims, bound)}, coords=coords)
    drawn = convergence_figure(SimpleNamespace(dataset=data))
    assert "<svg" in drawn
    assert convergence_figure(SimpleNamespace(dataset=data.drop_vars("negotiation_cost"))) is None
