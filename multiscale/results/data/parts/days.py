"""The representative days, and what they miss of the year."""

from __future__ import annotations

import numpy as np
import xarray as xr

from multiscale.results.data.answer_data import YearAnswer
from multiscale.results.data.parts.named import named

_OVERLOADED = "overloaded_branch"


def chosen_days(answer: YearAnswer) -> xr.Dataset:
    """The representative days and their weights."""
    horizon = answer.case.horizon
    return xr.Dataset(
        {
            "day_weight": named("representative_day", np.array(horizon.weights), "d/a", "days of the year that the day stands for"),
            "day_date": named("representative_day", np.array([str(d.date()) for d in horizon.days]), "", "date of the day"),
        },
        coords={"representative_day": list(horizon.names or (str(d.date()) for d in horizon.days))},
    )


def aggregation(answer: YearAnswer) -> xr.Dataset:
    """What the representative days miss of the year."""
    error = answer.case.aggregation.error
    measures = list(error.data_vars)
    overload = answer.case.aggregation.overload
    return xr.Dataset(
        {
            "aggregation_error": named(
                ("feature", "measure"), np.stack([error[m].values for m in measures], axis=1), "%", "error of the representative days"
            ),
            "overload_direction": named(_OVERLOADED, overload.direction.values, "", "direction in which the branch is overloaded"),
            "overload_hours": named(_OVERLOADED, overload.hours.values, "h/a", "hours of the year above the usable rating, without response"),
            "overload_energy": named(_OVERLOADED, overload.year.values, "kWh/a", "energy above the usable rating over the year, without response"),
            "overload_represented": named(_OVERLOADED, overload.represented.values, "kWh/a", "the same by the representative days"),
        },
        coords={
            "feature": error.feature.values,
            _OVERLOADED: overload[_OVERLOADED].values,
            "measure": measures,
        },
    )
