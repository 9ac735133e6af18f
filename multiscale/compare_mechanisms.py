"""Mechanisms that need little or no communication, compared on one system: ``python -m multiscale.compare_mechanisms WHAT [options] [overrides]``.

    signals       what to publish: share of the value of coordination reached by every signal at every forecast error
    curves        value, messages and bytes of every mechanism at every forecast error, each played forward hour by hour
    simulation    consecutive days played forward: imbalance, AC violations, welfare of every stakeholder, by mechanism
    uncertainty   cost of covering forecast errors by agreement, against every level hedging alone, by correlation

Overrides are those of ``multiscale run``. Every table is written as CSV, with a figure beside it, into ``--output``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from multiscale.assessment import settle_day
from multiscale.config import load_config
from multiscale.coordination.agreement import Agreement, Level, agree
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.forecast import ErrorModel
from multiscale.coordination.hybrid import HybridPolicy
from multiscale.coordination.predictive import PredictivePolicy, learn_from_past, retail
from multiscale.coordination.prepared import PreparedDay, prepare_days
from multiscale.coordination.pricing import Publication, pricing
from multiscale.coordination.published import FlatPolicy, PublishedPolicy
from multiscale.coordination.simulation import PlayedDay, Policy, play_days
from multiscale.operation import Design
from multiscale.study import adoption_limits, build_case, forecast_prices, make_plans
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_verify
from multiscale.verification.injections import bus_injections

if TYPE_CHECKING:
    from multiscale.config import StudyConfig

SLOPE = 0.0005
"""Price on leaving a plan [EUR/kWh], as in the main study."""


def prepared_case(config: StudyConfig, span: Sequence[pd.Timestamp] = ()) -> list[PreparedDay]:
    """The days of a study under its plan, or a span of other days under the same plan, ready for any mechanism."""
    case = build_case(config)
    energy_price, transmission = forecast_prices(case)
    plans = make_plans(config, case, energy_price)
    built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
    # Where nothing is planned, every kWh pays its part of the existing network.
    charges = dict.fromkeys(case.system.at_level("dso"), case.economics.existing_network_cost) | {d: plan.charge for d, plan in plans.items()}
    horizon = Horizon(tuple(span), (1.0,) * len(span), case.horizon.step_hours) if span else case.horizon
    fleets = {}
    for p in case.system.at_level("platform"):
        fleet = case.system.fleet(p, horizon)
        pv, battery = next((plan.bought[p] for plan in plans.values() if p in plan.bought), (0.0, 0.0))
        if pv > 1e-6 or battery > 1e-6:
            fleet = fleet.with_more(pv, battery, adoption_limits(fleet, horizon, case.system).pv_yield)
        fleets[p] = fleet
    known = None if span else transmission
    design = Design(built, charges)
    return prepare_days(case.system, horizon, case.economics, fleets, design, SerialEngine(), limits=case.limits, known=known)


def signals_table(days: Sequence[PreparedDay], errors: Sequence[float], seeds: int, scenarios: int) -> pd.DataFrame:
    """Share of the value reached by every published signal; platforms know themselves, their parents' forecast is wrong."""
    kinds: dict[str, dict[str, object]] = {
        "price": {"signal": "price"},
        "price and gap": {"signal": "gap", "gap": 0.002},
        "price, plan, slope": {"signal": "profile", "slope": SLOPE},
        "expected price, gap, plan, slope": {"signal": "probabilistic", "slope": SLOPE, "scenarios": scenarios},
        "hedged price, plan, slope": {"signal": "hedged", "slope": SLOPE},
    }
    rows = []
    bound = sum(day.optimum.bound for day in days)
    for error in errors:
        for name, settings in kinds.items():
            for seed in range(seeds if error > 0 else 1):
                found = pricing(days, SerialEngine(), forecast_error=error, forecast_seed=seed, **settings)  # type: ignore[arg-type]
                cost, flat = (sum(day[m].cost for day in found) for m in ("pricing", "flat"))
                rows.append((name, error, seed, cost, (flat - cost) / (flat - bound)))
                print(f"{name}, error {error:g}, seed {seed}: {rows[-1][-1]:.4f}", file=sys.stderr)
    return pd.DataFrame(rows, columns=["signal", "forecast error", "seed", "cost", "value reached"])


