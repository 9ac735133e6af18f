"""A made-up answer with the shape and size of a real one: one MV network, its LV platforms, two days, three reinforcements."""

from __future__ import annotations

import numpy as np
import xarray as xr

FLOWS = ("energy", "network charge", "levy", "trading fee", "peer-to-peer", "wear and discomfort", "investment")
TERMS = ("demand", "pv", "import", "export", "peer_to_peer", "curtailed", "unserved", "battery losses")
SCENARIOS = ("existing", "conventional", "plan")
TITLES = ("Existing network, no trading", "Conventional plan, no trading", "With plan and trading")


def _network(rng: np.random.Generator, feeders: int = 6, length: int = 14) -> dict[str, list]:
    bus, x, y, vn, node = ["MV2.101 busbar"], [11.40], [53.64], [20.0], ["MV2.101"]
    start, end, kind, owner, rating = [], [], [], [], []
    for f in range(feeders):
        angle = 2 * np.pi * (f + 0.15) / feeders
        last, px, py = 0, x[0], y[0]
        for k in range(length):
            angle += rng.normal(0, 0.25)
            px, py = px + 0.006 * np.cos(angle), py + 0.004 * np.sin(angle)
            bus.append(f"MV2.101 Bus {f * length + k + 1}")
            x.append(px), y.append(py), vn.append(20.0), node.append("MV2.101")
            start.append(bus[last]), end.append(bus[-1]), kind.append("line"), owner.append("MV2.101")
            rating.append(7000.0 if k < 5 else 5000.0)
            last = len(bus) - 1 if rng.random() > 0.15 or k < 3 else last
    for i in range(16):
        site = 1 + int(rng.integers(feeders * length))
        name = f"LV{2 + i % 3}.{101 + i}"
        bus.append(f"{name} Bus 0")
        x.append(x[site]), y.append(y[site]), vn.append(0.4), node.append(name)
        start.append(bus[site]), end.append(bus[-1]), kind.append("transformer"), owner.append(name), rating.append([250.0, 400.0, 630.0][i % 3])
        at = [len(bus) - 1]
        for k in range(20):
            parent = at[int(rng.integers(len(at)))]
            bus.append(f"{name} Bus {k + 1}")
            x.append(x[parent] + rng.normal(0, 0.0004)), y.append(y[parent] + rng.normal(0, 0.0003)), vn.append(0.4), node.append(name)
            start.append(bus[parent]), end.append(bus[-1]), kind.append("line"), owner.append(name), rating.append(187.0)
            at.append(len(bus) - 1)
    return {"bus": bus, "x": x, "y": y, "vn": vn, "node": node, "start": start, "end": end, "kind": kind, "owner": owner, "rating": rating}


