"""MATPOWER case files: their tables, and the statements that come with them, executed in the order of the file.

Distribution cases give loads in kW and impedances in ohm and convert them after the tables. What is read is the part of the language that such files
use, and nothing else:

    mpc.<field> = <table, expression or text>          mpc.<field>(<rows>, <columns>) = <expression>
    <name> = <expression>                              [<names>] = idx_bus | idx_brch | idx_gen | idx_cost,   define_constants
    if <expression> ... elseif <expression> ... else ... end,   return        %-comments, continuation by ...

An expression has numbers, names, fields and parts of tables, ``+ - * / ^`` with their elementwise forms, comparisons, ``sin cos tan asin acos atan
sqrt abs exp log``. A name that is given a table has one of its own. Whatever else a file would execute, loops among it, is refused with its line: a
case that is read is read in full.

Source: R. D. Zimmerman et al., MATPOWER User's Manual, appendix B (format of case files).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.sources.matpower_expressions import CaseError, Scope, part_of, refused, right_side, value
from multiscale.system.problem import InvalidSystemError, Problem

_BUS = "BUS_I BUS_TYPE PD QD GS BS BUS_AREA VM VA BASE_KV ZONE VMAX VMIN LAM_P LAM_Q MU_VMAX MU_VMIN"
_BRANCH = "F_BUS T_BUS BR_R BR_X BR_B RATE_A RATE_B RATE_C TAP SHIFT BR_STATUS PF QF PT QT MU_SF MU_ST ANGMIN ANGMAX MU_ANGMIN MU_ANGMAX"
_BRANCH_COLUMNS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 12, 13, 20, 21]
_GENERATOR = "GEN_BUS PG QG QMAX QMIN VG MBASE GEN_STATUS PMAX PMIN MU_PMAX MU_PMIN MU_QMAX MU_QMIN PC1 PC2 QC1MIN QC1MAX QC2MIN QC2MAX"
_GENERATOR += " RAMP_AGC RAMP_10 RAMP_30 RAMP_Q APF"
_GENERATOR_COLUMNS = [*range(1, 11), 22, 23, 24, 25, *range(11, 22)]
_INDICES: Mapping[str, list[int]] = {
    "idx_bus": [1, 2, 3, 4, *range(1, 18)],
    "idx_brch": _BRANCH_COLUMNS,
    "idx_gen": _GENERATOR_COLUMNS,
    "idx_cost": [1, 2, 1, 2, 3, 4, 5],
}
"""What MATPOWER's functions of column numbers return, in order."""

_NAMES = {
    "idx_bus": f"PQ PV REF NONE {_BUS}",
    "idx_brch": _BRANCH,
    "idx_gen": _GENERATOR,
    "idx_cost": "PW_LINEAR POLYNOMIAL MODEL STARTUP SHUTDOWN NCOST COST",
}
_WIDTHS = {"bus": 13, "gen": 10, "branch": 11, "gencost": 4}
_UNLIMITED = {"branch": (6, 7, 8, 12, 13), "gen": (4, 5, 9, 10, *range(11, 22))}
"""Columns, from one, in which infinity says that there is no limit."""
_COLUMN_NAMES = {"bus": _BUS, "branch": _BRANCH, "gen": _GENERATOR}
_COLUMN_NUMBERS = {"bus": list(range(1, 18)), "branch": _BRANCH_COLUMNS, "gen": _GENERATOR_COLUMNS}
_BASE_KV = 10
_SHOWN = 5
"""Problems of one kind and table that are listed."""
_OPENING = ("if", "for", "parfor", "while", "switch", "try")
_CONTINUED = re.compile(r"((?:[^'.]|'[^']*'|\.(?!\.\.))*)\.\.\.")
_WORD = re.compile(r"[A-Za-z]\w*")


