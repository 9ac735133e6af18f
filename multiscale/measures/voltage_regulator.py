"""A voltage regulator: a transformer with a tap changer in a line, or an on-load tap changer of a transformer that has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from multiscale.attribute import Attribute, number
from multiscale.measures.measure import Measure, Need, NetworkProgram, Placed, Proposal, Site
from multiscale.settings import quantity

if TYPE_CHECKING:
    import pandas as pd


class VoltageRegulator(Measure):
    """A tap changer that moves the squared voltage at the bus its branch feeds, ``|delta_t| <= (1 - (1 - b)^2) z`` [pu^2] in every period.

    ``b`` is its band, by which it may raise or lower the voltage. The linear model takes the change at nominal voltage, as it does for transformer
    ratios, and leaves it free within the band; in the AC power flow the regulator stands on the step that brings the bus nearest to its set point.
    """

    columns: ClassVar[Mapping[str, Attribute]] = {
        "voltage_band_percent": number("%", "regulator: largest change of the voltage, up or down", 0.0, lower=0.0, upper=20.0),
        "regulator_step_percent": number("%", "regulator: voltage per tap step", 0.625, lower=0.01, upper=10.0),
        "regulator_setpoint_pu": number("pu", "regulator: voltage it holds at the bus that its branch feeds", 1.0, lower=0.8, upper=1.2),
    }
    required = ("voltage_band_percent",)

    line_cost: float = quantity(80_000.0, "EUR", "investment in a regulator of a line", lower=0.0)
    transformer_cost: float = quantity(30_000.0, "EUR", "investment in the on-load tap changer of a transformer", lower=0.0)
    lifetime: float = quantity(40.0, "a", "lifetime", above=0.0, upper=200.0)
    band: float = quantity(10.0, "%", "largest change of the voltage, up or down", above=0.0, upper=20.0)
    step: float = quantity(0.625, "%", "voltage per tap step", lower=0.01, upper=10.0)
    setpoint: float = quantity(1.0, "pu", "voltage it holds at the bus that its branch feeds", lower=0.8, upper=1.2)

    def sites(self, need: Need, count: int) -> list[str]:
        """The branches behind which the voltage leaves its band first, the worst first."""
        return sorted(need.outside, key=lambda branch: (-round(need.outside[branch], 9), branch))[:count]

    def propose(self, site: Site, costs: pd.DataFrame) -> Proposal:
        """One regulator, at the cost of the settings."""
        del costs
        line = site.kind == "line"
        what = {
            "voltage_band_percent": self.band,
            "regulator_step_percent": self.step,
            "regulator_setpoint_pu": self.setpoint,
            "cost_eur": self.line_cost if line else self.transformer_cost,
            "lifetime_years": self.lifetime,
            "measure": "line voltage regulator" if line else "on-load tap changer",
        }
        return Proposal(f"regulate {site.branch}", what)

    @staticmethod
    def voltage_change(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """``1 - (1 - b)^2`` [pu^2]: what both directions can do at nominal voltage."""
        return np.asarray(1.0 - (1.0 - columns["voltage_band_percent"] / 100.0) ** 2)

    @staticmethod
    def problems(columns: Mapping[str, np.ndarray], branches: Mapping[str, np.ndarray]) -> Sequence[tuple[int, str, str]]:
        """A branch whose voltage is held already cannot be regulated a second time."""
        held = (branches["kind"] == "transformer") & np.isfinite(branches["v_setpoint_pu"])
        first = np.zeros(len(held), dtype=bool)
        first[np.unique(columns["branch"], return_index=True)[1]] = True
        changer = "has an on-load tap changer already (v_setpoint_pu); choose another branch"
        return [(k, "branch", changer) for k in np.flatnonzero(held).tolist()] + [
            (k, "branch", "has a regulator among the options already; keep one of them") for k in np.flatnonzero(~first).tolist()
        ]

    @staticmethod
    def act(network: NetworkProgram, options: Placed) -> None:
        """Columns of the change of voltage, within the band of what is built, in the voltage rows; nothing where no voltage below can bind."""
        acts = np.flatnonzero((network.voltage_drop[options.branch] >= 0).all(axis=1))
        if not len(acts):
            return
        drop = network.voltage_drop[options.branch[acts]]
        band = VoltageRegulator.voltage_change(options.columns)[acts, None]
        built = np.broadcast_to(options.built[acts, None], drop.shape)
        again = [f"{network.names[i]} {k + 1}" for k, i in enumerate(options.branch[acts].tolist())]
        axes, builder = {"regulator": np.array(again), "period": network.periods}, network.builder
        # Column bounds beyond the band never bind: they keep every dual bound finite.
        bound = 2.0 * band + 1e-3
        what = "change of the squared voltage by the regulator"
        change = builder.add_columns("voltage_change", axes, unit="pu^2", lower=-bound, upper=bound, description=what)
        builder.add_to_rows(drop, change, -1.0)
        for name, sign in (("regulator_raise", 1.0), ("regulator_lower", -1.0)):
            builder.add_rows(
                name, axes, [(sign, change)], "<=", 0.0, unit="pu^2", parameters=[(band, built)], description="band of the regulator, if built"
            )

    @staticmethod
    def apply(branch: Mapping[str, Any], option: Mapping[str, Any], vn_kv: float, fed: str) -> dict[str, Any]:
        """A transformer with a tap changer that holds the set point; a line becomes one of its own impedance, its capacitance at its ends."""
        step, band = option["regulator_step_percent"], option["voltage_band_percent"]
        row = {**branch, "tap_step_percent": step, "v_setpoint_pu": option["regulator_setpoint_pu"]}
        if branch["kind"] == "line":
            other = branch["to_bus"] if branch["from_bus"] == fed else branch["from_bus"]
            row |= {"kind": "transformer", "from_bus": other, "to_bus": fed, "vn_hv_kv": vn_kv, "vn_lv_kv": vn_kv, "tap_side": "lv", "tap_pos": 0.0}
        else:
            # The ratio it has today stays the middle of its range.
            row["tap_pos"] = float(np.rint(branch["tap_pos"] * branch["tap_step_percent"] / step))
        steps = np.floor(band / step * (1 + 1e-9))
        return row | {"tap_min": row["tap_pos"] - steps, "tap_max": row["tap_pos"] + steps}
