"""Parametric convex programs: the one mathematical object behind operation, coordination and planning."""

from multiscale.programs.build import ProgramBuilder
from multiscale.programs.compose import Link, compose
from multiscale.programs.index import Block, Index
from multiscale.programs.infeasibility import Conflict, explain_infeasibility
from multiscale.programs.limits import SolverSettings, limits_in_force
from multiscale.programs.program import Output, ParametricProgram
from multiscale.programs.solve import CompiledProgram, ProgramError, ProgramSolution, SolverTimeLimitError, Termination, solve

__all__ = [
    "Block",
    "CompiledProgram",
    "Conflict",
    "Index",
    "Link",
    "Output",
    "ParametricProgram",
    "ProgramBuilder",
    "ProgramError",
    "ProgramSolution",
    "SolverSettings",
    "SolverTimeLimitError",
    "Termination",
    "compose",
    "explain_infeasibility",
    "limits_in_force",
    "solve",
]