def synthetic_dataset(seed: int = 1) -> xr.Dataset:
    """Every variable of a result, with plausible numbers."""
    rng = np.random.default_rng(seed)
    net = _network(rng)
    steps = [f"{day}T{hour:02d}:00" for day in ("2016-01-20", "2016-05-11") for hour in range(24)]
    hours = np.repeat([21.0, 345.0], 24)
    nodes = ["EHV1", "MV2.101", *sorted({n for n in net["node"] if n.startswith("LV")})]
    branches = [f"{owner} {kind.capitalize()} {i}" for i, (owner, kind) in enumerate(zip(net["owner"], net["kind"], strict=True))]
    profile = np.concatenate([0.5 + 0.5 * np.exp(-((np.arange(24) - 18.5) ** 2) / 10), 0.3 + 0.25 * np.exp(-((np.arange(24) - 19) ** 2) / 14)])
    sun = np.concatenate([0.1 * np.exp(-((np.arange(24) - 12.5) ** 2) / 8), 0.8 * np.exp(-((np.arange(24) - 12.5) ** 2) / 12)])
    stress = np.clip(rng.gamma(4.0, 11.0, len(branches)), 3, 92)
    built = np.zeros(len(branches), dtype=int)
    options = [*sorted(rng.choice(84, 9, replace=False).tolist()), 84, 84 + 21, 84 + 42]
    chosen = options[:2] + options[-1:]
    built[chosen] = 1
    stress[chosen] = [118.0, 107.0, 131.0]
    stress[options[3]] = 97.0
    net_profile = np.abs(profile - 0.6 * sun)
    today = stress[:, None] * net_profile / net_profile.max()
    plan = today * np.where(built == 1, 0.62, 0.94)[:, None]
    depth = rng.uniform(0.2, 1.0, len(net["bus"])) * np.where(np.array(net["vn"]) < 1, 1.5, 1.0)
    drop = depth[:, None] * (0.05 * profile - 0.06 * sun)
    price = 0.06 + 0.06 * profile - 0.03 * sun
    scale = rng.uniform(0.3, 1.0, len(nodes)) * np.where([n.startswith("LV") for n in nodes], 220.0, 4200.0)
    exchange = scale[:, None] * (profile - 0.9 * sun)
    prosumers = [f"{n} P{i}" for n in nodes[2:] for i in range(33)]
    category = rng.choice(["household", "business", "agriculture"], len(prosumers), p=[0.8, 0.15, 0.05])
    bill_today = rng.gamma(3.0, 420.0, len(prosumers)) * np.where(category == "business", 4, 1)
    stakeholders = ["prosumers", "DSO", "TSO and suppliers", "state"]
    money = np.zeros((len(stakeholders), len(FLOWS), len(SCENARIOS)))
    for f, (payer, payee, amounts) in enumerate(
        [
            (0, 2, (402e3, 371e3)),
            (0, 1, (131e3, 139e3)),
            (0, 3, (310e3, 283e3)),
            (0, 1, (0.0, 6e3)),
            (0, 0, (0, 0)),
            (0, 2, (9e3, 11e3)),
            (1, 2, (0.0, 14e3)),
        ]
    ):
        for s, amount in enumerate((amounts[0], amounts[0], amounts[1])):
            money[payer, f, s] -= amount
            money[payee, f, s] += amount
    real = np.zeros((len(stakeholders), 2, len(SCENARIOS)))
    real[2, 0] = 391e3, 388e3, 372e3
    real[0, 1] = 1e3, 1e3, 2e3
    energy = np.abs(rng.normal(1.0, 0.1, (len(SCENARIOS), len(nodes), len(TERMS)))) * np.array([9e4, 4e4, 6e4, 1.2e4, 2e4, 200.0, 0.0, 900.0])
    energy[:2, :, TERMS.index("peer_to_peer")] = 0.0

    def number(dims: object, values: object, unit: str, meaning: str) -> tuple:
        return dims, np.asarray(values, dtype=float), {"units": unit, "long_name": meaning}

    def text(dims: object, values: object, meaning: str) -> tuple:
        return dims, np.asarray(values, dtype=str), {"long_name": meaning}

    by_scenario = ("scenario", "branch", "period")
    variables = {
        "bus_x": number("bus", net["x"], "degree", "longitude"),
        "bus_y": number("bus", net["y"], "degree", "latitude"),
        "bus_vn_kv": number("bus", net["vn"], "kV", "nominal voltage"),
        "bus_v_min": number("bus", np.where(np.array(net["vn"]) < 1, 0.9, 0.94), "pu", "lowest permitted voltage"),
        "bus_v_max": number("bus", np.where(np.array(net["vn"]) < 1, 1.1, 1.08), "pu", "highest permitted voltage"),
        "bus_node": text("bus", net["node"], "node the bus belongs to"),
        "branch_from": text("branch", net["start"], "end towards the higher voltage"),
        "branch_to": text("branch", net["end"], "other end"),
        "branch_kind": text("branch", net["kind"], "line or transformer"),
        "branch_node": text("branch", net["owner"], "owner"),
        "branch_rating": number("branch", net["rating"], "kVA", "rating before the plan"),
        "branch_built": number("branch", built, "1", "whether the plan reinforces the branch"),
        "branch_in_service": number("branch", np.ones(len(branches)), "1", "whether it carries current"),
        "node_level": text("node", ["tso", "dso", *["platform"] * (len(nodes) - 2)], "level of the hierarchy"),
        "option_need": number("option", [stress[o] * 1.05 for o in options], "%", "loading without any response"),
        "period_hours": number("period", hours, "h/a", "hours of the year a period stands for"),
        "option_branch": text("option", [branches[o] for o in options], "branch to be reinforced"),
        "option_built": number("option", [built[o] for o in options], "1", "whether it is built"),
        "option_cost": number("option", [38e3 + 2100.0 * i if o < 84 else 14e3 for i, o in enumerate(options)], "EUR", "investment"),
        "option_annuity": number(
            "option", [(38e3 + 2100.0 * i) * 0.058 if o < 84 else 14e3 * 0.058 for i, o in enumerate(options)], "EUR/a", "annuity"
        ),
        "option_added_rating": number("option", [7300.0 if o < 84 else 380.0 for o in options], "kVA", "rating added"),
        "option_measure": text("option", ["parallel cable" if o < 84 else "630 kVA transformer" for o in options], "what is built"),
        "loading": number(by_scenario, np.stack([today, 0.99 * today, plan]), "%", "loading under AC power flow"),
        "voltage": number(
            ("scenario", "bus", "period"), np.stack([1.02 - 1.25 * drop, 1.02 - 1.2 * drop, 1.02 - drop]), "pu", "voltage under AC power flow"
        ),
        "losses": number(("scenario", "period"), np.stack([40 * net_profile**2, 38 * net_profile**2, 35 * net_profile**2]), "kW", "losses"),
        "import_price": number(("node", "period"), price + 0.01 * rng.random((len(nodes), 1)), "EUR/kWh", "published import price"),
        "export_price": number(("node", "period"), price - 0.01 + 0 * scale[:, None], "EUR/kWh", "published export price"),
        "exchange": number(
            ("scenario", "node", "period"), np.stack([exchange * 1.05, exchange * 1.04, exchange]), "kW", "power drawn from the parent"
        ),
        "exchange_integrated": number(
            ("node", "period"), exchange * (0.97 + 0.03 * np.cos(np.arange(48))), "kW", "power drawn in the integrated optimum"
        ),
        "exchange_forecast": number(("node", "period"), exchange * 1.02, "kW", "power drawn as the planner expects it"),
        "money": number(("stakeholder", "flow", "scenario"), money, "EUR/a", "money received (paid: negative)"),
        "real_cost": number(("stakeholder", "cost", "scenario"), real, "EUR/a", "real cost borne"),
        "welfare": number(("stakeholder", "scenario"), money.sum(axis=1) - real.sum(axis=1), "EUR/a", "money received less real cost borne"),
        "bill": number(
            ("scenario", "prosumer"),
            np.stack([bill_today, bill_today * 1.01, bill_today * rng.normal(0.93, 0.06, len(prosumers))]),
            "EUR/a",
            "yearly bill",
        ),
        "prosumer_node": text("prosumer", [p.split(" ")[0] for p in prosumers], "platform"),
        "prosumer_category": text("prosumer", category, "kind of customer"),
        "energy": number(("scenario", "node", "term"), energy, "kWh/a", "energy over the year"),
        "cost_of": number("mechanism", [851900.0, 856100.0, 871300.0], "EUR/a", "cost of operation"),
        "cost_bound": number((), 851200.0, "EUR/a", "lower bound of the integrated optimum"),
        "aggregation_error": number(
            ("feature", "measure"), [[0.4, -1.2, 6.1], [0.9, 0.0, 8.3], [1.7, -2.4, 9.0]], "%", "error of the representative days"
        ),
    }
    coordinates = {
        "period": steps, "day": ("period", np.repeat(["peak demand", "typical"], 24)), "node": nodes, "bus": net["bus"], "branch": branches,
        "option": [f"reinforce {branches[o]}" for o in options], "prosumer": prosumers, "stakeholder": stakeholders, "flow": list(FLOWS),
        "scenario": list(SCENARIOS), "term": list(TERMS), "mechanism": ["integrated", "pricing", "flat"],
        "cost": ["production", "wear and discomfort"],
        "feature": ["demand", "pv", "residual load"], "measure": ["energy", "peak", "duration"],
    }  # fmt: skip
    variables["scenario_title"] = text("scenario", TITLES, "scenario in plain words")
    return xr.Dataset(variables, coords=coordinates, attrs={"baseline": "conventional", "headline": "plan"})


