"""The operating problems of platforms, DSOs and the TSO as parametric programs, and the whole tree as one."""

from multiscale.operation.distribution import DistributionProgram, distribution_program
from multiscale.operation.platform import bought_and_sold, platform_program
from multiscale.operation.transmission import Dispatch, Transmission
from multiscale.operation.tree import Design, OperatingTree, dso_branch_program, operating_tree

__all__ = [
    "Design",
    "Dispatch",
    "DistributionProgram",
    "OperatingTree",
    "Transmission",
    "bought_and_sold",
    "distribution_program",
    "dso_branch_program",
    "operating_tree",
    "platform_program",
]
