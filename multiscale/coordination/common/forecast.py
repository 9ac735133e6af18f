"""Forecasts that differ from what happens, and scenarios around a forecast: relative errors correlated over time and nodes.

    forecast_nt = actual_nt (1 + size e_nt),    e_nt = sqrt(common) c_t + sqrt(1 - common) o_nt

``c`` and ``o`` are stationary first-order autoregressive series of unit variance, cut off at +-2.5, with correlation ``hourly`` from one
hour to the next; demand and generation err independently. Draws come in pairs e, -e: their mean is zero and their distribution
symmetric exactly, not only in expectation.

Seen from period k, the error of a later period t has only grown for t - k periods: its standard deviation is ``size sqrt(1 - hourly^(2 (t - k)
D))``, so forecasts become better as time approaches.

Source: antithetic draws: Hammersley and Morton, Proc. Cambridge Phil. Soc. 52 (1956) 449-475.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.operation import OperatingTree, operating_tree
from multiscale.system import System
from multiscale.system.schema import GENERATION_KINDS, table
from multiscale.timeline import Horizon

CUT_OFF = 2.5
"""Errors are cut off at so many standard deviations: what is forecast stays positive up to a size of 0.4."""

LARGEST_ERROR = 1.0 / CUT_OFF


@dataclass(frozen=True)
class ErrorModel:
    """How forecasts err.

    Attributes:
        size: standard deviation of the relative error a day ahead [1], at most 0.4.
        common: share of the variance that all nodes have in common (weather) [1].
        hourly: correlation of the error from one hour to the next [1].
        seed: of the draw.
    """

    size: float
    common: float = 0.7
    hourly: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.size <= LARGEST_ERROR:
            raise ValueError(f"forecast error: size {self.size:g} is not between 0 and {LARGEST_ERROR:g}; larger errors would make demand negative")
        for name, value in (("common", self.common), ("hourly", self.hourly)):
            if not 0 <= value <= 1:
                raise ValueError(f"forecast error: {name} {value:g} is not between 0 and 1")

    def draw(self, nodes: int, periods: int, step_hours: float, count: int) -> np.ndarray:
        """Standardised errors e [1], (count, nodes, periods), in pairs e, -e (an odd count ends with a half pair)."""
        generator = np.random.default_rng(self.seed)
        half = (count + 1) // 2
        steps = generator.standard_normal((half, nodes + 1, periods))
        kept = self.hourly**step_hours
        series = np.empty_like(steps)
        series[..., 0] = steps[..., 0]
        for t in range(1, periods):
            series[..., t] = kept * series[..., t - 1] + np.sqrt(1.0 - kept**2) * steps[..., t]
        mixed = np.sqrt(self.common) * series[:, :1] + np.sqrt(1.0 - self.common) * series[:, 1:]
        mixed = np.clip(mixed, -CUT_OFF, CUT_OFF)
        return np.stack([mixed, -mixed], axis=1).reshape(2 * half, nodes, periods)[:count]

    def grown(self, periods: int, step_hours: float, now: int) -> np.ndarray:
        """Standard deviation of the error [1], (period,), as seen from the start of period ``now``; the past and the present are known."""
        lead = np.maximum(np.arange(periods) - now, 0) * step_hours
        return self.size * np.sqrt(1.0 - self.hourly ** (2.0 * lead))


@dataclass(frozen=True)
class DayErrors:
    """Errors of one day's forecasts.

    Attributes:
        model: how they are distributed.
        demand, generation: node -> standardised error e [1], (period,).
    """

    model: ErrorModel
    demand: Mapping[str, np.ndarray]
    generation: Mapping[str, np.ndarray]

    def forecast(
        self, tree: OperatingTree, now: int | None = None, bounds: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None
    ) -> OperatingTree:
        """The tree with demand and generation as forecast: a day ahead, or as seen from the start of period ``now``.

        A day ahead flexible devices are forecast like other demand; during the day they have announced themselves.
        ``bounds``: as of ``operating_tree``.
        """
        horizon = tree.horizon
        size = np.full(horizon.periods, self.model.size) if now is None else self.model.grown(horizon.periods, horizon.step_hours, now)
        demand = {node: 1.0 + size * e for node, e in self.demand.items()}
        generation = {node: 1.0 + size * e for node, e in self.generation.items()}
        return scaled_tree(tree, demand, generation, announced=now is not None, bounds=bounds)


def day_errors(model: ErrorModel, tree: OperatingTree, name: str) -> DayErrors:
    """Draw the errors of a day; every day has its own, given by the seed and its name."""
    nodes = [tree.system.top, *tree.distribution, *tree.platforms]
    horizon = tree.horizon
    seed = int(np.random.SeedSequence([model.seed, *name.encode()]).generate_state(1)[0])
    drawn = [ErrorModel(model.size, model.common, model.hourly, seed + k).draw(len(nodes), horizon.periods, horizon.step_hours, 1)[0] for k in (0, 1)]
    return DayErrors(model, dict(zip(nodes, drawn[0], strict=True)), dict(zip(nodes, drawn[1], strict=True)))


def scaled_tree(
    tree: OperatingTree,
    demand: Mapping[str, np.ndarray],
    generation: Mapping[str, np.ndarray],
    *,
    announced: bool = False,
    bounds: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> OperatingTree:
    """The tree with one participant per platform, its demand and generation multiplied node by node.

    Args:
        tree: model of the parents (one participant per platform, no low-voltage networks).
        demand, generation: node -> factor [1], (period,); missing nodes stay as they are.
        announced: whether flexible devices stay as they are too, rather than follow the demand.
        bounds: as of ``operating_tree``.
    """
    fleets = {p: scaled_fleet(f, demand.get(p, 1.0), generation.get(p, 1.0), announced=announced) for p, f in tree.fleets.items()}
    passive = [n for n in (tree.system.top, *tree.distribution) if n in demand or n in generation]
    system = _scaled_passive(tree.system, tree.horizon, passive, demand, generation)
    other = operating_tree(system, tree.horizon, tree.economics, fleets, tree.design, tree.market, networks=False, limits=tree.limits, bounds=bounds)
    other.transmission.learn(tree.transmission)
    return other


def scaled_fleet(fleet: Fleet, demand: np.ndarray | float, generation: np.ndarray | float, *, announced: bool = False) -> Fleet:
    """The fleet with demand (inflexible, and of flexible devices unless ``announced``) times one factor and generation times another, (period,)."""
    return fleet.scaled(demand, 1.0 if announced else demand, generation)


def _scaled_passive(
    system: System, horizon: Horizon, nodes: Sequence[str], demand: Mapping[str, np.ndarray], generation: Mapping[str, np.ndarray]
) -> System:
    """The system over one day with the active power of passive devices multiplied: every device gets a profile of its node's own."""
    if not nodes:
        return system
    devices, profiles = system.devices, system.profiles
    bus_node = dict(zip(system.buses.bus.values.tolist(), system.buses.node.values.tolist(), strict=True))
    time = pd.DatetimeIndex(profiles.time.values)
    day = pd.DatetimeIndex(horizon.days).get_indexer(time.normalize())
    within = ((time - time.normalize()) / pd.Timedelta(hours=1) / horizon.step_hours).to_numpy().astype(int)
    inside, period = day >= 0, np.maximum(day, 0) * horizon.steps + within
    column = {name: k for k, name in enumerate(profiles.profile.values.tolist())}
    p, q = profiles.p.transpose("time", "profile").values, profiles.q.transpose("time", "profile").values
    names = devices.profile.values.astype(object)
    added: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    passive = np.flatnonzero(devices.prosumer.values == "")
    generates = np.isin(devices.kind.values, GENERATION_KINDS)
    for k in passive.tolist():
        node = bus_node[str(devices.bus.values[k])]
        factor = (generation if generates[k] else demand).get(node) if node in nodes else None
        if factor is None:
            continue
        old = str(devices.profile.values[k])
        name = f"{old} @ {node} {'generation' if generates[k] else 'demand'}"
        if name not in added:
            shape, reactive = (p[:, column[old]], q[:, column[old]]) if old else (np.ones(len(period)), np.ones(len(period)))
            added[name] = (shape * np.where(inside, factor[period], 1.0), reactive)
        names[k] = name
    both = {
        v: (("time", "profile"), np.column_stack([old, *(pair[n] for pair in added.values())]), profiles[v].attrs)
        for n, (v, old) in enumerate((("p", p), ("q", q)))
    }
    wider = xr.Dataset(both, coords={"time": profiles.time.values, "profile": np.array([*column, *added], dtype=str)})
    data = {str(c): devices[c].values for c in devices.data_vars} | {"profile": names.astype(str)}
    return system.replace(devices=table("device", devices.device.values, data), profiles=wider)