def policies(days: Sequence[PreparedDay], error: ErrorModel, history: int, scenarios: int) -> Iterator[tuple[str, Policy]]:
    """Every mechanism, as a policy of the simulation."""
    yield "flat", FlatPolicy()
    yield "published, plan", PublishedPolicy(Publication("profile", slope=SLOPE))
    yield "published, expected", PublishedPolicy(Publication("probabilistic", slope=SLOPE, scenarios=scenarios))
    yield "published, hedged", PublishedPolicy(Publication("hedged", slope=SLOPE))
    first = days[0]
    for kind in ("explicit", "learned"):
        known = learn_from_past(first.model, retail(first), kind=kind, days=history, variation=0.15, slope=SLOPE, seed=error.seed)
        yield f"predictive, {kind}", PredictivePolicy(known, SLOPE)
    step = first.tree.horizon.step_hours
    for hours in (12.0, 6.0, 3.0):
        known = learn_from_past(first.model, retail(first), kind="explicit", days=history, variation=0.15, slope=SLOPE, seed=error.seed)
        yield f"hybrid, {hours:g} h", HybridPolicy(known, max(round(hours / step), 1), SLOPE)


def curves_table(days: Sequence[PreparedDay], errors: Sequence[float], seeds: int, history: int, scenarios: int) -> pd.DataFrame:
    """Value, messages and bytes of every mechanism; each day is played alone, with what was learned from days like it."""
    rows = []
    for error in errors:
        for seed in range(seeds if error > 0 else 1):
            model = ErrorModel(error, seed=seed)
            found: dict[str, list[PlayedDay]] = {}
            for day in days:
                for name, policy in policies([day], model, history, scenarios):
                    found.setdefault(name, []).extend(play_days([day], policy, model))
                    print(f"{name}, error {error:g}, seed {seed}, {day.name}: {found[name][-1].outcome.cost:.0f}", file=sys.stderr)
            bound = sum(day.optimum.bound for day in days)
            flat = sum(p.outcome.cost for p in found["flat"])
            for name, played in found.items():
                cost = sum(p.outcome.cost for p in played)
                traffic = [p.outcome.traffic for p in played]
                per_day = 1.0 / len(days)
                messages, size = (per_day * sum(getattr(t, a) for t in traffic) for a in ("messages", "bytes"))
                rows.append((name, error, seed, cost, (flat - cost) / (flat - bound), messages, size))
    return pd.DataFrame(rows, columns=["mechanism", "forecast error", "seed", "cost", "value reached", "messages a day", "bytes a day"])


def simulation_table(days: Sequence[PreparedDay], error: ErrorModel, history: int, scenarios: int) -> pd.DataFrame:
    """Consecutive days under every mechanism: cost, imbalance, AC violations and welfare, in sums over the span."""
    rows = {}
    for name, policy in policies(days, error, history, scenarios):
        played = play_days(days, policy, error)
        row = {"cost [EUR]": sum(p.outcome.cost for p in played), "bound [EUR]": sum(p.outcome.bound for p in played)}
        hours = days[0].tree.horizon.hours_per_year
        row["imbalance day ahead [MWh]"] = sum(p.imbalance(hours) for p in played) / 1e3
        row["imbalance a step ahead [MWh]"] = sum(p.imbalance(hours, before=True) for p in played) / 1e3
        row["messages"] = sum(p.outcome.traffic.messages for p in played)
        row |= _violations(days, played)
        for day, p in zip(days, played, strict=True):
            welfare = settle_day(day.tree, p.outcome).arrays().welfare
            for who in welfare.stakeholder.values.tolist():
                row[f"welfare of {who} [EUR]"] = row.get(f"welfare of {who} [EUR]", 0.0) + float(welfare.sel(stakeholder=who))
        rows[name] = row
        print(f"{name}: {row['cost [EUR]']:.0f} EUR", file=sys.stderr)
    return pd.DataFrame(rows).T.rename_axis("mechanism").reset_index()