def read_case(path: Path) -> dict[str, Any]:
    """Fields of a case file after all of its statements: ``baseMVA``, ``bus``, ``gen``, ``branch``, ``gencost``, ... as arrays, ``bus_name`` as list.

    Raises:
        InvalidSystemError: a statement that is not one of the forms above, with its line; tables missing or too narrow.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    scope = Scope()
    try:
        _execute(_statements(text), scope)
    except CaseError as error:
        raise InvalidSystemError([Problem("file", str(path), "", "", "", str(error))]) from None
    problems = []
    if str(scope.fields.get("version", "")) != "2":
        message = "is not '2'; convert the case with MATPOWER's savecase, which writes version 2"
        problems.append(Problem("file", str(path), "mpc.version", repr(str(scope.fields.get("version", ""))), "", message))
    for name, width in _WIDTHS.items():
        rows = scope.fields.get(name)
        if name == "gencost" and rows is None:
            continue
        if not isinstance(rows, np.ndarray) or rows.ndim != 2 or not rows.shape[0] or rows.shape[1] < width:
            message = f"is missing or has fewer than {width} columns; the file holds no whole MATPOWER case"
            problems.append(Problem("file", str(path), f"mpc.{name}", "", "", message))
        else:
            problems += _values_problems(path, name, rows)
    base = scope.fields.get("baseMVA")
    if not isinstance(base, int | float) or not base > 0:
        problems.append(Problem("file", str(path), "mpc.baseMVA", str(base), "MVA", "is not above zero; give the base power"))
    if problems:
        raise InvalidSystemError(problems)
    return scope.fields


def _values_problems(path: Path, name: str, rows: np.ndarray) -> list[Problem]:
    """Values of a table that are none: nothing in it may be missing, and only limits may be infinite."""
    found = []
    unlimited = [k - 1 for k in _UNLIMITED.get(name, ())]
    columns = dict(zip(_COLUMN_NUMBERS.get(name, []), _COLUMN_NAMES.get(name, "").split(), strict=True))
    wrong = np.isnan(rows) | (np.isinf(rows) & ~np.isin(np.arange(rows.shape[1]), unlimited))
    for row, column in np.argwhere(wrong)[:_SHOWN]:
        where = f"mpc.{name} row {row + 1} {columns.get(column + 1, f'column {column + 1}')}"
        found.append(Problem("file", str(path), where, f"{rows[row, column]:g}", "", "is not a number; give a number"))
    if name == "bus":
        for row in np.flatnonzero(~(rows[:, _BASE_KV - 1] > 0))[:_SHOWN]:
            message = "is not above zero; give the nominal voltage of the bus"
            found.append(Problem("file", str(path), f"mpc.bus row {row + 1} BASE_KV", f"{rows[row, _BASE_KV - 1]:g}", "kV", message))
    return found


# -- statements -------------------------------------------------------------------------------------------------------
def _statements(text: str) -> list[tuple[int, str]]:
    """Statements with the number of their first line: comments removed, continued and bracketed lines joined."""
    found: list[tuple[int, str]] = []
    lines: list[str] = []
    first, depth, commented = 0, 0, 0
    for number, raw in enumerate(text.splitlines(), start=1):
        stripped = raw.strip()
        if stripped == "%{" or (commented and stripped == "%}"):
            # Blocks of comments stand within others.
            commented += 1 if stripped == "%{" else -1
            continue
        if commented:
            continue
        line = _without_comment(raw)
        # What follows the dots is a comment.
        dots = _CONTINUED.match(line)
        continued = dots is not None
        line = dots[1] if dots else line
        if not lines and not line.strip():
            continue
        first = first if lines else number
        # A new line within brackets ends a row.
        depth += _depth(line)
        lines.append(line + (" " if continued or depth <= 0 else "\n"))
        if depth > 0 or continued:
            continue
        found += [(first, part) for part in _split("".join(lines))]
        lines = []
    if commented:
        raise CaseError("the comment that '%{' begins has no '%}'; close it")
    if lines:
        raise CaseError(f"line {first}: {lines[0].strip()[:80]!r} has an opening bracket that nothing closes")
    return found


def _without_comment(line: str) -> str:
    quoted = False
    for k, character in enumerate(line):
        if character == "'":
            quoted = not quoted
        elif character == "%" and not quoted:
            return line[:k]
    return line


def _depth(text: str) -> int:
    plain = re.sub(r"'[^'\n]*'", "", text)
    return sum(plain.count(c) for c in "[{(") - sum(plain.count(c) for c in "]})")


def _split(text: str) -> list[str]:
    """Parts between semicolons and commas outside brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for k, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character in "[{(") - (character in "]})")
            if character in ";," and depth == 0:
                parts.append(text[start:k])
                start = k + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


