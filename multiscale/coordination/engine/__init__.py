"""Where the work of the platforms is done: in this process, on a local Dask cluster, or on any Dask scheduler."""

from multiscale.coordination.engine.engine import ENGINES, DaskEngine, Engine, SerialEngine, TaskError, make_engine
from multiscale.coordination.engine.liveness import EngineUnavailableError

__all__ = ["ENGINES", "DaskEngine", "Engine", "EngineUnavailableError", "SerialEngine", "TaskError", "make_engine"]