def _violations(days: Sequence[PreparedDay], played: Sequence[PlayedDay]) -> dict[str, float]:
    """AC power flow of every period of every day: periods with a violation, largest overload [%] and voltage violation [pu]."""
    periods, overload, voltage = 0, 0.0, 0.0
    for day, p in zip(days, played, strict=True):
        options = day.tree.system.options
        added = {
            str(options.branch.values[k]): float(options.added_rating_kva.values[k])
            for k, option in enumerate(options.option.values.tolist())
            if day.tree.design.built.get(option, False)
        }
        hit: set[str] = set()
        for dso in day.tree.distribution:
            nodes = [dso, *day.tree.system.children(dso)]
            checked = ac_verify(day.tree.system, nodes, day.tree.horizon, bus_injections(day.tree, p.outcome, [dso]), added)
            hit |= set(checked.violations["period"].tolist())
            overload, voltage = max(overload, checked.max_line_overload), max(voltage, checked.max_voltage_violation)
        periods += len(hit)
    return {"periods with an AC violation": periods, "largest overload [%]": overload, "largest voltage violation [pu]": voltage}


def uncertainty_levels(day: PreparedDay, error: ErrorModel, period: int) -> list[Level]:
    """TSO, DSOs and platforms with their errors and what they can hold against them in one period.

    Platforms hold their batteries' power at twice the wear; the TSO the headroom of its generators, each at its distance from the price
    (what it forgoes or costs more), 5 EUR/MWh at least; the last resort everywhere is cutting off at the value of lost load.
    """
    tree, size = day.tree, error.size
    voll, wear = tree.economics.value_of_lost_load, 2.0 * tree.economics.battery_wear

    def deviation(demand: np.ndarray, generation: np.ndarray) -> float:
        return float(size * np.hypot(demand.sum(), generation.sum()))

    network = tree.transmission
    generators = tree.system.generators
    drawn = np.array([day.forecast.exchange[d] for d in network.children]).reshape(len(network.children), -1)
    dispatch = network.dispatch(drawn)
    price = float(np.mean([day.forecast.energy_price[d][period] for d in network.children]))
    room = np.maximum(network.largest_output[:, period] - dispatch.generation[:, period], 0.0)
    apart = np.maximum(np.abs(generators.cost_eur_per_kwh.values - price), 0.005)
    top = tree.system.top
    own = deviation(network.demand[:, period], network.renewable[:, period])
    levels = [Level(top, "", own, np.append(room, np.inf), np.append(apart, voll))]
    for dso in tree.distribution:
        passive = tree.system.passive(dso, tree.horizon)
        own = deviation(passive.demand.values[:, period], passive.generation.values[:, period])
        levels.append(Level(dso, top, own, np.array([np.inf]), np.array([voll])))
    for dso, network_of in tree.distribution.items():
        for p in network_of.children:
            data = tree.fleets[p].data
            own = deviation((data.demand + data.ev + data.heat_pump).values[:, period], data.pv.values[:, period])
            levels.append(Level(p, dso, own, np.array([float(data.battery_power.sum()), np.inf]), np.array([wear, voll])))
    return levels


def uncertainty_table(day: PreparedDay, error: ErrorModel, correlations: Sequence[float]) -> pd.DataFrame:
    """Cost of covering two standard deviations over the day [EUR]: by agreement, and every level alone."""
    rows = []
    step = day.tree.horizon.step_hours
    for rho in correlations:
        found: list[Agreement] = []
        for t in range(day.tree.horizon.periods):
            levels = uncertainty_levels(day, error, t)
            below = {level.name: 1 + sum(other.parent == level.name for other in levels) for level in levels}
            matrices = {n: (1.0 - rho) * np.eye(k) + rho * np.ones((k, k)) for n, k in below.items() if k > 1}
            found.append(agree(levels, matrices))
        cost, bound, alone = (step * sum(getattr(a, name) for a in found) for name in ("cost", "bound", "alone"))
        rows.append((rho, cost, bound, alone, cost / alone))
    return pd.DataFrame(rows, columns=["correlation", "by agreement [EUR]", "bound [EUR]", "alone [EUR]", "share"])


