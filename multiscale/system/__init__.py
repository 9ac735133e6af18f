"""What exists: the hierarchy, its networks, its prosumers, prices and costs. Pure data, no solver."""

from multiscale.system.costs import Economics
from multiscale.system.growth import Growth, grow
from multiscale.system.limits import LoadingLimits
from multiscale.system.network import Network
from multiscale.system.options import reinforcement_options
from multiscale.system.problem import InvalidSystemError, Problem
from multiscale.system.schema import COMPONENTS, table
from multiscale.system.system import System
from multiscale.system.validation import validate

__all__ = [
    "COMPONENTS",
    "Economics",
    "Growth",
    "InvalidSystemError",
    "LoadingLimits",
    "Network",
    "Problem",
    "System",
    "grow",
    "reinforcement_options",
    "table",
    "validate",
]
