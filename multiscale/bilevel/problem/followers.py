"""Followers as the user states them: a ParametricProgram whose parameters the leader sets, or a Pyomo block with the variables it decides."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.collections import ComponentMap
from pyomo.common.modeling import unique_component_name

from multiscale.bilevel.problem.description import BilevelError
from multiscale.programs import Block, ParametricProgram

DUALS = "_bilevel_duals"
"""Name of the block on the user's model that carries the variables made by ``dual_of``."""


def labels_of(block: Block) -> list[Any]:
    """Index labels of a block's entries as Python objects: tuples for several dimensions, ``None`` for a scalar."""
    if not block.coords:
        return [None]
    axes = [np.asarray(labels).tolist() for labels in block.coords.values()]
    return axes[0] if len(axes) == 1 else list(itertools.product(*axes))


class ProgramFollower:
    """A follower given as a program; the leader's variables enter its costs (``C p``) and right-hand sides (``B p``).

    Its columns do not become Pyomo variables (there may be very many). The leader's objective and constraints use

    - ``output(name)``: the program's linear outputs, e.g. yearly import energy;
    - ``cost``: its optimum [EUR];
    - ``dual_of(rows)``: duals of a block of rows, ``d cost / d right-hand side`` as the program stores the row.

    Args:
        program: convex program in minimisation form.
        parameters: parameter block -> number, array, Pyomo variable, indexed variable (by the block's labels, or by
            positions 0..n-1), expression, or array of expressions. Expressions are affine in leader variables.
        model: the leader's model; a block of the follower's name is added to it and carries the variables above.
        name: name of the follower, by default the program's.
        cones: second-order cones; each an array of column positions ``(h, t_1, ..., t_k)`` for ``x_h >= ||x_t||``.

    Raises:
        BilevelError: a parameter block is unknown, missing, or its value does not fit; a cone is too short or names no column.
    """

    def __init__(
        self,
        program: ParametricProgram,
        parameters: Mapping[str, Any] | None = None,
        *,
        model: Any,
        name: str | None = None,
        cones: Sequence[Any] = (),
    ) -> None:
        self.program = program
        self.name = name or program.name
        self.cones = [np.asarray(cone, dtype=np.int64).ravel() for cone in cones]
        for c, cone in enumerate(self.cones):
            if cone.size < 2 or cone.min() < 0 or cone.max() >= program.columns.size or np.unique(cone).size < cone.size:
                raise BilevelError(
                    f"follower {self.name!r}: cone {c} names the columns {cone.tolist()}; "
                    f"it needs two or more different ones of 0..{program.columns.size - 1}"
                )
        self.parameters = self._entries(dict(parameters or {}))
        self.block = pyo.Block(concrete=True)
        model.add_component(unique_component_name(model, "".join(c if c.isalnum() or c == "_" else "_" for c in self.name)), self.block)
        self.quantities: ComponentMap = ComponentMap()
        self._made: dict[tuple[str, str], Any] = {}

    def _entries(self, given: dict[str, Any]) -> list[Any]:
        """One number or expression for every entry of the flat parameter vector."""
        known = {block.name for block in self.program.parameters}
        unknown, missing = sorted(set(given) - known), sorted(known - set(given))
        if unknown or missing:
            raise BilevelError(f"follower {self.name!r}: unknown parameters {unknown}, missing parameters {missing}; it has {sorted(known)}")
        entries: list[Any] = []
        for block in self.program.parameters:
            entries += self._block_entries(block, given[block.name])
        return entries

    def _block_entries(self, block: Block, value: Any) -> list[Any]:
        where = f"follower {self.name!r}, parameter {block.name!r}"
        if hasattr(value, "is_indexed") and value.is_indexed():
            value = {key: value[key] for key in value}
        elif hasattr(value, "is_expression_type") or hasattr(value, "is_variable_type"):
            return [value] * block.size
        if isinstance(value, Mapping):
            for keys in (labels_of(block), list(range(block.size))):
                if set(keys) == set(value):
                    return [value[key] for key in keys]
            raise BilevelError(f"{where}: its keys are neither the labels {labels_of(block)[:3]}... nor positions 0..{block.size - 1}")
        try:
            return list(np.broadcast_to(np.asarray(value, dtype=object), block.shape).ravel())
        except ValueError:
            raise BilevelError(f"{where} has shape {np.shape(value)}; it must fit {block.shape}") from None

    def _quantity(self, kind: str, name: str, block: Block) -> Any:
        key = (kind, name)
        if key not in self._made:
            labels = labels_of(block)
            variable = pyo.Var() if labels == [None] else pyo.Var(labels, dense=True)
            self.block.add_component(f"{kind}_{name}" if name else kind, variable)
            for position, label in enumerate(labels):
                self.quantities[variable[label]] = (kind, name, position)
            self._made[key] = variable
        return self._made[key]

    def output(self, name: str) -> Any:
        """Pyomo variable (indexed by the output's labels) equal to an output of the program.

        Raises:
            BilevelError: the program has no such output.
        """
        if name not in self.program.outputs:
            raise BilevelError(f"follower {self.name!r} has no output {name!r}; there are {sorted(self.program.outputs)}")
        return self._quantity("output", name, self.program.outputs[name].index.blocks[0])

    @property
    def cost(self) -> Any:
        """Pyomo variable equal to the follower's optimum [EUR]."""
        return self._quantity("cost", "", Block("cost", {}, "EUR", 0))

    def dual_of(self, rows: str) -> Any:
        """Pyomo variable (indexed by the rows' labels) equal to the duals of a block of rows [EUR per unit of the row].

        Raises:
            BilevelError: the program has no such rows.
        """
        if rows not in self.program.rows:
            raise BilevelError(f"follower {self.name!r} has no rows {rows!r}; there are {sorted(b.name for b in self.program.rows)}")
        return self._quantity("dual", rows, self.program.rows[rows])