def figure(table: pd.DataFrame, what: str, path: Path) -> None:
    """The table as a picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    drawing, axes = plt.subplots(1, 2 if what == "curves" else 1, figsize=(10 if what == "curves" else 6, 4), squeeze=False)
    left = axes[0, 0]
    if what in ("signals", "curves"):
        who = "signal" if what == "signals" else "mechanism"
        for name, part in table[table[who] != "flat"].groupby(who, sort=False):
            mean = part.groupby("forecast error")["value reached"].mean()
            left.plot(100 * mean.index, 100 * mean, marker="o", label=name)
        left.set(xlabel="forecast error [%]", ylabel="value of coordination reached [%]")
        left.legend(fontsize=7)
    if what == "curves":
        right = axes[0, 1]
        for name, part in table[table["forecast error"] == table["forecast error"].max()].groupby("mechanism", sort=False):
            right.scatter(part["messages a day"].mean(), 100 * part["value reached"].mean(), label=name)
        right.set(xlabel="messages a day", ylabel=f"value reached [%] at {100 * table['forecast error'].max():g} % error")
        right.set_xscale("symlog", linthresh=10)
        right.legend(fontsize=7)
    if what == "simulation":
        left.barh(table["mechanism"], table["cost [EUR]"] - table["bound [EUR]"])
        left.set(xlabel="cost above the bound [EUR]")
    if what == "uncertainty":
        left.plot(table["correlation"], table["by agreement [EUR]"], marker="o", label="by agreement")
        left.plot(table["correlation"], table["alone [EUR]"], marker="o", label="every level alone")
        left.set(xlabel="correlation of forecast errors", ylabel="cost of covering them [EUR/d]", yscale="log")
        left.legend()
    drawing.tight_layout()
    drawing.savefig(path, dpi=130)
    plt.close(drawing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one comparison, print its table, and write it with its figure."""
    layout = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m multiscale.compare_mechanisms", description=__doc__, formatter_class=layout)
    parser.add_argument("what", choices=("signals", "curves", "simulation", "uncertainty"))
    parser.add_argument("--errors", type=float, nargs="+", default=[0.0, 0.1], help="standard deviations of relative forecast errors")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the errors, averaged")
    parser.add_argument("--history", type=int, default=10, help="past days platforms have learned from")
    parser.add_argument("--scenarios", type=int, default=10, help="scenarios of the expected prices")
    parser.add_argument("--first-day", default="2016-01-18", help="of the simulation")
    parser.add_argument("--days", type=int, default=3, help="length of the simulation")
    parser.add_argument("--output", type=Path, default=Path("comparison"), help="folder for the table and the figure")
    parser.add_argument("overrides", nargs="*", help="as of multiscale run, e.g. study=tiny")
    given = parser.parse_intermixed_args(arguments)
    config = load_config([*given.overrides, "engine=serial"])
    error = ErrorModel(max(given.errors), seed=0)
    if given.what == "simulation":
        span = list(pd.date_range(given.first_day, periods=given.days))
        table = simulation_table(prepared_case(config, span), error, given.history, given.scenarios)
    else:
        days = prepared_case(config)
        if given.what == "signals":
            table = signals_table(days, given.errors, given.seeds, given.scenarios)
        elif given.what == "curves":
            table = curves_table(days, given.errors, given.seeds, given.history, given.scenarios)
        else:
            table = uncertainty_table(days[0], error, [0.0, 0.25, 0.5, 0.7, 0.9, 1.0])
    given.output.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.output / f"{given.what}.csv", index=False)
    figure(table, given.what, given.output / f"{given.what}.png")
    shown = table
    if "seed" in table:
        keys = [c for c in ("signal", "mechanism", "forecast error") if c in table]
        shown = table.drop(columns="seed").groupby(keys, sort=False).mean().reset_index()
    print(shown.to_string(index=False, float_format=lambda v: f"{v:.4g}"))
    print(given.output / f"{given.what}.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
