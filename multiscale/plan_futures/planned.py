"""A study planned in several futures: cases, plans, strategies and their tables."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from multiscale.config import ConfigError, load_config
from multiscale.config.errors import ConfigProblem
from multiscale.coordination.engine import SerialEngine, make_engine
from multiscale.pipeline.plan import make_plan, repeatable
from multiscale.pipeline.stages import Stages
from multiscale.pipeline.study_stages import Engine, Study
from multiscale.plan_futures.futures import Future
from multiscale.plan_futures.measures import Measure
from multiscale.plan_futures.strategies import Place, strategies
from multiscale.plan_futures.tables import built_table, cost_table, future_table, value_table
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.no_plan import Relaxation
from multiscale.planning.persistence import Restriction
from multiscale.planning.regimes import ComparingRegime, Social
from multiscale.planning.settings import DsoPlanSettings
from multiscale.planning.stage_weights import stage_weights
from multiscale.results.data.answer_data import StudyCase
from multiscale.results.run.progress import Progress
from multiscale.system import InvalidSystemError

logger = logging.getLogger(__name__)


def planned_futures(
    overrides: Sequence[str], futures: Sequence[Future], revealed: int | None, measure: Measure = Measure()
) -> dict[str, pd.DataFrame]:
    """Tables of a study planned in several futures: ``strategies``, ``worth``, ``futures``, ``built``.

    Days and options are those of the future that needs most in its last year without response. Plans hold the limits of the linear network models.

    Args:
        overrides: of the study.
        futures: of them.
        revealed: first year in which the planner knows the future; default: the second.
        measure: what is minimised over the futures.

    Raises:
        ConfigError: the configuration has problems.
        InvalidSystemError: the data have problems.
        NoPlanError: some year of some future has no plan, or none that keep to each other.
    """
    configs = {f.name: load_config([*overrides, *f.overrides]) for f in futures}
    config = next(iter(configs.values()))
    years, planning = config.horizon.years, config.planning
    if len(years) < 2:
        raise ConfigError(
            [ConfigProblem("horizon.years", str(list(years)), "is one year; waiting takes several, e.g. horizon.years=[2030,2035,2040]")]
        )
    if not isinstance(planning, DsoPlanSettings):
        kind = config.record().config["planning"]["kind"]
        raise ConfigError([ConfigProblem("planning", kind, "plans no distribution network over several years; use planning=dso")])
    known_from = years[1] if revealed is None else revealed
    if known_from not in years[1:]:
        later = ", ".join(map(str, years[1:]))
        raise ConfigError([ConfigProblem("--revealed", str(known_from), f"is no year after the first; give one of {later}", "command line")])
    if isinstance(config.regime, ComparingRegime):
        message = "has plans that depend on each other, which strategies do not plan together; use another regime, or multiscale run"
        raise ConfigError([ConfigProblem("regime", config.regime.kind, message)])
    if not isinstance(config.regime, Social):
        logger.warning("regime %s: what is minimised is the %s; below zero it is a profit", config.regime.kind, config.regime.called)
    progress = Progress(["build", "plan"])
    # Every case warns of its days; they are summed up.
    of_cases = logging.getLogger("multiscale.pipeline.case")
    level = of_cases.level
    of_cases.setLevel(logging.ERROR)
    kept = Stages(config.output.stage_folder, config.output.reuse)
    studies = {name: Study(c, c.record().inputs, kept, progress, SerialEngine) for name, c in configs.items()}
    with progress.stage("build") as stage:
        stage.update("last year")
        last = {name: study.build(years[-1], None) for name, study in studies.items()}
        decisive = last[max(last, key=lambda name: _needed(last[name].value))]
        cases = {(year, name): study.build(year, decisive) for name, study in studies.items() for year in years}
    of_cases.setLevel(level)
    wrong = [problem for (_, name), case in cases.items() for problem in configs[name].market.problems(case.value.fleets)]
    if wrong:
        raise InvalidSystemError(dict.fromkeys(wrong))
    warned = [f"{year} {name}: {warning}" for (year, name), case in cases.items() for warning in case.value.warnings]
    if warned:
        logger.warning("representative days: %d warnings, the first of %s; more days (horizon.days) come closer", len(warned), warned[0])
    with progress.stage("plan") as stage, contextlib.ExitStack() as opened:
        expected = {key: studies[key[1]].expected(case) for key, case in cases.items()}
        started: list[Engine] = []

        def engine() -> Engine:
            if not started:
                made = make_engine(config.engine, config.solver)
                opened.enter_context(made)
                started.append(made)
            return started[0]

        def plans_of(nodes: Mapping[Place, Restriction]) -> dict[Place, Plan | NoPlanError]:
            """Plans of independent nodes on the workers of the engine; what is known already is read."""
            given = {
                f"{dso} {year} {future}": studies[future].plan_inputs(dso, cases[year, future], expected[year, future], restriction)
                for (dso, year, future), restriction in nodes.items()
            }

            def compute(missing: Mapping[str, Mapping[str, object]]) -> dict[str, tuple[float, Plan | NoPlanError]]:
                found = engine().map(planned_by_worker, {label: (dict(values),) for label, values in missing.items()})
                return {label: (seconds, one if isinstance(one, Plan) else NoPlanError(*one)) for label, (seconds, one) in found.items()}

            found = kept.run_each("plan", compute, given, keep=lambda plan: isinstance(plan, Plan) and repeatable(plan))
            return dict(zip(nodes, found.values(), strict=True))

        dsos, rate = decisive.value.system.at_level("dso"), config.costs.discount_rate
        found = strategies(years, futures, dsos, plans_of, planning, rate, known_from, stage.update, measure)
    weights, called = stage_weights(years, rate), config.regime.called
    return {
        "strategies": cost_table(found, futures, weights, called),
        "worth": value_table(found),
        "futures": future_table(found, futures, weights, called),
        "built": built_table(found),
    }


def planned_by_worker(given: Mapping[str, Any]) -> tuple[float, Plan | tuple[str, str, Relaxation | None]]:
    """Seconds, and a plan, or what a ``NoPlanError`` is made of; an error of a task would end all others."""
    started = time.perf_counter()
    try:
        made: Plan | tuple[str, str, Relaxation | None] = make_plan(**given)
    except NoPlanError as error:
        made = error.status, str(error), error.relaxation
    return time.perf_counter() - started, made


def _needed(case: StudyCase) -> float:
    """What planning without any response would invest [EUR]."""
    return sum(need.investment(case.system.options) for need in case.need.values())
