"""AC power flow under single outages of medium-voltage lines: what the reserve of usable ratings (n-1) is kept for.

Every line in service is taken out, one at a time. What loses supply is fed through one line that stands open (a switch at one of its ends); of
several, in every period, the one after which least is overloaded. In that state no branch that keeps a reserve may be loaded above its rating:

    loading(branch, t | line out, open line closed)  <=  100 %          branches with a usable share under load below 1

Power fed in may be cut after a fault: a period that violates this as operated passes where it holds without any net feed-in, ``max(p, 0)`` at every
bus. Low-voltage networks draw at their busbar what they draw without the outage, losses included. A branch that is overloaded without the outage too
is a matter of the intact network and not counted here. Parallel lines of one branch are out together. Voltages are reported and not judged: the rule
keeps a share of ratings, and EN 50160 exempts supply by a temporary arrangement after a fault from its band.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.operation.built import built_system
from multiscale.system.limits import LoadingLimits
from multiscale.system.system import System
from multiscale.verification.ac import OVERLOAD_TOLERANCE_PERCENT, Verification
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.hourly_flows import HourlyFlows
from multiscale.verification.pandapower_model import PowerFlowModel, power_flow_model

COLUMNS = ("line", "restored_through", "periods_overloaded", "periods_cut", "periods_diverged", "branch", "loading", "lowest_voltage", "demand_lost")


@dataclass(frozen=True)
class OutageCheck:
    """What the AC power flow says of single outages.

    Attributes:
        outages: one row per line that was taken out: ``line``; ``restored_through``, the open lines that are closed, empty where nothing loses
            supply or nothing restores it; ``periods_overloaded`` and ``periods_cut``, in which a rating is violated, or kept by cutting feed-in;
            ``periods_diverged``, whose power flow did not converge; ``branch`` and its ``loading`` [%], the highest one of those judged, with feed-in
            cut where it has to be (none where no period has a solution, or all are overloaded without an outage); ``lowest_voltage`` [pu];
            ``demand_lost`` [kW], the largest demand that stays without supply because no open line reaches it.
        overloaded: branch -> highest loading under an outage [%], where it violates the rating.
        periods: number of periods that were checked.
    """

    outages: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    overloaded: Mapping[str, float] = field(default_factory=dict)
    periods: int = 0

    @property
    def unrestored(self) -> pd.DataFrame:
        """Outages after which demand stays without supply: the rule promises nothing for a line with no second feed."""
        return self.outages[self.outages["demand_lost"] > 0]

    @property
    def failed(self) -> pd.DataFrame:
        """Outages that the network does not survive within its ratings, the highest overload first, and last those that only lack a solution."""
        return worst_first(self.outages[(self.outages["periods_overloaded"] > 0) | (self.outages["periods_diverged"] > 0)])


def worst_first(outages: pd.DataFrame) -> pd.DataFrame:
    """Rows of outages, the highest overload first; those without one stay in their order behind."""
    overload = outages["loading"].where(outages["periods_overloaded"] > 0)
    return outages.iloc[np.argsort(-overload.fillna(0.0).to_numpy(), kind="stable")]


def outage_check(
    system: System, dso: str, checked: Verification, injections: xr.Dataset, limits: LoadingLimits, built: xr.Dataset | None = None
) -> OutageCheck:
    """AC power flow of every period under every single outage of a line of a DSO.

    Args:
        system: owner of the networks.
        dso: whose lines.
        checked: AC power flow of the same periods without outage, of the DSO's networks with those of its platforms.
        injections: ``p`` [kW] and ``q`` [kvar] drawn at their buses, (bus, period).
        limits: which branches keep a reserve under load.
        built: options that are built.

    Raises:
        KeyError: an unknown node or branch.
    """
    system = system if built is None else built_system(system, built)
    whole = power_flow_model(system, [dso])
    judged = _reserved(system, whole, limits)
    lines = np.flatnonzero((whole.branches.kind.values == "line") & whole.branches.in_service.values & judged)
    if not len(lines):
        return OutageCheck()
    drawn = _drawn(system, dso, whole, checked, injections)
    intact = batch_power_flow(whole, *drawn).loading - 100.0 > OVERLOAD_TOLERANCE_PERCENT
    network = _Switched(system, dso, whole)
    rows: list[dict[str, object]] = []
    worst: dict[str, float] = {}
    names = whole.branches.branch.values.astype(str)
    for line in lines.tolist():
        state = _Survival.of(network, line, drawn, judged[:, None] & ~intact)
        over = np.nan_to_num(state.loading, nan=-np.inf)
        place, period = np.unravel_index(int(over.argmax()), over.shape)
        found = bool(np.isfinite(over[place, period]))
        bad = over - 100.0 > OVERLOAD_TOLERANCE_PERCENT
        for b in np.flatnonzero(bad.any(axis=1)).tolist():
            worst[names[b]] = max(worst.get(names[b], 0.0), float(over[b].max()))
        rows.append(
            {
                "line": names[line],
                "restored_through": ", ".join(names[state.through]),
                "periods_overloaded": int(bad.any(axis=0).sum()),
                "periods_cut": int(state.cut.sum()),
                "periods_diverged": int((~state.converged).sum()),
                "branch": names[place] if found else "",
                "loading": float(over[place, period]) if found else np.nan,
                "lowest_voltage": float(np.nanmin(state.voltage)) if np.isfinite(state.voltage).any() else np.nan,
                "demand_lost": state.lost,
            }
        )
    return OutageCheck(pd.DataFrame(rows, columns=list(COLUMNS)), worst, drawn[0].shape[1])


@dataclass(frozen=True)
class _Survival:
    """The best state after one outage, period by period.

    Attributes:
        loading: of the branches that are judged, (branch, period) [%]; NaN of the others.
        voltage: lowest of the buses with supply, (period) [pu].
        cut: periods in which feed-in is cut.
        converged: of the power flow, (period).
        through: open lines that are closed in some period.
        lost: largest demand without supply [kW].
    """

    loading: np.ndarray
    voltage: np.ndarray
    cut: np.ndarray
    converged: np.ndarray
    through: np.ndarray
    lost: float

    @classmethod
    def of(cls, network: _Switched, line: int, drawn: tuple[np.ndarray, np.ndarray], judged: np.ndarray) -> _Survival:
        """Try the open lines that restore supply, one after the other, as operated and with feed-in cut, where the state before fails."""
        p, q = drawn
        periods = p.shape[1]
        loading, voltage = np.full(judged.shape, np.inf), np.full(periods, np.nan)
        cut, converged, best = np.zeros(periods, dtype=bool), np.zeros(periods, dtype=bool), np.full(periods, np.inf)
        through = np.full(periods, -1)
        closing, dark = network.restoring(line)
        lost = float(np.maximum(p[dark], 0.0).sum(axis=0).max()) if dark.any() and not closing else 0.0
        for feed_in in (True, False):
            for tie in closing or (-1,):
                todo = np.flatnonzero(best > 100.0 + OVERLOAD_TOLERANCE_PERCENT)
                if not len(todo):
                    break
                flows = network.flows(line, tie, (p if feed_in else np.maximum(p, 0.0))[:, todo], q[:, todo])
                here = np.where(judged[:, todo], flows.loading, np.nan)
                # Without convergence there is no state; without supply there is no loading.
                highest = np.where(flows.converged, np.fmax.reduce(here, axis=0, initial=0.0), np.inf)
                better = (highest < best[todo]) | ~converged[todo] & flows.converged
                at = todo[better]
                loading[:, at], voltage[at] = here[:, better], np.fmin.reduce(flows.voltage[:, better], axis=0)
                best[at], cut[at], converged[at], through[at] = highest[better], not feed_in, flows.converged[better], tie
        loading[:, ~converged] = np.nan
        # Cutting what was fed in did not help where a rating is violated all the same.
        cut &= best <= 100.0 + OVERLOAD_TOLERANCE_PERCENT
        return cls(loading, voltage, cut, converged, np.unique(through[through >= 0]), lost)


class _Switched:
    """The network of a DSO with one line out and one open line closed.

    Args:
        system, dso: owner of the network.
        whole: model of the intact network.
    """

    def __init__(self, system: System, dso: str, whole: PowerFlowModel) -> None:
        self._system, self._dso = system, dso
        self._models = {-1: whole}
        position = {bus: i for i, bus in enumerate(whole.buses.bus.values.tolist())}
        branches = whole.branches
        self._ends = tuple(np.array([position[b] for b in branches[c].values.tolist()], dtype=int) for c in ("from_bus", "to_bus"))
        self._on = branches.in_service.values.copy()
        self._open = np.flatnonzero((branches.kind.values == "line") & ~self._on & (branches.charged_from.values != ""))
        self._roots, self._buses = whole.roots, len(position)
        self._fed = self._supplied(self._on)

    def _supplied(self, on: np.ndarray) -> np.ndarray:
        """Whether a bus is connected to one whose voltage is given, (bus)."""
        start, end = (each[on] for each in self._ends)
        above = np.full(len(self._roots), self._buses)
        rows, columns = np.concatenate([start, above]), np.concatenate([end, self._roots])
        graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(self._buses + 1, self._buses + 1))
        part = csgraph.connected_components(graph, directed=False)[1]
        return (part == part[-1])[:-1]

    def restoring(self, line: int) -> tuple[tuple[int, ...], np.ndarray]:
        """Open lines of which each restores all that an outage leaves without supply, and the buses that lose it."""
        on = self._on.copy()
        on[line] = False
        dark = self._fed & ~self._supplied(on)
        if not dark.any():
            return (), dark
        start, end = self._ends

        def restores(tie: int) -> bool:
            closed = on.copy()
            closed[tie] = True
            return bool(self._supplied(closed)[dark].all())

        return tuple(t for t in self._open.tolist() if dark[start[t]] != dark[end[t]] and restores(t)), dark

    def flows(self, line: int, tie: int, p: np.ndarray, q: np.ndarray) -> HourlyFlows:
        """AC power flow with one line out and one open line closed (-1: none)."""
        return batch_power_flow(_without(self._model(tie), line), p, q)

    def _model(self, tie: int) -> PowerFlowModel:
        if tie not in self._models:
            name = self._models[-1].branches.branch.values[tie]
            at = int(np.flatnonzero(self._system.branches.branch.values == name)[0])
            branches = self._system.branches.copy(deep=True)
            branches["in_service"][at], branches["charged_from"][at] = True, ""
            self._models[tie] = power_flow_model(self._system.replace(branches=branches), [self._dso])
        return self._models[tie]


def _without(model: PowerFlowModel, line: int) -> PowerFlowModel:
    """A model with one line out, open at both of its ends."""
    net = copy.copy(model.net)
    net["line"] = net["line"].copy()
    net["line"].loc[net["line"].index[int(np.flatnonzero(model.line == line)[0])], "in_service"] = False
    on = model.branches.in_service.values.copy()
    on[line] = False
    return replace(model, net=net, branches=model.branches.assign(in_service=("branch", on)))


def _reserved(system: System, model: PowerFlowModel, limits: LoadingLimits) -> np.ndarray:
    """Branches of which a share of the rating is kept under load, (branch)."""
    vn = dict(zip(system.buses.bus.values.tolist(), system.buses.vn_kv.values.tolist(), strict=True))
    below = np.array([vn[b] for b in model.branches.to_bus.values.tolist()])
    return limits.shares(below, with_margin=False)[0] < 1.0


def _drawn(system: System, dso: str, whole: PowerFlowModel, checked: Verification, injections: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn from every bus of a DSO's network [kW, kvar], (bus, period): at the busbar of a platform, what its network takes there."""
    buses, periods = pd.Index(whole.buses.bus.values), checked.result.period.values
    labels = injections.bus.values, injections.period.values
    power = [pd.DataFrame(injections[v].transpose("bus", "period").values, *labels)[periods] for v in ("p", "q")]
    total = [each.reindex(buses, fill_value=0.0).to_numpy().copy() for each in power]
    for platform in system.children(dso):
        busbar = system.boundary_bus(platform)
        model = power_flow_model(system, [platform])
        inside = [each.reindex(model.buses.bus.values, fill_value=0.0).to_numpy().copy() for each in power]
        for each in inside:
            each[model.roots] = 0.0
        volts = checked.result.voltage.sel(bus=busbar).to_numpy()[None, :]
        flows = batch_power_flow(model, *inside, root_voltage_pu=volts)
        # Shunts at the busbar are in the network of the DSO already.
        shunts = (model.buses[name].sel(bus=busbar).item() * volts[0] ** 2 for name in ("shunt_p_kw", "shunt_q_kvar"))
        for into, taken, shunt in zip(total, (flows.exchange, flows.exchange_reactive), shunts, strict=True):
            into[buses.get_loc(busbar)] += taken - shunt
    return total[0], total[1]