def synthetic_summary(dataset: xr.Dataset) -> dict[str, tuple[object, str]]:
    """The summary that goes with the dataset."""
    built = dataset.option_built.values == 1
    welfare = dataset.welfare
    return {
        "system.platforms": (16, "1"),
        "system.prosumers": (dataset.sizes["prosumer"], "1"),
        "system.buses": (dataset.sizes["bus"], "1"),
        "plan.objective": (869800.0, "EUR/a"),
        "plan.bound": (865300.0, "EUR/a"),
        "plan.gap": (0.0052, "1"),
        "plan.price.network_charge": (0.0437, "EUR/kWh"),
        "existing.price.network_charge": (0.0400, "EUR/kWh"),
        "plan.investment": (float(dataset.option_cost.values[built].sum()), "EUR"),
        "plan.reinforcements": (int(built.sum()), "1"),
        "plan.deferred_investment": (88000.0, "EUR"),
        "plan.conventional_investment": (180100.0, "EUR"),
        "plan.bought_pv": (64.0, "kW"),
        "plan.certificate.follower_gap": (3.2e-9, "1"),
        "coordination.cost": (856100.0, "EUR/a"),
        "coordination.bound": (851200.0, "EUR/a"),
        "coordination.gap": (0.0057, "1"),
        "coordination.value": (19400.0, "EUR/a"),
        "coordination.value_reached": (0.783, "1"),
        "ac.existing.max_line_overload": (31.0, "%"),
        "ac.existing.max_voltage_violation": (0.0, "pu"),
        "coordination.rounds": (1, "1"),
        "coordination.messages": (17, "1"),
        "coordination.bytes": (19584, "B"),
        "ac.max_line_overload": (0.0, "%"),
        "ac.max_voltage_violation": (0.0, "pu"),
        "ledger.energy_residual": (2.3e-13, "1"),
        "ledger.money_residual": (1.1e-16, "1"),
        "assess.gain_prosumers": (
            float(welfare.sel(stakeholder="prosumers", scenario="plan") - welfare.sel(stakeholder="prosumers", scenario="conventional")),
            "EUR/a",
        ),
    }
