"""The voltage at the busbars that feed platforms, by the linear model of the network above.

A platform's program takes the voltage at its busbar as given, like the reactive power of customers: what moves it is decided by all others. In
operation it is that of the network above, as built, when everyone draws what the forecast of the operators says:

    v_busbar = v_ref - sum over the path of 2 (r_l P_l + x_l Q_l) / (1000 Vn^2)          P_l, Q_l: expected flows, see ``radial``
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.operation.built import built_network
from multiscale.operation.distribution import passive_power
from multiscale.operation.radial import RadialTree, radial_tree
from multiscale.operation.tree import OperatingTree
from multiscale.system import System


def expected_busbar_voltages(
    tree: OperatingTree, distribution_x: Mapping[str, np.ndarray], exchange: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Voltage at the busbar of every platform [pu], platform -> (period,), in an operation of the networks above.

    Args:
        tree: whose platforms, under its design.
        distribution_x: DSO -> columns of its program.
        exchange: platform -> power drawn by it [kW], (period,).
    """
    system, horizon = tree.system, tree.horizon
    built = tree.design.options(system.options)
    found: dict[str, np.ndarray] = {}
    for dso, own in tree.distribution.items():
        above = radial_tree(built_network(system, dso, built), tree.limits)
        at = {bus: i for i, bus in enumerate(above.buses.tolist())}
        active, reactive = np.zeros((2, len(at), horizon.periods))
        passive = system.passive(dso, horizon)
        demand, generation = passive_power(own, system, horizon, distribution_x[dso])
        for k, bus in enumerate(passive.bus.values.tolist()):
            if bus in at:
                active[at[bus]] += demand[k] - generation[k]
                reactive[at[bus]] += passive.reactive.values[k]
        for child in own.children:
            busbar = at[system.boundary_bus(child)]
            active[busbar] += exchange[child]
            reactive[busbar] += tree.fleets[child].arrays["reactive"].sum(axis=0)
        found |= busbar_voltages(system, dso, above, above.below(active), above.below(reactive))
    return found


def busbar_voltages(system: System, dso: str, above: RadialTree, active: np.ndarray, reactive: np.ndarray) -> dict[str, np.ndarray]:
    """Voltage at the busbar of every platform of a DSO [pu], platform -> (period,), at given flows [kW, kvar] of the network above."""
    voltage = above.voltage(active, reactive)
    at = {bus: i for i, bus in enumerate(above.buses.tolist())}
    return {child: voltage[at[system.boundary_bus(child)]] for child in system.children(dso)}
