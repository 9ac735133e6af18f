"""MATPOWER case files: their tables, and the statements that come with them, executed in the order of the file.

Distribution cases give loads in kW and impedances in ohm and convert them after the tables. What is read is the part of the language that such files
use, and nothing else:

    mpc.<field> = <table, expression or text>          mpc.<field>(<rows>, <columns>) = <expression>
    <name> = <expression>                              [<names>] = idx_bus | idx_brch | idx_gen | idx_cost,   define_constants
    if <expression> ... end                            %-comments, continuation by ...

An expression has numbers, names, fields and parts of tables, ``+ - * / ^`` with their elementwise forms, comparisons, ``sin cos tan asin acos atan
sqrt abs exp log``. Whatever else a file holds is refused with its line: a case that is read is read in full.

Source: R. D. Zimmerman et al., MATPOWER User's Manual, appendix B (format of case files).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.system.validation import InvalidSystemError, Problem

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
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
}
_CONSTANTS = {"pi": np.pi, "Inf": np.inf, "inf": np.inf, "NaN": np.nan, "nan": np.nan, "eps": np.finfo(float).eps}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*(?:\.\w+)?)|(?P<mark>\.\*|\./|\.\^|==|~=|<=|>=|[-+*/^(),:\[\]<>;]))"
)
_WIDTHS = {"bus": 13, "gen": 10, "branch": 11, "gencost": 4}


class CaseError(ValueError):
    """A line of a case file that is not read."""


@dataclass
class _Scope:
    """Variables and fields of the case so far."""

    fields: dict[str, Any] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)


def read_case(path: Path) -> dict[str, Any]:
    """Fields of a case file after all of its statements: ``baseMVA``, ``bus``, ``gen``, ``branch``, ``gencost``, ... as arrays, ``bus_name`` as list.

    Raises:
        InvalidSystemError: a statement that is not one of the forms above, with its line; tables missing or too narrow.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    scope = _Scope()
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
    base = scope.fields.get("baseMVA")
    if not isinstance(base, int | float) or not base > 0:
        problems.append(Problem("file", str(path), "mpc.baseMVA", str(base), "MVA", "is not above zero; give the base power"))
    if problems:
        raise InvalidSystemError(problems)
    return scope.fields


