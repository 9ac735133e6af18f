"""Equations in LaTeX, written from their structure."""

from __future__ import annotations

from collections.abc import Iterable

from multiscale.mathematics.equations import Equation, Stated
from multiscale.mathematics.structure import StructuredTerm, Value
from multiscale.programs import Block

INDEX = {
    "period": "t",
    "prosumer": "i",
    "meter": "m",
    "zone": "n",
    "bus": "n",
    "branch": "l",
    "branch_period": "s",
    "cable": "l",
    "option": "k",
    "platform": "c",
    "node": "c",
    "generator": "g",
}
"""Dimension -> index; owners of a device are prosumers, any other dimension has its first letter."""

_SENSES = {"==": "=", "<=": r"\le", ">=": r"\ge", ":=": ":="}


def index_of(dim: str) -> str:
    """The index of a dimension."""
    return "i" if dim.endswith("_owner") else INDEX.get(dim, dim[:1] or "j")


def name_of(name: str) -> str:
    """A family as a symbol."""
    return rf"\mathrm{{{name.replace('_', ' ')}}}"


def equation(found: Equation) -> str:
    """A family of rows: ``left side (sense) right side``, for all entries of its sets."""
    left = _sum(_term(t) for t in found.terms)
    right = [_constant(found.rhs, "b")] if found.rhs.numbers.any() else []
    right += [_term(t) for t in found.parameters]
    if found.sense == ":=":
        return f"{member(found.block)} := {left}{_for_all(found.block)}"
    return f"{left} {_SENSES[found.sense]} {_sum(right)}{_for_all(found.block)}"


def objective(found: Stated) -> str:
    """What is minimised: costs of columns, and products of prices and columns."""
    parts = []
    for variable in found.variables:
        if variable.cost.numbers.any():
            indices = [index_of(dim) for dim in variable.block.coords]
            total = rf"\sum_{{{','.join(indices)}}} " if indices else ""
            parts.append(f"{total}{_coefficient(variable.cost, 'c', ())}{member(variable.block)}")
    for term in found.payments:
        # Rows of the term are the columns that are paid for.
        indices = [index_of(dim) for dim in term.rows.coords]
        total = rf"\sum_{{{','.join(indices)}}} " if indices else ""
        sign, rest = _signed(_term(term))
        parts.append(f"{'-' if sign < 0 else ''}{total}{rest} {member(term.rows)}")
    return rf"\min \; {_sum(parts)}"


def _sum(parts: Iterable[str]) -> str:
    text = ""
    for part in parts:
        sign, rest = _signed(part)
        text += f" {'-' if sign < 0 else '+'} {rest}" if text else ("-" if sign < 0 else "") + rest
    return text or "0"


def _signed(text: str) -> tuple[int, str]:
    return (-1, text[1:].lstrip()) if text.startswith("-") else (1, text)


def _term(term: StructuredTerm) -> str:
    """One term: coefficient, sum and column; in brackets where it does not stand in every row."""
    of = {one.dim: (index_of(one.row_dim), one.kind) for one in term.follows}
    taken = {index_of(dim) for dim in term.rows.coords}
    key = ",".join(index_of(dim) for dim in term.keyed_by)
    indices, own = [], {}
    for dim in term.columns.coords:
        if dim in of:
            letter, kind = of[dim]
            indices.append(letter if kind == "same" else f"{letter}-1")
            continue
        letter = index_of(dim)
        own[dim] = letter + "'" if letter in taken else letter
        indices.append(f"{letter}({key})" if term.assigned and key else own[dim])
    column = name_of(term.columns.name) + (f"_{{{','.join(indices)}}}" if indices else "")
    summed = ""
    if term.summed and not (term.assigned and key):
        letters = ",".join(own.values())
        among = "" if term.over_all and not key else rf" \in \mathcal{{{letters[0].upper()}}}" + (f"({key})" if key and not term.over_all else "")
        summed = rf"\sum_{{{letters}{'' if term.over_all else among}}} "
    sign, factor = _signed(_coefficient(term.value, "a", tuple(own.values())))
    inner = f"{summed}{factor}{column}"
    return f"{'-' if sign < 0 else ''}{inner if term.everywhere else rf'[ {inner} ]'}"


def _coefficient(value: Value, unnamed: str, summed: tuple[str, ...]) -> str:
    """A factor with its sign; nothing for one."""
    if value.named is None and not value.dims:
        number = float(value.numbers[0])
        return {1.0: "", -1.0: "-"}.get(number, f"{number:.6g} ")
    return f"{_constant(value, unnamed, summed)} "


def _constant(value: Value, unnamed: str, summed: tuple[str, ...] = ()) -> str:
    if value.named is None and not value.dims:
        return f"{float(value.numbers[0]):.6g}"
    letters = [letter for dim in value.dims for letter in (summed if dim == "+" else (index_of(dim),))]
    sub = f"_{{{','.join(letters)}}}" if letters else ""
    return (value.named.symbol if value.named else f"{unnamed}@").replace("@", sub)


def member(block: Block) -> str:
    """A family of columns or parameters with its indices."""
    indices = [index_of(dim) for dim in block.coords]
    return name_of(block.name) + (f"_{{{','.join(indices)}}}" if indices else "")


def _for_all(block: Block) -> str:
    indices = [index_of(dim) for dim in block.coords]
    return rf" \quad \forall \, {','.join(indices)}" if indices else ""


def bounds(lower: Value, upper: Value, block: Block) -> str:
    """The range of a family of columns."""
    low, high = (_bound(value) for value in (lower, upper))
    left = "" if low == "-inf" else rf"{low} \le "
    return f"{left}{member(block)}" + ("" if high == "inf" else rf" \le {high}")


def _bound(value: Value) -> str:
    if not value.dims:
        return f"{float(value.numbers[0]):.6g}"
    return f"[{value.lowest:.4g} .. {value.highest:.4g}]"
