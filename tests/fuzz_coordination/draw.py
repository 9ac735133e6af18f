"""A small system drawn at random, with its days, tariff, market and prices in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.markets import Auction, Community, Dispatch, Hybrid, Multiclass, TimeOfUse
from multiscale.operation import Design, Market
from multiscale.sources import tiny_system
from multiscale.system import Economics, LoadingLimits, System
from multiscale.system.schema import TABLES, table
from multiscale.tariffs import COMPONENTS, Tariff, standard_components
from multiscale.timeline import Horizon

STEPS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
"""Lengths of a period [h]."""

FIRST_DAY = pd.Timestamp("2016-01-16")
DAYS = 12
"""Days that the profiles of a drawn system hold, from which one or two are operated."""

PRICED = {
    "network_charge": (0.0, 0.03, 0.05, 0.3),
    "second_charge": (0.0, 0.02),
    "network_capacity": (0.0, 5.0, 80.0),
    "standing_charge": (0.0, 0.5),
    "blocks": (0.0, 0.04, 0.2),
}
"""Components whose price a planner decides, and prices in force of which one is drawn [unit of the component]."""


@dataclass(frozen=True)
class Case:
    """What was drawn: the arguments of ``prepare_days``, and in words what is special about it."""

    system: System
    horizon: Horizon
    economics: Economics
    fleets: dict[str, Fleet]
    design: Design
    market: Market
    limits: LoadingLimits
    words: str

    def fleets_on(self, system: System, horizon: Horizon) -> dict[str, Fleet]:
        """Fleets of the same members on another day."""
        return {p: system.fleet(p, horizon) for p in self.fleets}


def draw(number: int) -> Case:
    """The case of a number: the same on every machine."""
    rng = np.random.default_rng([number, 20161])
    step = float(rng.choice(STEPS))
    count = int(rng.choice([1, 1, 2]))
    consecutive = count > 1 and bool(rng.random() < 0.5)
    start = FIRST_DAY + pd.Timedelta(days=int(rng.integers(3, DAYS - 1)))
    days = tuple(start + pd.Timedelta(days=k) for k in range(count))
    weights = tuple(rng.choice([1.0, 91.5, 366.0], size=count).tolist())
    horizon = Horizon(days, weights, step, consecutive=consecutive)
    system, words = _system(rng, step)
    tariff, prices, charged = _tariff(rng)
    economics = replace(Economics(), value_of_lost_load=float(rng.choice([0.5, 5.0, 5.0, 100.0, 1000.0])), tariff=tariff)
    design = Design({}, {d: {n: np.broadcast_to(v, tariff.components[n].shape(horizon)) for n, v in prices.items()} for d in system.at_level("dso")})
    market = _market(rng)
    limits = LoadingLimits(margin=float(rng.choice([0.0, 0.07])), mv_load=float(rng.choice([0.5, 1.0])))
    fleets = {p: system.fleet(p, horizon) for p in system.at_level("platform")}
    said = f"{step:g} h", f"{count} day(s){' in a row' if consecutive else ''}", f"{len(fleets)} platforms", str(getattr(market, "kind", "")), charged
    words = ", ".join([*said, f"value of lost load {economics.value_of_lost_load:g}", words])
    return Case(system, horizon, economics, fleets, design, market, limits, words)


def _market(rng: np.random.Generator) -> Market:
    kinds: list[Callable[[], Market]] = [
        Community, Community, TimeOfUse, Dispatch, Auction, Hybrid,
        lambda: Multiclass(green_premium=0.02, green=("household",)),
        lambda: Community(peer_charge_share=float(rng.choice([0.0, 0.5, 1.0]))),
    ]  # fmt: skip
    return kinds[int(rng.integers(len(kinds)))]()


def _tariff(rng: np.random.Generator) -> tuple[Tariff, dict[str, np.ndarray], str]:
    """Components, prices in force of those that are decided, and what there is in words."""
    components = dict(standard_components())
    if rng.random() < 0.3:
        components["levy"] = components["levy"].model_copy(update={"price": float(rng.choice([0.0, 0.3]))})
    if rng.random() < 0.3:
        components["export_deduction"] = components["export_deduction"].model_copy(update={"price": 0.0})
    if rng.random() < 0.3:
        components["trading_fee"] = components["trading_fee"].model_copy(update={"price": float(rng.choice([0.0, 0.05]))})
    more = {
        "network_capacity": COMPONENTS["capacity"](), "standing_charge": COMPONENTS["fixed"](),
        "blocks": COMPONENTS["time_of_use"](starts=(0, 7, 17)), "second_charge": COMPONENTS["volumetric"](),
    }  # fmt: skip
    chosen = [name for name in more if rng.random() < 0.2]
    components |= {name: more[name] for name in chosen}
    prices = {name: np.asarray(float(rng.choice(PRICED[name]))) for name in ("network_charge", *chosen)}
    return Tariff(components), prices, "+".join(["standard", *chosen])


def _system(rng: np.random.Generator, step: float) -> tuple[System, str]:
    whole = tiny_system()
    platforms = whole.at_level("platform")
    kept = sorted(rng.choice(platforms, size=int(rng.choice([1, 2, 3] if step < 1 else [1, 2, 3, 4])), replace=False).tolist())
    system = whole.cut(kept)
    system = system.replace(profiles=_profiles(rng, system, step))
    changes, words = [change for chance, change in CHANGES if rng.random() < chance], []
    for change in changes:
        system = change(rng, system)
        words.append(change.__name__.strip("_").replace("_", " "))
    return system, ", ".join(words) or "as it is"


def _edited(system: System, component: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> System:
    """The system with another table of a component."""
    name = TABLES[component]
    frame = edit(getattr(system, name).to_dataframe())
    return system.replace(**{name: table(component, frame.index.to_numpy(), {str(c): frame[c].to_numpy() for c in frame.columns})})


def _profiles(rng: np.random.Generator, system: System, step: float) -> xr.Dataset:
    """Profiles of a few days at the spacing of the step (an hour at most), with noise; rounded so that equal values, and ties, occur."""
    spacing = min(step, 1.0)
    old = system.profiles.sel(time=slice(FIRST_DAY, FIRST_DAY + pd.Timedelta(days=DAYS) - pd.Timedelta(hours=1)))
    each = round(1.0 / spacing)
    time = pd.date_range(FIRST_DAY, periods=old.sizes["time"] * each, freq=pd.Timedelta(hours=spacing)).to_numpy()
    noise = rng.choice([0.0, 0.1, 0.5])
    p = np.repeat(old.p.values.astype(float), each, axis=0)
    p = np.clip(p * (1.0 + noise * rng.uniform(-1, 1, p.shape)), 0.0, 1.0)
    p = np.round(p, int(rng.choice([1, 2, 6])))
    data = {"p": (("time", "profile"), p, old.p.attrs), "q": (("time", "profile"), p.copy(), old.q.attrs)}
    return xr.Dataset(data, coords={"time": time, "profile": old.profile.values})


def _larger_towns(rng: np.random.Generator, system: System) -> System:
    """Demand and supply of passive customers so large that prices move, networks are full and demand is cut off."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        passive = (frame.prosumer == "").to_numpy()
        return frame.assign(p_kw=np.where(passive, frame.p_kw * rng.choice([0.5, 1.0, 1.1, 1.2, 2.0, 6.0], size=len(frame)), frame.p_kw))

    return _edited(system, "device", edit)


