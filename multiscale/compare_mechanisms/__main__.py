"""Coordination mechanisms compared on one system: ``python -m multiscale.compare_mechanisms WHAT [options] [overrides]``.

    signals       what to publish: share of the value of coordination reached by every signal in every draw of the forecast error
    curves        gap x rounds x number of DSOs of the negotiation; value x messages x forecast error of every mechanism, played forward
    simulation    consecutive days played forward: imbalance, AC violations, welfare of every stakeholder, by mechanism
    prediction    value of prediction and hybrid on hidden days played in a row, learned from the calendar days before them
    feeder        import and export prices of the DSOs' networks from a probabilistic dispatch: gap, surplus, limits kept, by forecast error
    uncertainty   cost of reserves for forecast errors by agreement, against every level hedging alone, by correlation

Overrides are those of ``multiscale run``, e.g. ``study=tiny``. Every table is written as CSV, with a figure, into ``--output``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from multiscale.compare_mechanisms.case import prepared_case
from multiscale.compare_mechanisms.curves import curves_table
from multiscale.compare_mechanisms.feeder import feeder_table
from multiscale.compare_mechanisms.figures import draw
from multiscale.compare_mechanisms.many_dsos import rounds_table
from multiscale.compare_mechanisms.signals import signals_table, summarised
from multiscale.compare_mechanisms.simulation import simulation_table
from multiscale.compare_mechanisms.uncertainty import uncertainty_table
from multiscale.compare_mechanisms.unseen_days import reached, unseen_days_table
from multiscale.config import load_config
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.publication.pricing import SIGNALS
from multiscale.coordination.uncertainty.agreement import COVERAGE
from multiscale.spreadsheets import without_formulas


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one comparison, print its tables, and write them with their figure."""
    every = list(sys.argv[1:] if arguments is None else arguments)
    # Overrides may stand anywhere, also after an option that takes several values.
    overrides = [a for a in every if "=" in a and not a.startswith("--")]
    parser = _parser()
    given = parser.parse_args([a for a in every if a not in overrides])
    config = load_config([*overrides, "engine=serial"])
    error = ErrorModel(max(given.errors), seed=0)
    dates = [pd.Timestamp(d) for d in given.dates]
    if len(given.seeds) not in (1, len(given.errors)):
        parser.error(f"--seeds has {len(given.seeds)} numbers for {len(given.errors)} errors; give one for all, or one for each")
    draws = given.seeds * len(given.errors) if len(given.seeds) == 1 else given.seeds
    tables: dict[str, pd.DataFrame] = {}
    shown: dict[str, pd.DataFrame] = {}
    history, longest = given.history[0], max(given.history)
    if given.what == "simulation":
        span = prepared_case(config, [pd.Timestamp(given.first_day)], history=history, in_a_row=given.days)[0]
        tables["simulation"] = simulation_table(span, error, history)
    elif given.what == "uncertainty":
        tables["uncertainty"] = uncertainty_table(prepared_case(config, dates, COVERAGE * error.size)[0], error, [0.0, 0.5, 0.7, 1.0])
    elif given.what == "feeder":
        tables["feeder"] = feeder_table(prepared_case(config, dates)[0], given.errors, seed=given.first_seed)
    elif given.what == "prediction":
        spans = prepared_case(config, dates or [pd.Timestamp(given.first_day)], history=longest, in_a_row=given.days)
        tables["prediction"] = unseen_days_table(spans, given.history, error, given.periods)
        shown["prediction"] = reached(tables["prediction"])
    elif given.what == "signals":
        seeds = [range(given.first_seed, given.first_seed + n) for n in draws]
        tables["signals"] = signals_table(prepared_case(config, dates), given.errors, seeds, given.signals)
        shown["signals"] = summarised(tables["signals"])
    else:
        tables["rounds"] = rounds_table("hard", given.dsos)
        shown["rounds"] = tables["rounds"].pivot(index="DSOs", columns="round", values="gap").reset_index()
        tables["curves"] = curves_table(prepared_case(config, dates, history=history), given.errors, draws, history)
        by = tables["curves"].groupby(["mechanism", "forecast error"], sort=False)
        value = by["value reached"].agg(["mean", "min", "max", "count"]).set_axis(["value reached", "worst", "best", "draws"], axis=1)
        shown["curves"] = value.join(by[["messages a day", "bytes a day"]].mean()).reset_index()
    given.output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        without_formulas(table).to_csv(given.output / f"{name}.csv", index=False)
        print(shown.get(name, table).to_string(index=False, float_format=lambda v: f"{v:.4g}"))
        print(given.output / f"{name}.csv")
    draw(tables, given.what, given.output / f"{given.what}.png")
    return 0


def _parser() -> argparse.ArgumentParser:
    layout, name = argparse.RawTextHelpFormatter, "python -m multiscale.compare_mechanisms"
    usage = "%(prog)s {signals,curves,simulation,prediction,feeder,uncertainty} [options] [overrides]"
    parser = argparse.ArgumentParser(prog=name, usage=usage, description=__doc__, formatter_class=layout)
    parser.add_argument("what", choices=("signals", "curves", "simulation", "prediction", "feeder", "uncertainty"))
    parser.add_argument("--errors", type=float, nargs="+", default=[0.0, 0.1], help="standard deviations of relative forecast errors")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3], help="draws of the errors: one number for all, or one for each")
    parser.add_argument("--first-seed", type=int, default=0, help="of the draws, in the comparison of signals and of feeders")
    parser.add_argument("--signals", nargs="+", default=[], choices=SIGNALS, help="of the comparison of signals; default: all")
    parser.add_argument("--dsos", type=int, nargs="+", default=[1, 2, 4, 8, 16, 28], help="numbers of distribution systems, of the curves")
    parser.add_argument("--history", type=int, nargs="+", default=[10], help="calendar days platforms have learned from (several: prediction only)")
    parser.add_argument("--dates", nargs="+", default=[], metavar="DATE", help="days to compare on instead of those of the study")
    parser.add_argument("--first-day", default="2016-01-18", help="of the days in a row of simulation; of prediction, where no --dates begin them")
    parser.add_argument("--days", type=int, default=3, help="number of days in a row of simulation and prediction")
    parser.add_argument("--periods", type=float, nargs="+", default=[24.0], help="hours between negotiations of the hybrid, of prediction")
    parser.add_argument("--output", type=Path, default=Path("comparison"), help="folder for the tables and the figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