# -- statements -------------------------------------------------------------------------------------------------------
def _statements(text: str) -> list[tuple[int, str]]:
    """Statements with the number of their first line: comments removed, continued and bracketed lines joined."""
    found: list[tuple[int, str]] = []
    lines: list[str] = []
    first, depth, commented = 0, 0, False
    for number, raw in enumerate(text.splitlines(), start=1):
        stripped = raw.strip()
        if stripped in ("%{", "%}"):
            commented = stripped == "%{"
            continue
        if commented:
            continue
        line = _without_comment(raw)
        continued = line.rstrip().endswith("...")
        line = line.rstrip().removesuffix("...") if continued else line
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
    """Parts between semicolons (or commas) outside brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for k, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character in "[{(") - (character in "]})")
            if character == ";" and depth == 0:
                parts.append(text[start:k])
                start = k + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _execute(statements: list[tuple[int, str]], scope: _Scope) -> None:
    skipping: list[bool] = []
    for line, text in statements:
        word = text.split(None, 1)[0] if text.split() else ""
        if word == "if":
            skipping.append(any(skipping) or not bool(np.all(_value(text[2:], scope, line))))
        elif word == "end":
            if not skipping:
                raise CaseError(f"line {line}: 'end' without an 'if'")
            skipping.pop()
        elif not any(skipping):
            _statement(text, scope, line)


def _statement(text: str, scope: _Scope, line: int) -> None:
    if re.fullmatch(r"function\s+mpc\s*=\s*\w+(\s*\(\s*\))?", text) or text == "return":
        return
    if text == "define_constants":
        for function, values in _INDICES.items():
            scope.names |= dict(zip(_NAMES[function].split(), values, strict=True))
        return
    listed = re.fullmatch(r"\[([\w\s,~]+)\]\s*=\s*(\w+)", text)
    if listed and listed[2] in _INDICES:
        wanted = listed[1].replace(",", " ").split()
        if len(wanted) > len(_INDICES[listed[2]]):
            raise CaseError(f"line {line}: {listed[2]} returns {len(_INDICES[listed[2]])} values, not {len(wanted)}")
        scope.names |= {name: value for name, value in zip(wanted, _INDICES[listed[2]], strict=False) if name != "~"}
        return
    assigned = re.fullmatch(r"(mpc\.\w+|[A-Za-z]\w*)\s*(\(([^=]*)\))?\s*=(?!=)\s*(.*)", text, flags=re.DOTALL)
    if not assigned:
        raise CaseError(_refused(line, text))
    target, part, inside, right = assigned.groups()
    is_field = target.startswith("mpc.")
    name = target.removeprefix("mpc.")
    if part is None:
        value = _right_side(right.strip(), scope, line)
        (scope.fields if is_field else scope.names)[name] = value
        return
    table = (scope.fields if is_field else scope.names).get(name)
    if not isinstance(table, np.ndarray):
        raise CaseError(f"line {line}: {target} is no table, so no part of it can be assigned")
    rows, columns = _part(inside, table, scope, line)
    value = np.asarray(_value(right, scope, line), dtype=float)
    try:
        table[np.ix_(rows, columns)] = value
    except ValueError:
        raise CaseError(f"line {line}: {text[:80]!r} assigns values of shape {value.shape} to {len(rows)} x {len(columns)}") from None


def _right_side(text: str, scope: _Scope, line: int) -> Any:
    """A text, a list of texts, a table or an expression."""
    if re.fullmatch(r"'[^']*'", text):
        return text[1:-1]
    if text.startswith("{"):
        return re.findall(r"'([^']*)'", text)
    if text.startswith("["):
        return _table(text, scope, line)
    return _value(text, scope, line)


def _table(text: str, scope: _Scope, line: int) -> np.ndarray:
    if not text.endswith("]"):
        raise CaseError(_refused(line, text))
    rows = []
    for row in re.split(r"[;\n]", text[1:-1]):
        entries = row.replace(",", " ").split()
        if entries:
            rows.append([_entry(entry, scope, line) for entry in entries])
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise CaseError(f"line {line}: the rows of the table {text[:20].strip()!r} have {sorted(widths)} entries; they must have equally many")
    return np.array(rows, dtype=float).reshape(len(rows), -1)


def _entry(text: str, scope: _Scope, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        return float(_value(text, scope, line))


def _refused(line: int, text: str) -> str:
    shown = " ".join(text.split())[:100]
    return f"line {line}: {shown!r} is a statement that is not read; run it in MATPOWER and store the result with savecase"


# -- expressions ------------------------------------------------------------------------------------------------------
def _value(text: str, scope: _Scope, line: int) -> Any:
    reader = _Reader(_tokens(text, line), scope, line, text)
    value = reader.comparison()
    if reader.token:
        raise CaseError(_refused(line, text))
    return value


def _tokens(text: str, line: int) -> list[tuple[str, str]]:
    found, at, text = [], 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise CaseError(_refused(line, text))
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    return found


def _part(inside: str, table: np.ndarray, scope: _Scope, line: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows and columns named between parentheses."""
    reader = _Reader(_tokens(inside, line), scope, line, inside)
    rows = reader.positions(table.shape[0])
    reader.take(",")
    columns = reader.positions(table.shape[1])
    if reader.token:
        raise CaseError(_refused(line, inside))
    return rows, columns


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[tuple[str, str]], scope: _Scope, line: int, text: str) -> None:
        self.tokens, self.at, self.scope, self.line, self.text = tokens, 0, scope, line, text

    @property
    def token(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.token
        if not token or (expected and token != expected):
            raise CaseError(_refused(self.line, self.text))
        self.at += 1
        return token

    def comparison(self) -> Any:
        left = self.sum()
        compare = {"==": np.equal, "~=": np.not_equal, "<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal}
        if self.token in compare:
            return compare[self.take()](left, self.sum())
        return left

    def sum(self) -> Any:
        value = self.product()
        while self.token in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Any:
        value = self.signed()
        while self.token in ("*", "/", ".*", "./"):
            mark, right = self.take(), self.signed()
            if (mark == "*" and np.ndim(value) and np.ndim(right)) or (mark == "/" and np.ndim(right)):
                # A product of matrices, which no case needs.
                raise CaseError(_refused(self.line, self.text))
            value = value * right if "*" in mark else np.divide(value, right)
        return value

    def signed(self) -> Any:
        if self.token in ("+", "-"):
            return -self.signed() if self.take() == "-" else self.signed()
        return self.power()

    def power(self) -> Any:
        value = self.primary()
        while self.token in ("^", ".^"):
            mark, exponent = self.take(), self.signed() if self.token in ("+", "-") else self.primary()
            if mark == "^" and (np.ndim(value) or np.ndim(exponent)):
                raise CaseError(_refused(self.line, self.text))
            value = value**exponent
        return value

    def primary(self) -> Any:
        if self.at >= len(self.tokens):
            raise CaseError(_refused(self.line, self.text))
        kind, token = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            return float(token)
        if token == "(":
            self.at += 1
            value = self.comparison()
            self.take(")")
            return value
        if kind != "name":
            raise CaseError(_refused(self.line, self.text))
        self.at += 1
        if token in _FUNCTIONS and self.token == "(":
            self.take("(")
            value = self.sum()
            self.take(")")
            return _FUNCTIONS[token](value)
        value = self._named(token)
        if self.token != "(":
            return value
        if not isinstance(value, np.ndarray):
            raise CaseError(_refused(self.line, self.text))
        self.take("(")
        rows = self.positions(value.shape[0])
        self.take(",")
        columns = self.positions(value.shape[1])
        self.take(")")
        chosen = value[np.ix_(rows, columns)]
        return float(chosen[0, 0]) if chosen.size == 1 else chosen

    def positions(self, size: int) -> np.ndarray:
        """A row or column index: ``:``, a number, ``end``, a range, or a list in brackets; counted from zero."""
        if self.token == ":":
            self.take()
            return np.arange(size)
        if self.token == "[":
            self.take()
            chosen: list[int] = []
            while self.token != "]":
                if self.token == ",":
                    self.take()
                    continue
                chosen += self._range(size)
            self.take("]")
        else:
            chosen = self._range(size)
        if any(not 1 <= k <= size for k in chosen):
            raise CaseError(f"line {self.line}: {self.text!r} names row or column {next(k for k in chosen if not 1 <= k <= size)} of {size}")
        return np.array(chosen, dtype=int) - 1

    def _range(self, size: int) -> list[int]:
        low = self._whole(size)
        if self.token != ":":
            return [low]
        self.take()
        return list(range(low, self._whole(size) + 1))

    def _whole(self, size: int) -> int:
        if self.token == "end":
            self.take()
            return size
        value = self.primary()
        if np.ndim(value) or value != int(value):
            raise CaseError(_refused(self.line, self.text))
        return int(value)

    def _named(self, token: str) -> Any:
        if token.startswith("mpc."):
            name = token.removeprefix("mpc.")
            if name in self.scope.fields:
                return self.scope.fields[name]
            raise CaseError(f"line {self.line}: {token} is used before it is given")
        if token in self.scope.names:
            return self.scope.names[token]
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        raise CaseError(f"line {self.line}: {token!r} is not known; " + _refused(self.line, self.text).split(": ", 1)[1])