@dataclass
class _Block:
    """A block that is open.

    Attributes:
        line: where it begins.
        word: with which word.
        outside: whether what stands around it is executed.
        runs: whether its present branch is executed.
        decided: whether a branch of it was.
        last: whether its ``else`` was there.
    """

    line: int
    word: str
    outside: bool
    runs: bool
    decided: bool
    last: bool = False


def _execute(statements: list[tuple[int, str]], scope: Scope) -> None:
    """Executes what MATLAB would: the branches of ``if`` whose conditions hold, up to ``return`` or the end of the function."""
    blocks: list[_Block] = []
    begun, returned = False, False
    for line, text in statements:
        found = _WORD.match(text)
        word = found[0] if found else ""
        runs = not returned and (blocks[-1].runs if blocks else True)
        if word == "function" and begun:
            # The next function of the file: the case is over.
            break
        if word in _OPENING:
            if runs and word != "if":
                raise CaseError(refused(line, text))
            holds = runs and _holds(text[len(word) :], scope, line)
            blocks.append(_Block(line, word, runs, holds, holds))
        elif word in ("elseif", "else"):
            if not blocks or blocks[-1].word != "if" or blocks[-1].last or (word == "else" and text != word):
                raise CaseError(f"line {line}: {text[:40]!r} does not follow an 'if'; run the file in MATPOWER and store the result with savecase")
            block = blocks[-1]
            block.last = word == "else"
            block.runs = block.outside and not returned and not block.decided and (block.last or _holds(text[len(word) :], scope, line))
            block.decided |= block.runs
        elif text == "end":
            if not blocks and not begun:
                raise CaseError(f"line {line}: 'end' without an 'if'")
            if not blocks:
                break
            blocks.pop()
        elif runs and text == "return":
            returned = True
        elif runs:
            _statement(text, scope, line)
            begun |= word == "function"
    if blocks:
        raise CaseError(f"line {blocks[-1].line}: the {blocks[-1].word!r} has no 'end'; close it")


def _holds(text: str, scope: Scope, line: int) -> bool:
    """Whether a condition holds: all of a table, and not an empty one."""
    found = np.asarray(value(text, scope, line))
    if np.isnan(found).any():
        raise CaseError(f"line {line}: {text.strip()[:80]!r} is not a number, so the condition neither holds nor fails; correct it")
    return bool(found.size) and bool(np.all(found))


def _statement(text: str, scope: Scope, line: int) -> None:
    if re.fullmatch(r"function\s+mpc\s*=\s*\w+(\s*\(\s*\))?", text):
        return
    if text == "define_constants":
        for function, values in _INDICES.items():
            scope.names |= dict(zip(_NAMES[function].split(), values, strict=True))
        return
    listed = re.fullmatch(r"\[([\w\s,~]+)\]\s*=\s*(\w+)(?:\s*\(\s*\))?", text)
    if listed and listed[2] in _INDICES:
        wanted = listed[1].replace(",", " ").split()
        if len(wanted) > len(_INDICES[listed[2]]):
            raise CaseError(f"line {line}: {listed[2]} returns {len(_INDICES[listed[2]])} values, not {len(wanted)}")
        scope.names |= {name: value for name, value in zip(wanted, _INDICES[listed[2]], strict=False) if name != "~"}
        return
    assigned = re.fullmatch(r"(mpc\.\w+|[A-Za-z]\w*)\s*(\(([^=]*)\))?\s*=(?!=)\s*(.*)", text, flags=re.DOTALL)
    if not assigned:
        raise CaseError(refused(line, text))
    target, part, inside, right = assigned.groups()
    is_field = target.startswith("mpc.")
    name = target.removeprefix("mpc.")
    if part is None:
        (scope.fields if is_field else scope.names)[name] = right_side(right.strip(), scope, line)
        return
    table = (scope.fields if is_field else scope.names).get(name)
    if not isinstance(table, np.ndarray):
        raise CaseError(f"line {line}: {target} is no table, so no part of it can be assigned")
    rows, columns = part_of(inside, table, scope, line)
    assigned_values = np.asarray(right_side(right.strip(), scope, line) if right.startswith("[") else value(right, scope, line), dtype=float)
    if assigned_values.ndim and assigned_values.shape != (len(rows), len(columns)):
        raise CaseError(f"line {line}: {text[:80]!r} assigns values of shape {assigned_values.shape} to {len(rows)} x {len(columns)}")
    table[np.ix_(rows, columns)] = assigned_values
