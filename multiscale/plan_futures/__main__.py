"""Plans under uncertain futures: ``python -m multiscale.plan_futures --futures FILE [--revealed YEAR] [--output FOLDER] [overrides]``.

Plans every year (``horizon.years``) of every future with the engine of the study, links them by what a planner may know when it decides
(``multiscale.plan_futures.strategies``), and prints what each strategy costs with its proven bound, what waiting and knowing are worth, the regret in
every future, and what is built when. Days and options are those of the future that needs most in its last year without response. Plans hold
the limits of the linear network models; ``multiscale run`` with the overrides of a future checks one under AC power flow.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from multiscale.config import ConfigError, load_config
from multiscale.config.errors import ConfigProblem
from multiscale.coordination.engine import SerialEngine
from multiscale.pipeline.linked_years import stage_weights
from multiscale.pipeline.stages import Stages
from multiscale.pipeline.study_stages import Study
from multiscale.plan_futures.futures import Future, read_futures
from multiscale.plan_futures.strategies import strategies
from multiscale.plan_futures.tables import built_table, cost_table, future_table, value_table
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.persistence import Restriction
from multiscale.planning.settings import DsoPlanSettings
from multiscale.results.data.answer_data import StudyCase
from multiscale.results.run.progress import Progress
from multiscale.spreadsheets import without_formulas
from multiscale.system import InvalidSystemError


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, print the tables, and write them as CSV; 2 for bad input, 3 where there is no plan."""
    every = list(sys.argv[1:] if arguments is None else arguments)
    overrides = [a for a in every if "=" in a and not a.startswith("--")]
    given = _parser().parse_args([a for a in every if a not in overrides])
    try:
        return _planned(overrides, read_futures(given.futures), given.revealed, given.output)
    except (ConfigError, InvalidSystemError) as error:
        print(error, file=sys.stderr)
        return 2
    except NoPlanError as error:
        print(error, file=sys.stderr)
        return 3


def _planned(overrides: Sequence[str], futures: Sequence[Future], revealed: int | None, output: Path) -> int:
    configs = {f.name: load_config([*overrides, *f.overrides, "engine=serial"]) for f in futures}
    config = next(iter(configs.values()))
    years, planning = config.horizon.years, config.planning
    if len(years) < 2:
        raise ConfigError(
            [ConfigProblem("horizon.years", str(list(years)), "is one year; waiting takes several, e.g. horizon.years=[2030,2035,2040]")]
        )
    if not isinstance(planning, DsoPlanSettings):
        raise ConfigError([ConfigProblem("planning", "none", "plans nothing; use planning=dso")])
    known_from = years[1] if revealed is None else revealed
    progress = Progress(["build", "plan"])
    # Every case warns of its days; they are summed up.
    logging.getLogger("multiscale.pipeline.case").setLevel(logging.ERROR)
    kept = Stages(config.output.stage_folder, config.output.reuse)
    studies = {name: Study(c, c.record().inputs, kept, progress, SerialEngine) for name, c in configs.items()}
    with progress.stage("build") as stage:
        stage.update("last year")
        last = {name: study.build(years[-1], None) for name, study in studies.items()}
        decisive = last[max(last, key=lambda name: _needed(last[name].value))]
        cases = {(year, name): study.build(year, decisive) for name, study in studies.items() for year in years}
    warned = [f"{year} {name}: {warning}" for (year, name), case in cases.items() for warning in case.value.warnings]
    if warned:
        print(f"representative days: {len(warned)} warnings, the first of {warned[0]}; more days (horizon.days) come closer", file=sys.stderr)
    with progress.stage("plan") as stage:
        expected = {key: studies[key[1]].expected(case) for key, case in cases.items()}

        def plan_of(dso: str, year: int, future: str, restriction: Restriction) -> Plan:
            return studies[future].plan_of(dso, cases[year, future], expected[year, future], restriction)

        dsos, rate = decisive.value.system.at_level("dso"), config.costs.discount_rate
        found = strategies(years, futures, dsos, plan_of, planning, rate, known_from, stage.update)
    tables = {
        "strategies": cost_table(found),
        "worth": value_table(found),
        "futures": future_table(found, futures, stage_weights(years, rate)),
        "built": built_table(found),
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        without_formulas(table).to_csv(output / f"{name}.csv", index=False)
        print(table.to_string(index=False, float_format=lambda v: f"{v:,.2f}", na_rep="-"), output / f"{name}.csv", sep="\n", end="\n\n")
    return 0


def _needed(case: StudyCase) -> float:
    """What planning without any response would invest [EUR]."""
    return sum(need.investment(case.system.options) for need in case.need.values())


def _parser() -> argparse.ArgumentParser:
    layout, usage = argparse.RawDescriptionHelpFormatter, "%(prog)s --futures FILE [options] [overrides]"
    parser = argparse.ArgumentParser(prog="python -m multiscale.plan_futures", usage=usage, description=__doc__, formatter_class=layout)
    parser.add_argument("--futures", type=Path, required=True, help="YAML file of the futures, their probabilities and overrides")
    parser.add_argument("--revealed", type=int, default=None, help="first year in which the planner knows the future; default: the second year")
    parser.add_argument("--output", type=Path, default=Path("futures"), help="folder for the tables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
