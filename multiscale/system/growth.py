"""A growth scenario: more heat pumps, electric vehicles, photovoltaics and batteries at prosumers that have none yet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.settings import LARGEST_SEED, Settings, count, quantity
from multiscale.system.problem import InvalidSystemError, Problem
from multiscale.system.schema import table, with_rows
from multiscale.system.system import System
from multiscale.timeline import EARLIEST_YEAR, LATEST_YEAR


class Growth(Settings):
    """Growth scenario: shares of prosumers with a device, and the size of new ones.

    Prosumers that have a device already count towards its share, and none is ever taken away.
    """

    heat_pump_share: float = quantity(0.0, "1", "share of prosumers with a heat pump", lower=0.0, upper=1.0)
    ev_share: float = quantity(0.0, "1", "share of prosumers with an electric vehicle", lower=0.0, upper=1.0)
    pv_share: float = quantity(0.0, "1", "share of prosumers with photovoltaics", lower=0.0, upper=1.0)
    battery_share: float = quantity(0.0, "1", "share of prosumers with a battery (only those with photovoltaics get one)", lower=0.0, upper=1.0)
    heat_pump_kw: float = quantity(3.5, "kW", "electric power of a new heat pump", above=0.0, upper=100.0)
    ev_kw: float = quantity(11.0, "kW", "charging power of a new electric vehicle", above=0.0, upper=350.0)
    ev_kwh_per_year: float = quantity(2200.0, "kWh", "energy that a new electric vehicle charges at home in a year", lower=0.0, upper=100000.0)
    pv_kw: float = quantity(6.0, "kW", "peak power of a new photovoltaic plant", above=0.0, upper=1000.0)
    battery_kw: float = quantity(3.0, "kW", "converter power of a new battery", above=0.0, upper=1000.0)
    battery_kwh: float = quantity(6.0, "kWh", "usable energy of a new battery", above=0.0, upper=10000.0)
    load_factor: float = quantity(1.0, "1", "factor on inflexible demand", lower=0.0, upper=10.0)
    base_year: int = count(2025, "year of the data; from then on growth is even until the last year that is studied", EARLIEST_YEAR, LATEST_YEAR)
    seed: int = count(0, "seed of the random choice of prosumers", 0, LARGEST_SEED)

    def reached(self, year: int, last: int) -> float:
        """Share of the growth that is complete in a year [1]: even from the base year to the last year studied, in which all of it is."""
        return 1.0 if year == last else (year - self.base_year) / (last - self.base_year)


def grow(system: System, growth: Growth, reached: float = 1.0) -> System:
    """The system under the scenario, or on the way there. What it adds to the rated power of devices stands in their column ``added_kw``.

    New heat pumps and PV take turns through the profiles that existing devices of the same kind follow. The profile of an existing
    vehicle is that of one driver; a new vehicle stands for the average driver, so it follows the mean week of all vehicle profiles,
    scaled to ``ev_kwh_per_year``. A prosumer that has a new device at a smaller share of the growth has it at a larger one, too.

    Args:
        system: before it grows.
        growth: the scenario.
        reached: share of the growth that is complete [1].

    Raises:
        InvalidSystemError: a share is asked for, but the system has no device of that kind whose profile could be used.
    """
    rng = np.random.default_rng(growth.seed)
    devices = system.devices.to_dataframe()
    inflexible = devices["kind"] == "load"
    load_factor = 1.0 + reached * (growth.load_factor - 1.0)
    devices.loc[inflexible, "added_kw"] += (load_factor - 1.0) * devices.loc[inflexible, "p_kw"]
    devices.loc[inflexible, ["p_kw", "q_kvar"]] *= load_factor
    prosumers = system.prosumers.prosumer.values
    bus = dict(zip(prosumers.tolist(), system.prosumers.bus.values.tolist(), strict=True))
    added: list[dict[str, object]] = []
    profiles = system.profiles
    for kind, share, power, energy in (
        ("heat_pump", growth.heat_pump_share, growth.heat_pump_kw, 0.0),
        ("ev", growth.ev_share, growth.ev_kw, 0.0),
        ("pv", growth.pv_share, growth.pv_kw, 0.0),
        ("battery", growth.battery_share, growth.battery_kw, growth.battery_kwh),
    ):
        # One draw per prosumer and kind, whatever the shares: raising a share keeps everyone who had the device at a lower one.
        rank = rng.permutation(len(prosumers))
        have = set(devices.loc[(devices["kind"] == kind) & (devices["prosumer"] != ""), "prosumer"])
        owners = [p for p, _ in sorted(zip(prosumers.tolist(), rank.tolist(), strict=True), key=lambda item: item[1]) if p not in have]
        if kind == "battery":
            with_pv = set(devices.loc[(devices["kind"] == "pv") & (devices["prosumer"] != ""), "prosumer"])
            with_pv |= {row["prosumer"] for row in added if row["kind"] == "pv"}
            owners = [p for p in owners if p in with_pv]
        wanted = max(0, round(reached * (round(share * len(prosumers)) - len(have))))
        if not wanted:
            continue
        followed = [""] if kind == "battery" else _profiles(devices, kind)
        if followed and kind == "ev":
            profiles, followed = _with_mean_week(profiles, followed, growth)
        if not followed:
            message = f"asks for new devices, but the system has no {kind} whose profile a new one could follow; add one, or set the share to 0"
            raise InvalidSystemError([Problem("system", system.name, f"system.growth.{kind}_share", f"{share:g}", "", message)])
        for i, owner in enumerate(owners[:wanted]):
            added.append(
                {
                    "device": f"{owner} new {kind}",
                    "bus": bus[owner],
                    "prosumer": owner,
                    "kind": kind,
                    "profile": followed[i % len(followed)],
                    "p_kw": power,
                    "added_kw": power,
                    "q_kvar": 0.0,
                    "e_kwh": energy,
                    "efficiency": 0.95 if kind == "battery" else 1.0,
                    "loss_per_day": 0.0013 if kind == "battery" else 0.0,
                }
            )
    both = with_rows("device", devices, pd.DataFrame(added).set_index("device")) if added else devices
    count = pd.DataFrame(added)["kind"].value_counts().to_dict() if added else {}
    new = ", ".join(f"{n} new {kind}" for kind, n in sorted(count.items())) or "no new devices"
    note = f"growth: {new}, inflexible demand x {load_factor:g}"
    grown = table("device", both.index, {c: both[c].to_numpy() for c in both.columns})
    return system.replace(profiles=profiles, devices=grown, notes=(*system.notes, note))


def _with_mean_week(profiles: xr.Dataset, followed: list[str], growth: Growth) -> tuple[xr.Dataset, list[str]]:
    """The profiles plus one: the mean week of the given ones, scaled so that ``ev_kw`` at that profile is ``ev_kwh_per_year``."""
    name = "mean week of electric vehicles"
    time = pd.DatetimeIndex(profiles.time.values)
    step = (time[1] - time[0]) / pd.Timedelta(hours=1)
    slot = time.dayofweek * 24 + time.hour
    mean = profiles.p.sel(profile=followed).mean("profile").to_numpy()
    week = np.bincount(slot, mean, minlength=168) / np.maximum(np.bincount(slot, minlength=168), 1)
    series = week[slot]
    if not series.sum() > 0:
        message = "at all times, as of all profiles of electric vehicles, leaves a new vehicle no week to follow; correct the profile"
        raise InvalidSystemError([Problem("profile", followed[0], "p", "0", "1", message)])
    years = len(time) * step / 8760.0
    series = series * growth.ev_kwh_per_year * years / (growth.ev_kw * series.sum() * step)
    more = xr.Dataset(
        {v: (("time", "profile"), (series if v == "p" else 0 * series)[:, None].astype("float32")) for v in ("p", "q")},
        coords={"time": profiles.time.values, "profile": [name]},
    )
    return xr.concat([profiles.drop_sel(profile=name, errors="ignore"), more], dim="profile"), [name]


def _profiles(devices: pd.DataFrame, kind: str) -> list[str]:
    """Profiles of existing devices of a kind, those of prosumers first, in name order."""
    mine = devices[devices["kind"] == kind]
    behind_meter = sorted(set(mine.loc[mine["prosumer"] != "", "profile"]))
    return behind_meter or sorted(set(mine["profile"]))
