"""A basis as data, with the labels of the program it is of: another program of the same rows and columns may start there, no other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.content import content_key
from multiscale.programs.basis import Basis
from multiscale.programs.program import ParametricProgram


@dataclass(frozen=True)
class LabelledBasis:
    """Where a simplex solve ended.

    Attributes:
        labels: hash of the labels of all columns and rows.
        columns, rows: status of each, as of ``Basis.statuses``.
    """

    labels: str
    columns: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, program: ParametricProgram, basis: Basis) -> LabelledBasis:
        """The basis where a solve of a program ended."""
        return cls(labels_of(program), *basis.statuses)

    def fits(self, program: ParametricProgram) -> bool:
        """Whether a program has the same labels, whatever its numbers."""
        return labels_of(program) == self.labels

    def for_program(self, program: ParametricProgram) -> Basis | None:
        """A start of a program that it fits; None for another."""
        if not self.fits(program):
            return None
        return Basis.unpacked((self.columns.tobytes(), self.rows.tobytes()))


def labels_of(program: ParametricProgram) -> str:
    """Hash of the labels of a program's columns and rows."""
    return content_key(program.columns, program.rows)
