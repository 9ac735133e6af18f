r"""What the transmission operator plans with: its network under DC power flow over all periods, and what may be built in it.

    min   sum_k a_k z_k + sum_t h_t [ sum_g cost_g p_gt + VOLL (unserved + missing + spilled) + curtailment ]
    s.t.  supply - demand - exchange of the nodes below = sum of flows away from the bus              dual: nodal price (times h_t)
          f_lt = b_l d_lt,                            d_lt: difference of angles along the branch, |d_lt| <= D_l
          f_kt = b_k d_lt where z_k = 1, else 0       option k on branch l adds the susceptance b_k:

          |f_kt| <= |b_k| D'_k z_k,      |f_kt - b_k d_lt| <= |b_k| D_l (1 - z_k),      |d_lt| <= D_l + (D'_k - D_l) z_k

With F_l the limit of the branch, D_l = F_l / |b_l|, and D'_k = F'_k / |b_l + b_k| with what is built. No constant is guessed: as the branch itself
stays in service, its own limit bounds the angle difference, so the rows are exact for z_k = 0 and 1 (and hold on every mixture of them).
Reactive power, losses and voltages are not in the model: it is DC.

Source of the disjunctive rows: Binato, Pereira, Granville, IEEE Trans. Power Systems 16 (2001) 235-240 (there with constants from shortest paths).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from multiscale.measures import MEASURES
from multiscale.operation import Transmission
from multiscale.operation.transmission_program import DESCRIPTION, columns_at
from multiscale.planning.follower_names import BUILT
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.programs.build import Term


@dataclass(frozen=True)
class Effect:
    """What options do to their branches, (option,).

    Attributes:
        branch: position among the branches of the DC model.
        susceptance: that they add, relative to the unit of the program [1].
        difference: largest angle difference with the option built [kW at unit susceptance].
    """

    branch: np.ndarray
    susceptance: np.ndarray
    difference: np.ndarray


def effect_of(network: Transmission, options: xr.Dataset, unit: float) -> Effect:
    """What options (component ``option``) on branches of the transmission network change there.

    Args:
        network: as it is.
        options: at most one on every branch.
        unit: susceptance that counts as 1 [kW per rad].
    """
    model, grid = network.model, network.system.network(network.system.top)
    at = {name: i for i, name in enumerate(model.branches.tolist())}
    rows = grid.active.to_dataframe()
    vn_kv = dict(zip(grid.buses.bus.values.tolist(), grid.buses.vn_kv.values.tolist(), strict=True))
    branch, added, difference = [], [], []
    for option in options.to_dataframe().to_dict("records"):
        name = option["branch"]
        before = {"branch": name, **rows.loc[name].to_dict()}
        after = MEASURES[option["kind"]].apply(before, option, vn_kv[before["to_bus"]], before["to_bus"])
        i = at[name]
        whole = model.susceptance[i] * before["x_ohm"] / after["x_ohm"] / unit
        branch.append(i)
        added.append(whole - model.susceptance[i] / unit)
        difference.append(model.limit[i] * after["rating_kva"] / before["rating_kva"] / abs(whole))
    return Effect(np.array(branch, dtype=int), np.array(added, dtype=float), np.array(difference, dtype=float))


def transmission_planning_program(network: Transmission, options: xr.Dataset, annuity: np.ndarray) -> ParametricProgram:
    """The transmission operator's program over all periods, with what may be built as its columns ``built`` (option) in [0, 1].

    Parameter ``exchange`` (node, period) [kW]: what every node below draws. Rows ``balance`` (bus, period): their duals divided by the hours of a
    period are nodal prices [EUR/kWh].

    Args:
        network: as it is.
        options: what may be built, at most one on every branch.
        annuity: yearly cost of each [EUR/a].
    """
    model, horizon, periods = network.model, network.horizon, network.horizon.periods
    builder, period = ProgramBuilder(network.system.top), {"period": horizon.labels}
    unit = float(np.median(np.abs(model.susceptance))) if len(model.branches) else 1.0
    own = model.susceptance / unit
    most = model.limit / np.abs(own)
    effect = effect_of(network, options, unit)
    exchange = builder.add_parameters("exchange", {"node": np.array(network.children, dtype=str), **period}, unit="kW", description="power drawn")
    names = options.option.values.astype(str)
    built = builder.add_columns(BUILT, {"option": names}, unit="1", upper=1.0, cost=annuity, description="reinforcements built")

    data = [columns_at(network, t) for t in range(periods)]
    passive = model.buses[network.passive_bus]
    places = {
        "generation": (1.0, "generator", network.system.generators.generator.values, network.generator_bus),
        "unserved": (1.0, "bus", passive[network.drawing], network.passive_bus[network.drawing]),
        "curtailed": (-1.0, "bus", passive[network.feeding], network.passive_bus[network.feeding]),
        "spilled": (-1.0, "node", np.array(network.children, dtype=str), network.child_bus),
        "missing": (1.0, "node", np.array(network.children, dtype=str), network.child_bus),
    }
    columns = {}
    for name, (_, axis, labels, _) in places.items():
        low, high, cost = (np.stack([np.broadcast_to(d[name][k], len(labels)) for d in data], axis=1) for k in range(3))
        columns[name] = builder.add_columns(
            name, {axis: labels, **period}, unit="kW", lower=low, upper=high, cost=cost, description=DESCRIPTION[name]
        )

    wider = most.copy()
    np.maximum.at(wider, effect.branch, effect.difference)
    # A path from the first bus of its connected part passes every branch once at most.
    farthest = np.full(len(model.buses), wider.sum())
    farthest[np.unique(model.part, return_index=True)[1]] = 0.0
    angle = builder.add_columns(
        "angle",
        {"bus": model.buses, **period},
        unit="kW",
        lower=-farthest[:, None],
        upper=farthest[:, None],
        description="angle times unit susceptance",
    )
    largest = (np.abs(own) * wider)[:, None]
    flow = builder.add_columns(
        "flow", {"branch": model.branches, **period}, unit="kW", lower=-largest, upper=largest, description="flow of the branch"
    )
    start, end = angle[model.start], angle[model.end]
    builder.add_rows(
        "flow", {"branch": model.branches, **period}, [(1.0, flow), (-own[:, None], start), (own[:, None], end)], "==", 0.0,
        unit="kW", description="flow in proportion to the difference of angles",
    )  # fmt: skip
    at_option = {"option": names, **period}
    bound = (np.abs(effect.susceptance) * np.maximum(effect.difference, most[effect.branch]))[:, None]
    added = builder.add_columns("added_flow", at_option, unit="kW", lower=-bound, upper=bound, description="flow through what is built")
    if len(names):
        chosen = np.broadcast_to(built[:, None], added.shape)
        share, of = effect.susceptance[:, None], effect.branch
        limit, free = np.abs(share) * effect.difference[:, None], np.abs(share) * most[of][:, None]
        # Limit of the flow of the branch itself, which moves with what is built in parallel to it.
        today, then = (np.abs(own) * most)[of][:, None], np.abs(own[of])[:, None] * effect.difference[:, None]
        # Where rating and susceptance grow alike the limit stays, but for rounding.
        moved = np.where(np.abs(today - then) <= 1e-9 * today, 0.0, today - then)
        drop: list[Term] = [(-share, start[of]), (share, end[of])]
        for word, sign in (("forward", 1.0), ("reverse", -1.0)):
            builder.add_rows(f"added_{word}", at_option, [(sign, added), (-limit, chosen)], "<=", 0.0, unit="kW", description="no flow unless built")
            turned = [(sign * np.asarray(c), p) for c, p in drop]
            builder.add_rows(f"parallel_{word}", at_option, [(sign, added), *turned, (free, chosen)], "<=", free, unit="kW",
                             description="flow in proportion to the difference of angles, if built")  # fmt: skip
            builder.add_rows(f"limit_{word}", at_option, [(sign, flow[of]), (moved, chosen)], "<=", today, unit="kW",
                             description="limit of the branch")  # fmt: skip
    net = np.zeros((len(model.buses), periods))
    np.add.at(net, network.passive_bus, network.demand - network.renewable)
    balance = builder.add_rows(
        "balance", {"bus": model.buses, **period}, [], "==", net, unit="kW", description="supply less demand is what flows away"
    )
    for name, (sign, _, _, bus) in places.items():
        builder.add_to_rows(balance[bus], columns[name], sign)
    for carried, start_bus, end_bus in ((flow, model.start, model.end), (added, model.start[effect.branch], model.end[effect.branch])):
        builder.add_to_rows(balance[start_bus], carried, -1.0)
        builder.add_to_rows(balance[end_bus], carried, 1.0)
    builder.add_parameters_to_rows(balance[network.child_bus], exchange, 1.0)
    return builder.build()
