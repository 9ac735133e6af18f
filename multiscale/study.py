"""One study: which stages, in which order."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from multiscale.coordination.engine import TaskError, make_engine
from multiscale.pipeline.assessment import check_certificates, reservations
from multiscale.pipeline.linked_years import reservations_of_stages
from multiscale.pipeline.stages import Stages
from multiscale.pipeline.study_stages import STAGES, Engine, Study
from multiscale.pipeline.study_years import year_answers
from multiscale.planning import Plan
from multiscale.planning.settings import DsoPlanSettings
from multiscale.programs import SolverSettings, SolverTimeLimitError, limits_in_force
from multiscale.results.data.answer_data import YearAnswer
from multiscale.results.data.ledger_rows import ledger_blocks
from multiscale.results.data.market_summary import device_statements, market_statements
from multiscale.results.data.study_dataset import study_dataset
from multiscale.results.data.study_summary import study_summary
from multiscale.results.report.drawn import drawn_sections, read_by_sections
from multiscale.results.report.page import write_report
from multiscale.results.run.run_folder import NoAnswerError, RunFolder
from multiscale.results.run.run_result import RunResult

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def run_study(config: StudyConfig) -> RunResult:
    """Run a study and write its folder. Stages that this or another run has computed from the same input are read.

    Raises:
        InvalidSystemError: the data has problems; all are listed.
        NoAnswerError: no plan satisfies the conditions, or none was found in time; or a program reached ``solver.time_limit_s``.
        RunFolderError: the output folder cannot be written.
    """
    record = config.record()
    with RunFolder.create(record) as run, _one_thread(), _within_limits(config.solver), _engine_when_needed(config) as engine:
        run.progress.announce([*STAGES, "write", "report"])
        stages = Stages(config.output.stage_folder, config.output.reuse)
        study = Study(config, record.inputs, stages, run.progress, engine)
        answers = year_answers(study)
        with run.progress.stage("assess"):
            for answer in answers:
                check_certificates(answer)
            reasons = [reason for answer in answers for reason in _dated(reservations(answer), answer, answers)]
            dataset, summary = study_dataset(answers), study_summary(answers, study.staged)
            if study.staged is not None and isinstance(config.planning, DsoPlanSettings):
                reasons += reservations_of_stages(
                    summary["stages.cost"][0],
                    study.staged,
                    config.planning,
                    {answer.case.year: {dso: plan.yardstick for dso, plan in answer.plans.items()} for answer in answers},
                )
        status = "feasible" if reasons else "optimal"
        last = answers[-1]
        noted = dict.fromkeys(f"{p}: {n}" for a in answers for day in a.plan.operation.days for p, book in day.trades.items() for n in book.notes)
        stated = [*market_statements(answers), *device_statements(answers)]
        note = "; ".join(
            [*reasons, *stated, *noted, *(f"plan of {dso}: {p.message}" for dso, p in last.plans.items() if p.status == "optimal" and p.surplus > 0)]
        )
        more = {
            "solvers": solver_versions(),
            "notes": [*last.case.system.notes, *stated],
            "approximations": [a.as_record() for a in last.case.system.approximations],
            "certificates": certificates(last.plans),
            "pipeline": (done := [asdict(stage) for stage in stages.records]),
        }

        def report(result: RunResult, path: Path) -> None:
            """The report is a stage like the others, and the last in the record of the run."""
            read = read_by_sections(result)
            drawn = stages.run("report", drawn_sections, {}, means=lambda: {"result": result}, more=read, keep=lambda found: not found.failed)
            done.append(asdict(stages.records[-1]))
            write_report(result, path, drawn.value)

        return run.finish(dataset, summary, status, more, note, ledger_blocks(answers), report, reasons)


def _dated(reasons: list[str], answer: YearAnswer, answers: list[YearAnswer]) -> list[str]:
    """Reasons with the year they are of, where there are several."""
    return [f"{answer.case.year}: {reason}" for reason in reasons] if len(answers) > 1 else reasons


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Linear algebra in one thread: matrices are small here, and threads that wait for each other take the cores from the workers."""
    import scipy.linalg  # noqa: F401  a library that is loaded later is not limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@contextlib.contextmanager
def _engine_when_needed(config: StudyConfig) -> Iterator[Callable[[], Engine]]:
    """Starts the engine of the study at the first call, and ends it with the block: a study whose stages are all known needs none."""
    with contextlib.ExitStack() as stack:
        started: list[Engine] = []

        def engine() -> Engine:
            if not started:
                made = make_engine(config.engine, config.solver)
                stack.enter_context(made)
                started.append(made)
            return started[0]

        yield engine


@contextlib.contextmanager
def _within_limits(settings: SolverSettings) -> Iterator[None]:
    """The limits of single solves are in force; a program that reaches its time limit ends the study with that status."""
    try:
        with limits_in_force(settings):
            yield
    except (SolverTimeLimitError, TaskError) as error:
        reason = error.__cause__ if isinstance(error, TaskError) else error
        if isinstance(reason, SolverTimeLimitError):
            raise NoAnswerError("time_limit", str(error)) from error
        raise


def solver_versions() -> dict[str, str]:
    """Versions of the solvers, for provenance."""
    return {name: importlib.metadata.version(name) for name in ("highspy", "pyscipopt", "clarabel", "pandapower", "power-grid-model", "pyomo")}


def certificates(plans: Mapping[str, Plan]) -> dict[str, object]:
    """Certificates of the plans in plain form, for provenance."""
    return {
        dso: {
            "status": plan.status,
            "objective": plan.objective,
            "bound": plan.bound,
            "gap": plan.gap,
            "gap in EUR/a": plan.gap_eur,
            "what decisions move in EUR/a": plan.decision_range,
            "message": plan.message,
            "follower gap": plan.follower_gap,
            "method": dict(plan.solution.methods),
            "timings": dict(plan.solution.timings),
        }
        for dso, plan in plans.items()
    }
