"""The command: all scenarios of the study, Tables 3-5 next to the published ones."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from multiscale.devices import Photovoltaics

from .market_year import market_year
from .measures import community_costs, measures
from .participants import hourly_profiles, participants
from .published import LOCAL_PRICE, S6_OF_TABLE_2, SCENARIOS
from .returns import returns
from .tables import compared, contradictions, of_returns, orderings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run scenarios and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m studies.rafina_pikermi", description="The local market of Rafina-Pikermi over a year.")
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS), help="which of them (default: all)")
    parser.add_argument("--trade-cost", type=float, default=LOCAL_PRICE, help="g_com: cost of each kWh traded inside, both sides [EUR/kWh]")
    parser.add_argument("--days-in-view", type=int, default=2, help="days of each program, of which the first is kept")
    parser.add_argument("--s6-of-table-2", action="store_true", help="S6 with 20 %% flexibility of members (Table 2) in place of 30 %% (Tables 3-5)")
    parser.add_argument("--pv-cost", type=float, default=Photovoltaics().investment, help="investment in photovoltaics [EUR/kW]")
    given = parser.parse_args(arguments)
    if not 0 <= given.trade_cost <= 0.2:
        parser.error(f"--trade-cost {given.trade_cost:g} EUR/kWh; give one between 0 and 0.2")
    if not 1 <= given.days_in_view <= 14:
        parser.error(f"--days-in-view {given.days_in_view}; give 1 to 14 days")
    if not 0 < given.pv_cost <= 10_000:
        parser.error(f"--pv-cost {given.pv_cost:g} EUR/kW; give one above 0, up to 10000")
    began, profiles, plant = time.perf_counter(), hourly_profiles(), Photovoltaics(investment=given.pv_cost)
    results, money, gap = {}, {}, 0.0
    for name in given.scenarios:
        scenario = SCENARIOS[name]
        if name == "S6" and given.s6_of_table_2:
            scenario = replace(scenario, flexibility=S6_OF_TABLE_2)
        everyone = participants(scenario, profiles)
        year = market_year(everyone, trade_cost=given.trade_cost, days_in_view=given.days_in_view)
        results[name], money[name], gap = measures(everyone, year), returns(everyone, year, plant), max(gap, year.gap)
        paid, joint = community_costs(year)
        alone = sum(m.without for m in results[name].values())
        with_it = f"{paid:,.0f} EUR/a with it, {100 * (alone - paid) / alone:.1f} % less ({joint:,.0f} EUR/a at one meter)"
        write(f"{name}: all participants pay {alone:,.0f} EUR/a without the market, {with_it}")
    for line in compared(results):
        write(line)
    write("\nPublished orderings (scenarios from the smaller value to the larger one)")
    for words, here, there in orderings(results):
        write(f"  {'holds' if here else 'does not hold':14} {words}{'' if there else '   (nor in the published values)'}")
    for line in [*contradictions(results), *of_returns(money)]:
        write(line)
    write(f"\n{len(results)} scenarios, every day optimal to a relative gap of {gap:.1e}; {time.perf_counter() - began:.0f} s")
    return 0


def write(line: str) -> None:
    """One line of the answer."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
