"""Where the work of the platforms is done: in this process, on a local Dask cluster, or on any Dask scheduler.

tasks.py           what an engine is; a task that failed
processes.py       what processes that are started get of this one
settings.py        the settings of the engines
liveness.py        which workers live
supervisor.py      the supervisor of a worker process
serial_engine.py   all work in this process
dask_engine.py     work on a Dask cluster
engine.py          the table of engines
"""

from multiscale.coordination.engine.dask_engine import DaskEngine
from multiscale.coordination.engine.engine import ENGINES, make_engine
from multiscale.coordination.engine.liveness import EngineUnavailableError
from multiscale.coordination.engine.serial_engine import SerialEngine
from multiscale.coordination.engine.tasks import Engine, TaskError

__all__ = ["ENGINES", "DaskEngine", "Engine", "EngineUnavailableError", "SerialEngine", "TaskError", "make_engine"]