def _tight_branches(rng: np.random.Generator, system: System) -> System:
    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(rating_kva=frame.rating_kva * rng.choice([0.3, 0.6, 1.0, 1.0, 3.0], size=len(frame)))

    return _edited(system, "branch", edit)


def _other_generators(rng: np.random.Generator, system: System) -> System:
    """Prices below zero, of zero, that tie; least outputs; too little of them."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        cost = rng.choice([-0.05, 0.0, 0.02, 0.02, 0.06, 0.3], size=len(frame))
        least = rng.choice([0.0, 0.0, 0.0, 0.3], size=len(frame)) * frame.p_max_kw
        return frame.assign(cost_eur_per_kwh=cost, p_min_kw=least, p_max_kw=frame.p_max_kw * rng.choice([0.2, 0.7, 1.0, 3.0]))

    return _edited(system, "generator", edit)


def _other_devices(rng: np.random.Generator, system: System) -> System:
    """Sizes of what members own, lossless and lossy batteries, several vehicles."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        mine = (frame.prosumer != "").to_numpy()
        power = np.where(mine, frame.p_kw * rng.choice([0.3, 1.0, 1.0, 4.0], size=len(frame)), frame.p_kw)
        battery = (frame.kind == "battery").to_numpy()
        best = np.where(battery, rng.choice([0.8, 0.95, 1.0], size=len(frame)), frame.efficiency)
        lost = np.where(battery, rng.choice([0.0, 0.05], size=len(frame)), frame.loss_per_day)
        return frame.assign(p_kw=power, efficiency=best, loss_per_day=lost, e_kwh=frame.e_kwh * rng.choice([0.2, 1.0, 5.0]))

    return _edited(system, "device", edit)


def _scaled(rng: np.random.Generator, system: System) -> System:
    """Everything at the transmission level a thousand times as large, or a hundredth."""
    factor = float(rng.choice([0.01, 100.0, 1000.0]))
    ends = system.buses.bus.values[system.buses.node.values == system.top]
    system = _edited(system, "device", lambda f: f.assign(p_kw=np.where(f.bus.isin(ends), f.p_kw * factor, f.p_kw)))
    system = _edited(system, "generator", lambda f: f.assign(p_max_kw=f.p_max_kw * factor, p_min_kw=f.p_min_kw * factor))
    mine = system.top
    return _edited(system, "branch", lambda f: f.assign(rating_kva=np.where(f.node == mine, f.rating_kva * factor, f.rating_kva)))


def _near_ties(rng: np.random.Generator, system: System) -> System:
    """Large generators whose costs differ by less than a solver tells apart, and by euros at their size."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        cost = 0.03 + rng.choice([0.0, 1e-11, 3e-11, 1e-10], size=len(frame))
        return frame.assign(cost_eur_per_kwh=cost, p_max_kw=rng.choice([1e6, 1e7, 3e7], size=len(frame)), p_min_kw=0.0)

    system = _edited(system, "generator", edit)
    mine = system.top
    return _edited(system, "branch", lambda f: f.assign(rating_kva=np.where(f.node == mine, 1e3 * f.rating_kva, f.rating_kva)))


def _idle_storage(rng: np.random.Generator, system: System) -> System:
    """Storage without a member, at transmission and in a feeder: it stands idle."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame.iloc[[0]].copy()
        rows.index = pd.Index([f"storage {int(rng.integers(9))}"], name=frame.index.name)
        alone = {"bus": "bus A", "prosumer": "", "kind": "battery", "profile": ""}
        return pd.concat([frame, rows.assign(**alone, p_kw=5000.0, q_kvar=0.0, e_kwh=20000.0, efficiency=0.9)])

    return _edited(system, "device", edit)


CHANGES = (
    (0.5, _larger_towns),
    (0.5, _tight_branches),
    (0.5, _other_generators),
    (0.5, _other_devices),
    (0.3, _scaled),
    (0.2, _near_ties),
    (0.3, _idle_storage),
)
"""Changes of the system, each with the chance that it is made."""