class BlockFollower:
    """A follower given as a Pyomo block that also decides variables which stand elsewhere in the model.

    Args:
        block: its objective and rows; variables inside it are the follower's own.
        variables: variables outside the block that the follower decides: variables, indexed variables, or mappings and lists of these. Without them a
            variable outside the block is the leader's.

    Raises:
        BilevelError: ``block`` is no single block, or an entry of ``variables`` is no variable of the block's model.
    """

    def __init__(self, block: Any, *, variables: Any = ()) -> None:
        if getattr(block, "ctype", None) is not pyo.Block or block.is_indexed():
            raise BilevelError(f"BlockFollower: {getattr(block, 'name', block)!r} is not a single Pyomo Block; name one member of an indexed block")
        self.block = block
        self.name: str = block.name
        self.variables = list(_variables(variables))
        for variable in self.variables:
            if variable.model() is not block.model():
                raise BilevelError(f"follower {self.name!r}: variables lists {variable.name}, which does not belong to the model of its block")


def _variables(given: Any) -> Iterator[Any]:
    """Single variables of a nested statement, in order."""
    if getattr(given, "ctype", None) is pyo.Var:
        yield from given.values() if given.is_indexed() else (given,)
    elif isinstance(given, Iterable) and not isinstance(given, str) and not hasattr(given, "ctype"):
        for entry in given.values() if isinstance(given, Mapping) else given:
            yield from _variables(entry)
    else:
        raise BilevelError(f"BlockFollower: variables lists {getattr(given, 'name', given)!r}, which is not a variable")


def dual_of(constraint: Any) -> Any:
    """Pyomo variable equal to the dual of a constraint of a block follower, for use in the leader's expressions.

    The dual is the derivative of the follower's optimum, as its objective states it, with respect to the constraint's right-hand side:

    | constraint | right-hand side | ``min`` follower | ``max`` follower |
    |---|---|---|---|
    | ``body <= b``, ``b >= body`` | ``b`` | ``<= 0`` | ``>= 0`` |
    | ``body >= b``, ``b <= body`` | ``b`` | ``>= 0`` | ``<= 0`` |
    | ``body == b`` | ``b`` | either | either |
    | ``(l, body, u)`` | ``l`` and ``u`` moved together: the one that binds | either | either |

    Leader terms of the body count as part of it: ``x - y <= b`` has the right-hand side ``b``, whatever ``y`` is. The dual of a variable's bound is
    that of the bound written as a constraint.

    Args:
        constraint: one constraint (an entry of an indexed constraint, or a scalar constraint).

    Raises:
        BilevelError: ``constraint`` is indexed (name one entry) or no constraint.
    """
    if getattr(constraint, "ctype", None) is not pyo.Constraint:
        what = getattr(constraint, "name", constraint)
        remedy = "; write the bound whose dual is wanted as a constraint" if getattr(constraint, "ctype", None) is pyo.Var else ""
        raise BilevelError(f"dual_of({what}): it takes a constraint{remedy}")
    if constraint.is_indexed():
        raise BilevelError(f"dual_of({constraint.name}): the constraint is indexed; use dual_of({constraint.name}[...]) for each entry")
    model = constraint.model()
    holder = model.component(DUALS)
    if holder is None:
        holder = pyo.Block(concrete=True)
        model.add_component(DUALS, holder)
        holder.dual_values = pyo.VarList()
        holder.by_constraint = ComponentMap()
    if constraint not in holder.by_constraint:
        holder.by_constraint[constraint] = holder.dual_values.add()
    return holder.by_constraint[constraint]
