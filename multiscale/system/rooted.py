"""A radial network in the order from its root, parallel branches joined: what follows from its tables alone, whatever limits and voltages are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr


class BranchesAndBuses(Protocol):
    """What is read of a network; ``Network`` is the class that holds it."""

    @property
    def node(self) -> str:
        """Owner."""

    @property
    def root(self) -> str:
        """Bus at which the network meets its parent."""

    @property
    def buses(self) -> xr.Dataset:
        """The table of buses."""

    @property
    def active(self) -> xr.Dataset:
        """Branches in service."""

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of both ends of the active branches."""

    def loops(self) -> list[list[str]]:
        """Branches that close a loop, one list per loop."""

    def islands(self) -> list[list[str]]:
        """Buses without a connection to the root, in groups."""


class MeshedNetworkError(ValueError):
    """A network that LinDistFlow cannot take: it has a loop, or a part without a connection to the root."""


@dataclass(frozen=True)
class RootedNetwork:
    """A radial network ordered from the root.

    Attributes:
        buses: names, root first, every bus after the one that feeds it.
        feeder: position of the bus that feeds each bus (-1 for the root); bus i > 0 is fed through branch i.
        rating: kVA of the branch that feeds each bus (sum of parallel ones).
        resistance, reactance: ohm, referred to the bus that is fed.
        vn_kv: nominal voltage of each bus.
        v_min, v_max: permitted voltage of the table [pu].
        charging: reactive power that line capacitance and shunts feed in at each bus [kvar].
        boost: rise of the squared voltage [pu^2] by an off-nominal transformer ratio on the way to each bus.
        reference: True where a tap changer holds the voltage of the bus, and at the root.
        held: voltage that a tap changer holds there [pu], at the root that of the grid above; 1.0 elsewhere.
        members: names of the branches that feed each bus.
    """

    buses: np.ndarray
    feeder: np.ndarray
    rating: np.ndarray
    resistance: np.ndarray
    reactance: np.ndarray
    vn_kv: np.ndarray
    v_min: np.ndarray
    v_max: np.ndarray
    charging: np.ndarray
    boost: np.ndarray
    reference: np.ndarray
    held: np.ndarray
    members: tuple[tuple[str, ...], ...]


def rooted_network(network: BranchesAndBuses) -> RootedNetwork:
    """Order a network that is radial in its active branches.

    Raises:
        MeshedNetworkError: a loop (its branches are named), or buses without a connection to the root (named).
    """
    loops = network.loops()
    if loops:
        raise MeshedNetworkError(
            f"network of {network.node!r} is meshed: loop through {', '.join(loops[0])}; open a switch (in_service false) on one of them"
        )
    islands = network.islands()
    if islands:
        raise MeshedNetworkError(
            f"network of {network.node!r}: buses {islands[0][:5]} have no connection to {network.root!r}; close a switch or remove them"
        )
    active, buses = network.active, network.buses
    names = buses.bus.values
    start, end = network.ends()
    at: list[list[tuple[int, int]]] = [[] for _ in names]
    for k, (i, j) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        at[i].append((j, k))
        at[j].append((i, k))
    root = int(np.flatnonzero(names == network.root)[0])
    order, feeder_of = [root], {root: -1}
    feeding: dict[int, list[int]] = {root: []}
    for i in order:
        for j, k in at[i]:
            if j == feeder_of[i]:
                continue
            if j in feeder_of:
                feeding[j].append(k)
            else:
                feeder_of[j], feeding[j] = i, [k]
                order.append(j)
    position = {bus: n for n, bus in enumerate(order)}
    feeder = np.array([position[feeder_of[b]] if feeder_of[b] >= 0 else -1 for b in order])
    rating, resistance, reactance = np.full(len(order), np.inf), np.zeros(len(order)), np.zeros(len(order))
    vn = buses.vn_kv.values
    ratio = _off_nominal_ratio(active, dict(zip(names.tolist(), vn.tolist(), strict=True)))
    rating_kva, branch_setpoint, branch_name = active.rating_kva.values, active.v_setpoint_pu.values, active.branch.values.tolist()
    admittances = 1.0 / (active.r_ohm.values + 1j * np.where(active.x_ohm.values == 0, 1e-9, active.x_ohm.values))
    boost, reference, held = np.zeros(len(order)), np.zeros(len(order), dtype=bool), np.ones(len(order))
    reference[0], held[0] = True, float(buses.v_root_pu.values[root])
    for n, bus in enumerate(order[1:], start=1):
        ks = feeding[bus]
        rating[n] = rating_kva[ks].sum()
        # A branch that is fed at its to_bus has its impedance, and its ratio, seen from the other side.
        turned = [end[k] != bus for k in ks]
        seen = np.array([(vn[end[k]] / vn[bus]) ** 2 if t else 1.0 for k, t in zip(ks, turned, strict=True)])
        impedance = 1.0 / (admittances[ks] * seen).sum()
        resistance[n], reactance[n] = impedance.real, impedance.imag
        boost[n] = float(np.where(turned, 1.0 / ratio[ks], ratio[ks]).mean()) ** 2 - 1.0
        setpoint = branch_setpoint[ks]
        if np.isfinite(setpoint).any():
            reference[n], held[n] = True, float(np.nanmean(setpoint))
    return RootedNetwork(
        names[order],
        feeder,
        rating,
        resistance,
        reactance,
        vn[order],
        buses.v_min_pu.values[order],
        buses.v_max_pu.values[order],
        (_line_charging(active, start, end, vn) - buses.shunt_q_kvar.values)[order],
        boost,
        reference,
        held,
        tuple(tuple(str(branch_name[k]) for k in feeding[b]) for b in order),
    )


def _line_charging(branches: xr.Dataset, start: np.ndarray, end: np.ndarray, vn_kv: np.ndarray, frequency_hz: float = 50.0) -> np.ndarray:
    """Reactive power of line capacitance at nominal voltage, half at each end: 2 pi f C Vn^2 / 2 [kvar], (bus,)."""
    total = np.zeros(len(vn_kv))
    half = np.pi * frequency_hz * branches.c_nf.values * 1e-9 * (1e3 * vn_kv[end]) ** 2 / 1e3
    np.add.at(total, start, half)
    np.add.at(total, end, half)
    return total


def _off_nominal_ratio(branches: xr.Dataset, vn_kv: dict[str, float]) -> np.ndarray:
    """Voltage ratio of each transformer relative to the nominal voltages of its buses (1 for lines)."""
    nominal = np.array([vn_kv[a] / vn_kv[b] for a, b in zip(branches.from_bus.values.tolist(), branches.to_bus.values.tolist(), strict=True)])
    tap = 1.0 + branches.tap_pos.values * branches.tap_step_percent.values / 100.0
    rated = branches.vn_lv_kv.values / branches.vn_hv_kv.values * nominal
    ratio = np.where(branches.tap_side.values == "hv", rated / tap, rated * tap)
    return np.where((branches.kind.values == "transformer") & np.isfinite(ratio), ratio, 1.0)
