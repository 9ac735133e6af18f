"""A heat pump with a first-order thermal model of its building and a coefficient of performance that follows the outdoor temperature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from multiscale.attribute import Attribute, number, text
from multiscale.devices.device import Device, Energy, Rows, Variable
from multiscale.devices.one_state import InProgram, OneState
from multiscale.devices.prosumers import Prosumers, axes_of, placed, spread
from multiscale.settings import quantity
from multiscale.symbols import Named

if TYPE_CHECKING:
    from multiscale.programs import ProgramBuilder
    from multiscale.programs.build import Term

ZERO_CELSIUS = 273.15
"""0 degC in K."""


class ThermalHeatPump(Device):
    """Heating of a building as one thermal capacity, its indoor temperature within a comfort band around the set point.

    With the indoor temperature T_t at the end of period t, set point S, outdoor temperature O_t, heat capacity C and loss U, a heat balance
    over a period of length D (implicit Euler), and a coefficient of performance that is a share of Carnot's between O_t and the flow
    temperature F (both in K there),

        C (T_t - T_(t-1)) = D (COP_t P_t - U (T_t - O_t)),   0 <= P_t <= rated,   cyclic per day
        COP_t = min(largest, share F / (F - O_t)),           S - band - cold_t <= T_t <= S + band,   cold_t >= 0

    In the program: heat stored against the set point, x_t = C (T_t - S) = within_t - missing_t [kWh], and heat need at the set point,
    N_t = U max(S - O_t, 0) times the device's profile (above the set point outside, nothing is heated and the building is aired):

        (1 + D U / C) x_t - x_(t-1) = D (COP_t P_t - N_t),   -C band <= within_t <= C band,   0 <= missing_t

    ``missing`` is priced, so there is always a feasible point, and without a band the consumption is N_t / COP_t.
    """

    kinds = ("thermal_heat_pump",)
    role = "consumption"
    columns: ClassVar[Mapping[str, Attribute]] = {
        "heat_capacity": number("kWh/K", "thermal heat pump: heat capacity of the building", 0.0, lower=0.0, extensive=True),
        "heat_loss": number("kW/K", "thermal heat pump: heat loss of the building per degree", 0.0, lower=0.0, extensive=True),
        "set_point": number("degC", "thermal heat pump: indoor temperature wanted", 20.0, lower=5.0, upper=30.0),
        "outdoor_profile": text("thermal heat pump: profile of the outdoor temperature", "", unit="degC", refers_to="profile"),
    }
    required = ("heat_capacity", "heat_loss", "outdoor_profile")
    variables: ClassVar[Mapping[str, Variable]] = {
        "heat_need": Variable("kW", "heat need at the set point", by_period=True),
        "heat_cop": Variable("1", "coefficient of performance", by_period=True, weight="heat_rating", absent=1.0),
        "heat_rating": Variable("kW", "electric power of heat pumps with a thermal model"),
        "heat_capacity": Variable("kWh/K", "heat capacity of buildings"),
        "heat_loss": Variable("kW/K", "heat loss of buildings per degree"),
    }
    decided = ("thermal_heat_pump",)
    states = ("heat_within", "heat_missing")

    band: float = quantity(1.0, "K", "comfort band, up and down from the set point", lower=0.0, upper=10.0)
    discomfort: float = quantity(0.5, "EUR/kWh", "cost of each kWh of heat missing below the band, per hour", above=0.0, upper=100.0)
    flow_temperature: float = quantity(40.0, "degC", "temperature at which heat is supplied", lower=25.0, upper=75.0)
    carnot_share: float = quantity(0.45, "1", "coefficient of performance as a share of Carnot's", above=0.0, upper=0.8)
    largest_cop: float = quantity(6.0, "1", "largest coefficient of performance", lower=1.0, upper=15.0)

    def cop(self, outdoor: np.ndarray) -> np.ndarray:
        """Coefficient of performance [1] at an outdoor temperature [degC]; at least 1, that of direct heating."""
        lift = np.maximum(self.flow_temperature - outdoor, 1e-9)
        return np.clip(self.carnot_share * (self.flow_temperature + ZERO_CELSIUS) / lift, 1.0, self.largest_cop)

    def _need(self, rows: Rows, outdoor: np.ndarray) -> np.ndarray:
        """Heat need at the set point of every row [kW], (row, period)."""
        degrees = np.maximum(rows.columns["set_point"][:, None] - outdoor, 0.0)
        return rows.columns["heat_loss"][:, None] * degrees * rows.sample("profile")

    def reference(self, rows: Rows) -> np.ndarray:
        """What keeps the set point, as far as the rating goes."""
        outdoor = rows.sample("outdoor_profile")
        return np.minimum(self._need(rows, outdoor) / self.cop(outdoor), rows.columns["p_kw"][:, None])

    def expand(self, rows: Rows) -> dict[str, np.ndarray]:
        """Sizes add up; the coefficient of performance is averaged by rating."""
        outdoor, rating = rows.sample("outdoor_profile"), rows.columns["p_kw"]
        return {
            "heat_need": rows.total(self._need(rows, outdoor)),
            "heat_cop": rows.mean(self.cop(outdoor), rating, absent=1.0),
            "heat_rating": rows.total(rating),
            "heat_capacity": rows.total(rows.columns["heat_capacity"]),
            "heat_loss": rows.total(rows.columns["heat_loss"]),
        }

    def shape(self, fleet: Prosumers) -> np.ndarray:
        """Coefficient of performance; need, capacity and loss relative to the rating."""
        data = fleet.arrays
        scale = np.where(data["heat_rating"] > 0, data["heat_rating"], 1.0)[:, None]
        sizes = np.column_stack([data["heat_capacity"], data["heat_loss"], data["heat_rating"]])
        return np.concatenate([data["heat_cop"], data["heat_need"] / scale, sizes / scale], axis=1)

    def owners(self, fleet: Prosumers) -> np.ndarray:
        """Where anything is ever heated."""
        return fleet.arrays["heat_need"].max(axis=1, initial=0.0) > 0

    def scaled(self, data: Mapping[str, np.ndarray], consumption: np.ndarray | float, generation: np.ndarray | float) -> dict[str, np.ndarray]:
        """More or less heat need."""
        del generation
        return {"heat_need": data["heat_need"] * consumption}

    def reference_consumption(self, fleet: Prosumers) -> np.ndarray:
        """What keeps the set point, as far as the rating goes."""
        return np.minimum(fleet.arrays["heat_need"] / fleet.arrays["heat_cop"], fleet.arrays["heat_rating"][:, None])

    def largest_consumption(self, fleet: Prosumers) -> np.ndarray:
        """The rating, where anything is heated."""
        return np.where(self.owners(fleet), fleet.arrays["heat_rating"], 0.0)[:, None]

    def largest_supply(self, fleet: Prosumers) -> float:
        """It supplies nothing."""
        del fleet
        return 0.0

    def one_state(self, fleet: Prosumers) -> OneState:
        """Heat stored against the set point; what is missing lies below the comfort band."""
        data, step, owners = fleet.arrays, fleet.horizon.step_hours, np.flatnonzero(self.owners(fleet))
        capacity, loss, rating = (data[name][owners, None] for name in ("heat_capacity", "heat_loss", "heat_rating"))
        need, cop = data["heat_need"][owners], data["heat_cop"][owners]
        keep, band, one = 1.0 / (1.0 + step * loss / capacity), capacity * self.band, np.ones((1, 1))
        low = -band - _most_missing(capacity, loss, need)
        bounds = (low, band, 0.0, -band, band, self.discomfort, 0.0)
        return OneState(owners, rating, np.zeros((1, 1)), one, cop * keep, one, keep, -step * need * keep, *bounds)

    def in_program(self, fleet: Prosumers, drawn: np.ndarray, supplied: np.ndarray, state: np.ndarray) -> InProgram:
        """Power, heat within the comfort band and heat missing below it."""
        del supplied
        device = self.one_state(fleet)
        within = np.maximum(state, device.kink_below)
        return InProgram({"thermal_heat_pump": drawn, "heat_within": within, "heat_missing": within - state}, "heat_balance", -device.keep)

    def add(self, builder: ProgramBuilder, fleet: Prosumers) -> list[Term]:
        """Columns ``thermal_heat_pump`` [kW], ``heat_within`` and ``heat_missing`` [kWh of heat] at the end of each period."""
        data, horizon = fleet.arrays, fleet.horizon
        owners, place = placed(self.owners(fleet))
        if not len(owners):
            return []
        step, axes = horizon.step_hours, axes_of(fleet, owners, "thermal_heat_pump_owner")
        capacity, loss = data["heat_capacity"][owners, None], data["heat_loss"][owners, None]
        need, cop = data["heat_need"][owners], data["heat_cop"][owners]
        rating, band = data["heat_rating"][owners, None], capacity * self.band
        cost = self.discomfort * horizon.hours_per_year
        most = _most_missing(capacity, loss, need)
        power = builder.add_columns("thermal_heat_pump", axes, unit="kW", upper=rating, description="thermal heat pump power")
        within = builder.add_columns("heat_within", axes, unit="kWh", lower=-band, upper=band, description="heat stored within the comfort band")
        missing = builder.add_columns("heat_missing", axes, unit="kWh", upper=most, cost=cost, description="heat missing below the comfort band")
        before = horizon.previous
        kept = 1.0 + step * loss / capacity
        growth = "1 + \\Delta U@ / C@", "growth of heat stored against the set point that losses undo", "1"
        gained, lost = Named(kept, f"({growth[0]})", *growth[1:]), Named(-kept, f"-({growth[0]})", *growth[1:])
        heat = Named(-step * cop, "-\\Delta \\kappa@", "length of a period times coefficient of performance", "h")
        terms: list[Term] = [(gained, within), (-1.0, within[:, before]), (lost, missing), (1.0, missing[:, before]), (heat, power)]
        asked = Named(-step * need, "-\\Delta N@", "heat need at the set point in a period", "kWh")
        builder.add_rows("heat_balance", axes, terms, "==", asked, unit="kWh", description="heat balance of the building")
        return [(-1.0, spread(power, place))]

    def energy(self, fleet: Prosumers, total: Callable[[str], float]) -> Energy:
        """What it draws."""
        del fleet
        return Energy(consumed=total("thermal_heat_pump"))


def _most_missing(capacity: np.ndarray, loss: np.ndarray, need: np.ndarray) -> np.ndarray:
    """Never heated at all, a building would lack no more heat than this [kWh], (owner, 1)."""
    return capacity / loss * need.max(axis=1, keepdims=True) + 1.0
