"""Where the work of the platforms is done: in this process, on a local Dask cluster, on a batch system, or on any Dask scheduler.

tasks.py           what an engine is; a task that failed
processes.py       what processes that are started get of this one
liveness.py        which workers live
settings.py        what the settings of all engines have in common
supervisor.py      the supervisor of a worker process
workers.py         what the workers of an engine are
serial_engine.py   all work in this process
local.py           processes on this machine
address.py         workers of a running scheduler
scheduler_file.py  the same, named by a file
batch.py           workers in batch jobs
slurm.py           batch jobs of Slurm
pbs.py             batch jobs of PBS
dask_engine.py     work on Dask workers, wherever they are
engine.py          the table of engines
"""

from multiscale.coordination.engine.address import AddressSettings, RunningWorkers
from multiscale.coordination.engine.dask_engine import DaskEngine
from multiscale.coordination.engine.engine import ENGINES, make_engine
from multiscale.coordination.engine.liveness import EngineUnavailableError
from multiscale.coordination.engine.local import LocalSettings, LocalWorkers
from multiscale.coordination.engine.pbs import PbsSettings
from multiscale.coordination.engine.scheduler_file import SchedulerFileSettings
from multiscale.coordination.engine.serial_engine import SerialEngine, SerialSettings
from multiscale.coordination.engine.settings import EngineSettings
from multiscale.coordination.engine.slurm import SlurmSettings
from multiscale.coordination.engine.tasks import Engine, TaskError

__all__ = [
    "ENGINES",
    "AddressSettings",
    "DaskEngine",
    "Engine",
    "EngineSettings",
    "EngineUnavailableError",
    "LocalSettings",
    "LocalWorkers",
    "PbsSettings",
    "RunningWorkers",
    "SchedulerFileSettings",
    "SerialEngine",
    "SerialSettings",
    "SlurmSettings",
    "TaskError",
    "make_engine",
]
