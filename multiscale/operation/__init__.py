"""The operating problems of platforms, DSOs and the TSO as parametric programs, and the whole tree as one."""

from multiscale.operation.clearing import Market, Members, Trade
from multiscale.operation.distribution import DistributionProgram, distribution_program, passive_power
from multiscale.operation.platform import METERED_EXPORT, METERED_IMPORT, bought_and_sold, platform_program
from multiscale.operation.transmission import Dispatch, Transmission
from multiscale.operation.tree import Design, OperatingTree, dso_branch_program, operating_tree

__all__ = [
    "METERED_EXPORT",
    "METERED_IMPORT",
    "Design",
    "Dispatch",
    "DistributionProgram",
    "Market",
    "Members",
    "OperatingTree",
    "Trade",
    "Transmission",
    "bought_and_sold",
    "distribution_program",
    "dso_branch_program",
    "operating_tree",
    "passive_power",
    "platform_program",
]
