"""Join programs into one: a parameter of the parent becomes an output of a child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.programs.index import Block, Index
from multiscale.programs.program import Output, ParametricProgram


@dataclass(frozen=True)
class Link:
    """Parent parameters that a child's output takes over.

    Attributes:
        child: the child's key in ``compose``.
        output: name of the child's output, such as ``exchange``.
        parameter: positions in the parent's parameter vector, one for each entry of the output, in its order.
    """

    child: str
    output: str
    parameter: np.ndarray


def compose(
    name: str,
    parent: ParametricProgram,
    children: Mapping[str, ParametricProgram],
    links: Sequence[Link],
    fixed: Mapping[str, Mapping[str, object]] | None = None,
    shared: Sequence[str] = (),
) -> ParametricProgram:
    """One program out of a parent and its children.

    The parent's rows ``A x = b0 + B p`` with ``p_k = (E x_child)_k`` become ``A x - B_k E x_child = b0 + B p_rest``: what was
    agreed between two programs is now decided in one. Blocks of a child are named ``<key>/<block>``.

    Args:
        name: name of the result.
        parent: program with the parameters to be taken over.
        children: key -> program.
        links: which parameters are taken over. Their cost terms in the parent (matrix C, vector d) must be zero.
        fixed: key -> parameter block -> value, for child parameters that get a number (such as an internal price of zero);
            all other child parameters stay parameters, named ``<key>/<block>``.
        shared: child parameter blocks that are one and the same for all children (such as one tariff); they become one block.

    Raises:
        ValueError: a linked parameter has a cost in the parent (the product would not be linear), or does not fit the output.
    """
    fixed = fixed or {}
    linked = np.concatenate([np.asarray(link.parameter).ravel() for link in links]) if links else np.zeros(0, dtype=int)
    if linked.size and abs(parent.C[:, linked]).sum() > 0:
        raise ValueError(f"{name}: a parameter taken over by a child has a cost coefficient in {parent.name!r}")
    kept_blocks = [b for b in parent.parameters if not np.isin(b.positions.ravel(), linked).any()]
    partly = [b.name for b in parent.parameters if b not in kept_blocks and not np.isin(b.positions.ravel(), linked).all()]
    if partly:
        raise ValueError(f"{name}: only a part of the parameter blocks {partly} is linked; link the whole block or split it")

    keys = list(children)
    given = {key: children[key].fix(fixed.get(key, {})) for key in keys}
    columns, rows = parent.columns, parent.rows
    parameters = Index.stacked(kept_blocks)
    keep = np.concatenate([b.positions.ravel() for b in kept_blocks]) if kept_blocks else np.zeros(0, dtype=int)
    offset = {}
    for key in keys:
        offset[key] = columns.size
        columns = columns.joined(given[key].columns, f"{key}/")
        rows = rows.joined(given[key].rows, f"{key}/")
        parameters = parameters.joined(given[key].parameters, f"{key}/")

    programs = [given[key] for key in keys]
    own = _diagonal([parent.A, *(q.A for q in programs)])
    coupling = []
    for link in links:
        output = given[link.child].outputs[link.output]
        positions = np.asarray(link.parameter).ravel()
        if positions.size != output.matrix.shape[0]:
            raise ValueError(f"{name}: output {link.output!r} of {link.child!r} has {output.matrix.shape[0]} entries, its parameter {positions.size}")
        part = (parent.B[:, positions] @ output.matrix).tocoo()
        coupling.append((part.row, part.col + offset[link.child], -part.data))
    if coupling:
        row, col, data = (np.concatenate(parts) for parts in zip(*coupling, strict=True))
        own = (own + sparse.csr_matrix((data, (row, col)), shape=own.shape)).tocsr()
    quadratic = None
    if parent.Q is not None or any(q.Q is not None for q in programs):
        parts = [q.Q if q.Q is not None else sparse.csr_matrix((q.columns.size,) * 2) for q in (parent, *programs)]
        quadratic = _diagonal(parts)
    outputs = {k: Output(o.index, _widen(o.matrix, 0, columns.size)) for k, o in parent.outputs.items()}
    for key in keys:
        outputs |= {f"{key}/{k}": Output(o.index, _widen(o.matrix, offset[key], columns.size)) for k, o in given[key].outputs.items()}
    joined = ParametricProgram(
        name=name,
        columns=columns,
        rows=rows,
        parameters=parameters,
        A=own,
        b0=np.concatenate([parent.b0, *(q.b0 for q in programs)]),
        B=_diagonal([parent.B[:, keep], *(q.B for q in programs)]),
        equality=np.concatenate([parent.equality, *(q.equality for q in programs)]),
        c0=np.concatenate([parent.c0, *(q.c0 for q in programs)]),
        C=_diagonal([parent.C[:, keep], *(q.C for q in programs)]),
        lower=np.concatenate([parent.lower, *(q.lower for q in programs)]),
        upper=np.concatenate([parent.upper, *(q.upper for q in programs)]),
        Q=quadratic,
        d0=parent.d0 + sum(q.d0 for q in programs),
        d=np.concatenate([parent.d[keep], *(q.d for q in programs)]),
        outputs=outputs,
    )
    for block in shared:
        joined = _merged(joined, block)
    return joined


def _merged(program: ParametricProgram, name: str) -> ParametricProgram:
    """The program with all parameter blocks ``<key>/name`` (and ``name`` itself) replaced by one block ``name``."""
    ours = [b for b in program.parameters if b.name == name or b.name.endswith(f"/{name}")]
    if not ours:
        raise KeyError(f"{program.name}: no parameters named {name!r} to share; there are {sorted(b.name for b in program.parameters)}")
    if len({b.shape for b in ours}) > 1:
        raise ValueError(f"{program.name}: parameters {name!r} differ in shape and cannot be shared: {[(b.name, b.shape) for b in ours]}")
    rest = [b for b in program.parameters if b not in ours]
    parameters = Index.stacked(rest)
    parameters = Index((*parameters.blocks, Block(name, ours[0].coords, ours[0].unit, parameters.size, ours[0].description)))
    place = np.zeros(program.parameters.size, dtype=int)
    for block in rest:
        place[block.positions.ravel()] = parameters[block.name].positions.ravel()
    for block in ours:
        place[block.positions.ravel()] = parameters[name].positions.ravel()
    spread = sparse.csr_matrix((np.ones(len(place)), (np.arange(len(place)), place)), shape=(len(place), parameters.size))
    return replace(program, parameters=parameters, B=(program.B @ spread).tocsr(), C=(program.C @ spread).tocsr(), d=spread.T @ program.d)


def _diagonal(blocks: Sequence[sparse.csr_matrix]) -> sparse.csr_matrix:
    """The block diagonal matrix: their entries one after the other, which is far cheaper than by coordinates."""
    blocks = [sparse.csr_matrix(block) for block in blocks]
    heights, widths = zip(*(block.shape for block in blocks), strict=True)
    ends, left = np.cumsum([0, *(block.nnz for block in blocks)]), np.cumsum([0, *widths])
    starts = [block.indptr[:-1] + end for block, end in zip(blocks, ends[:-1].tolist(), strict=True)]
    columns = [block.indices + before for block, before in zip(blocks, left[:-1].tolist(), strict=True)]
    entries = np.concatenate([block.data for block in blocks]), np.concatenate(columns), np.concatenate([*starts, ends[-1:]])
    return sparse.csr_matrix(entries, shape=(sum(heights), sum(widths)))


def _widen(matrix: sparse.csr_matrix, offset: int, columns: int) -> sparse.csr_matrix:
    """The same entries, ``offset`` columns further right in a wider matrix."""
    matrix = sparse.csr_matrix(matrix)
    return sparse.csr_matrix((matrix.data, matrix.indices + offset, matrix.indptr), shape=(matrix.shape[0], columns))
