"""Settings that mechanisms of coordination have in common."""

from __future__ import annotations

from multiscale.coordination.common.forecast import LARGEST_ERROR, ErrorModel
from multiscale.settings import LARGEST_SEED, Settings, count, quantity


class CoordinationSettings(Settings):
    """How the levels agree."""

    forecast_error: float = quantity(0.0, "1", "standard deviation of the relative error of forecasts a day ahead", lower=0.0, upper=LARGEST_ERROR)

    @property
    def error(self) -> ErrorModel:
        """How forecasts err."""
        return ErrorModel(self.forecast_error)


class DrawnErrorSettings(CoordinationSettings):
    """How the levels agree where one draw of the forecast errors is operated."""

    forecast_seed: int = count(0, "seed of the forecast errors", 0, LARGEST_SEED)

    @property
    def error(self) -> ErrorModel:
        """How forecasts err, and the seed of their draw."""
        return ErrorModel(self.forecast_error, seed=self.forecast_seed)
