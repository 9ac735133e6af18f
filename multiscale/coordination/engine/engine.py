"""Which engine does the work of the platforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multiscale.coordination.engine.address import AddressSettings, RunningWorkers
from multiscale.coordination.engine.batch import BatchWorkers
from multiscale.coordination.engine.dask_engine import DaskEngine
from multiscale.coordination.engine.local import LocalSettings, LocalWorkers
from multiscale.coordination.engine.pbs import PbsSettings
from multiscale.coordination.engine.scheduler_file import FileWorkers, SchedulerFileSettings
from multiscale.coordination.engine.serial_engine import SerialEngine, SerialSettings
from multiscale.coordination.engine.settings import EngineSettings
from multiscale.coordination.engine.slurm import SlurmSettings
from multiscale.coordination.engine.workers import Workers
from multiscale.programs.limits import SolverSettings
from multiscale.programs.limits import limits as limits_here
from multiscale.settings import Entry, kind_name, registry


def _with(workers: Callable[[Any], Workers]) -> Callable[[Any, SolverSettings], DaskEngine]:
    return lambda chosen, limits: DaskEngine(workers(chosen), limits=limits, waits=chosen)


ENGINES: Mapping[str, Entry[Callable[[Any, SolverSettings], SerialEngine | DaskEngine]]] = registry(
    Entry(SerialSettings, lambda _, limits: SerialEngine(limits)),
    Entry(LocalSettings, _with(LocalWorkers)),
    Entry(AddressSettings, _with(lambda chosen: RunningWorkers(chosen, chosen.address))),
    Entry(SchedulerFileSettings, _with(FileWorkers)),
    Entry(SlurmSettings, _with(BatchWorkers)),
    Entry(PbsSettings, _with(BatchWorkers)),
)
"""Kind of engine -> its settings and what makes it. A new engine is one file and one line here."""


def make_engine(chosen: EngineSettings, limits: SolverSettings | None = None) -> SerialEngine | DaskEngine:
    """The engine that the settings choose.

    Args:
        chosen: settings of one kind of engine.
        limits: limits of every solve within its tasks; default: those in force here.
    """
    return ENGINES[kind_name(type(chosen))].function(chosen, limits or limits_here())
