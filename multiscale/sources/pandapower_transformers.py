"""Two-winding transformers of pandapower in our columns: taps of all kinds as pandapower computes them, sides in order."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.pandapower_tables import charged_from, filled, open_at

LARGEST_STEP = 20.0
"""Largest change of the ratio by one step of a tap changer in our table [%]."""


def transformer_frame(net: Any, bus: pd.Series, untyped_taps: bool = False) -> pd.DataFrame:
    """Two-winding transformers in our columns: ``z = vk V_lv^2 / S`` on the low side, parallel units summed, taps counted from neutral.

    A tap changer that changes the ratio alone keeps its columns. Of all others (phase shifters, tables, a second one) the ratio and the phase
    shift are those of the position in the data, as pandapower computes them: a tap that stays where it is.

    Args:
        net: pandapower network.
        bus: name of the bus by pandapower bus index.
        untyped_taps: whether a tap changer without a type changes the ratio; to pandapower it does nothing.
    """
    unit = net.trafo
    parallel = filled(unit, "parallel", 1.0)
    power = unit["sn_mva"].to_numpy(float) * parallel
    changer = _ratio_changer(unit, untyped_taps)
    high, low, shift = _rated(net, unit, changer)
    vn_high, vn_low = unit["vn_hv_kv"].to_numpy(float), unit["vn_lv_kv"].to_numpy(float)
    vk, vkr = _short_circuit(net, unit)
    at_low = (high == vn_high) & (low != vn_low)
    fixed = 100.0 * (np.where(at_low, low / vn_low, high / low * vn_low / vn_high) - 1.0)
    fixed[np.abs(fixed) < 1e-9] = 0.0
    steps = np.ceil(np.abs(fixed) / LARGEST_STEP)
    # Of a tap on the low side the impedance and the iron losses are those at its neutral position.
    seen = np.where(at_low, 1.0, (low / vn_low) ** 2)
    base = vn_low**2 * seen / power
    z, r = vk / 100 * base, vkr / 100 * base
    neutral = filled(unit, "tap_neutral", 0.0)
    side = filled(unit, "tap_side", "hv").astype(str)

    def tap(name: str) -> np.ndarray:
        return np.where(changer, filled(unit, name, 0.0) - neutral, np.sign(fixed) * steps)

    frame = pd.DataFrame(
        {
            "kind": "transformer",
            "from_bus": bus.reindex(unit["hv_bus"]).to_numpy(),
            "to_bus": bus.reindex(unit["lv_bus"]).to_numpy(),
            "rating_kva": power * filled(unit, "df", 1.0) * 1e3,
            "r_ohm": r,
            "x_ohm": np.sign(z) * np.sqrt(np.maximum(z**2 - r**2, 0.0)),
            "std_type": filled(unit, "std_type", "").astype(str),
            "in_service": unit["in_service"].to_numpy(bool) & ~unit.index.isin(open_at(net, "t")),
            "charged_from": charged_from(net, "trafo", "t", ("hv_bus", "lv_bus")),
            "vn_hv_kv": vn_high,
            "vn_lv_kv": vn_low,
            "pfe_kw": filled(unit, "pfe_kw", 0.0) * parallel / seen,
            "i0_percent": filled(unit, "i0_percent", 0.0) / filled(unit, "df", 1.0) / seen,
            "shift_degree": shift,
            "tap_side": np.where(changer, side, np.where(at_low, "lv", "hv")),
            "tap_pos": tap("tap_pos"),
            "tap_min": tap("tap_min"),
            "tap_max": tap("tap_max"),
            "tap_step_percent": np.where(changer, filled(unit, "tap_step_percent", 0.0), np.abs(fixed) / np.maximum(steps, 1.0)),
        },
        index=unit.index,
    )
    return _higher_side_first(frame, net.bus["vn_kv"].reindex(unit["hv_bus"]).to_numpy(), net.bus["vn_kv"].reindex(unit["lv_bus"]).to_numpy())


def _ratio_changer(unit: pd.DataFrame, untyped_taps: bool) -> np.ndarray:
    """Transformers whose (first) tap changer changes the ratio and nothing else."""
    step, degree = filled(unit, "tap_step_percent", 0.0), filled(unit, "tap_step_degree", 0.0)
    known = np.isfinite(pd.to_numeric(unit["tap_pos"], errors="coerce").to_numpy(float)) if "tap_pos" in unit else np.zeros(len(unit), dtype=bool)
    known &= np.isfinite(pd.to_numeric(unit["tap_neutral"], errors="coerce").to_numpy(float)) if "tap_neutral" in unit else False
    simple = known & (step > 0) & (step <= LARGEST_STEP) & (degree == 0) & ~filled(unit, "tap_dependency_table", False).astype(bool)
    simple &= ~(np.nan_to_num(filled(unit, "tap2_step_percent", 0.0)) != 0) & (np.nan_to_num(filled(unit, "tap2_step_degree", 0.0)) == 0)
    simple &= np.isin(filled(unit, "tap_side", "").astype(str), ("hv", "lv"))
    if "tap_changer_type" not in unit:
        shifter = filled(unit, "tap_phase_shifter", False).astype(bool)
        return simple & ~shifter
    kind = filled(unit, "tap_changer_type", "").astype(str)
    return simple & (np.isin(kind, ("Ratio", "Symmetrical")) | (untyped_taps & np.isin(kind, ("", "None", "nan"))))


def _rated(net: Any, unit: pd.DataFrame, changer: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rated voltages [kV] and phase shift [degree] with all tap changers that keep no columns of their own on their position."""
    from pandapower.build_branch import _calc_tap_from_dataframe

    work, rows = copy.copy(net), unit.copy()
    work["_options"] = {"calculate_voltage_angles": True, "mode": "pf"}
    if changer.any():
        # Columns may be of integers: the neutral position is written, not a missing one.
        rows["tap_pos"] = np.where(changer, filled(unit, "tap_neutral", 0.0), pd.to_numeric(unit["tap_pos"], errors="coerce").astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        high, low, shift = _calc_tap_from_dataframe(work, rows)
    return np.asarray(high, float), np.asarray(low, float), np.nan_to_num(np.asarray(shift, float))


def _short_circuit(net: Any, unit: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Short-circuit voltage and its real part [%], at the tap position where a table gives them by position."""
    if "tap_dependency_table" in unit and filled(unit, "tap_dependency_table", False).astype(bool).any():
        from pandapower.build_branch import _get_vk_values_from_table

        vk, vkr = _get_vk_values_from_table(unit, net["trafo_characteristic_table"])
    else:
        vk, vkr = unit["vk_percent"].to_numpy(), unit["vkr_percent"].to_numpy()
    return np.asarray(vk, float), np.asarray(vkr, float)


def _higher_side_first(frame: pd.DataFrame, vn_from: np.ndarray, vn_to: np.ndarray) -> pd.DataFrame:
    """Transformers entered the other way round with their sides exchanged."""
    turned = vn_from < vn_to
    if not turned.any():
        return frame
    swapped = frame[turned]
    seen = (swapped["vn_hv_kv"] / swapped["vn_lv_kv"]) ** 2
    other = {"hv": "lv", "lv": "hv"}
    charged = {"from_bus": "to_bus", "to_bus": "from_bus", "": ""}
    swapped = swapped.assign(
        from_bus=swapped["to_bus"],
        to_bus=swapped["from_bus"],
        vn_hv_kv=swapped["vn_lv_kv"],
        vn_lv_kv=swapped["vn_hv_kv"],
        r_ohm=swapped["r_ohm"] * seen,
        x_ohm=swapped["x_ohm"] * seen,
        shift_degree=-swapped["shift_degree"],
        tap_side=swapped["tap_side"].map(other),
        charged_from=swapped["charged_from"].map(charged),
    )
    return pd.concat([frame[~turned], swapped]).loc[frame.index]
