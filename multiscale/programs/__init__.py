"""Parametric convex programs: the one mathematical object behind operation, coordination and planning."""

from multiscale.programs.basis import Basis
from multiscale.programs.build import ProgramBuilder
from multiscale.programs.compose import Link, compose
from multiscale.programs.growing import GrowingProgram, GrowingSolution
from multiscale.programs.highs import ProgramError
from multiscale.programs.index import Block, Index
from multiscale.programs.infeasibility import RowRelaxation
from multiscale.programs.labelled_basis import LabelledBasis
from multiscale.programs.limits import SolverSettings, limits_in_force
from multiscale.programs.omitted_limits import PartwiseSolution, Solved, solve_with_omitted_limits
from multiscale.programs.parts import solve_in_parts
from multiscale.programs.program import Output, ParametricProgram
from multiscale.programs.solve import CompiledProgram, ProgramSolution, SolverTimeLimitError, Termination, explain_infeasibility, solve
from multiscale.programs.statement import Statement, recorded
from multiscale.programs.states import States
from multiscale.programs.vertex import Vertex

__all__ = [
    "Basis",
    "Block",
    "CompiledProgram",
    "GrowingProgram",
    "GrowingSolution",
    "Index",
    "LabelledBasis",
    "Link",
    "Output",
    "ParametricProgram",
    "PartwiseSolution",
    "ProgramBuilder",
    "ProgramError",
    "ProgramSolution",
    "RowRelaxation",
    "Solved",
    "SolverSettings",
    "SolverTimeLimitError",
    "Statement",
    "States",
    "Termination",
    "Vertex",
    "compose",
    "explain_infeasibility",
    "limits_in_force",
    "recorded",
    "solve",
    "solve_in_parts",
    "solve_with_omitted_limits",
]
