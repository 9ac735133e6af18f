"""Expressions of MATPOWER case files: numbers, names, parts of tables, arithmetic, comparisons and a few functions, as MATLAB evaluates them.

What has no real number as its value is refused, as is whatever else an expression may hold in MATLAB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
_TEXT = r"'((?:[^'\n]|'')*)'"
_BETWEEN = str.maketrans("", "", " \t\n,;")
_CONSTANTS = {"pi": np.pi, "Inf": np.inf, "inf": np.inf, "NaN": np.nan, "nan": np.nan, "eps": np.finfo(float).eps}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*(?:\.\w+)?)|(?P<mark>\.\*|\./|\.\^|==|~=|<=|>=|[-+*/^(),:\[\]<>;]))"
)


class CaseError(ValueError):
    """A line of a case file that is not read."""


@dataclass
class Scope:
    """Variables and fields of the case so far."""

    fields: dict[str, Any] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)


def refused(line: int, text: str) -> str:
    """Says that something is not read, and what to do."""
    shown = " ".join(text.split())[:100]
    return f"line {line}: {shown!r} is a statement that is not read; run it in MATPOWER and store the result with savecase"


def right_side(text: str, scope: Scope, line: int) -> Any:
    """The value right of an assignment: a text, a list of texts, a table or an expression. Never a table that another name has."""
    texts = re.findall(_TEXT, text)
    if re.fullmatch(_TEXT, text):
        return texts[0].replace("''", "'")
    if text.startswith("{"):
        if re.sub(_TEXT, "", text).translate(_BETWEEN) != "{}":
            raise CaseError(refused(line, text))
        return [part.replace("''", "'") for part in texts]
    found = _table(text, scope, line) if text.startswith("[") else value(text, scope, line)
    return found.copy() if isinstance(found, np.ndarray) else found


def _table(text: str, scope: Scope, line: int) -> np.ndarray:
    if not text.endswith("]"):
        raise CaseError(refused(line, text))
    rows = []
    for row in re.split(r"[;\n]", text[1:-1]):
        entries = row.replace(",", " ").split()
        if entries:
            rows.append([_entry(entry, scope, line) for entry in entries])
    if not rows:
        return np.zeros((0, 0))
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise CaseError(f"line {line}: the rows of the table {text[:20].strip()!r} have {sorted(widths)} entries; they must have equally many")
    return np.array(rows, dtype=float).reshape(len(rows), -1)


def _entry(text: str, scope: Scope, line: int) -> float:
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text):
        return float(text)
    found = value(text, scope, line)
    if np.ndim(found):
        raise CaseError(refused(line, text))
    return float(found)


def value(text: str, scope: Scope, line: int) -> Any:
    """The value of an expression: a number, a truth value, or a table.

    Raises:
        CaseError: an expression that is not read, or has no value.
    """
    reader = _Reader(_tokens(text, line), scope, line, text)
    try:
        with np.errstate(all="ignore"):
            found = reader.comparison()
    except ValueError as error:
        if isinstance(error, CaseError):
            raise
        raise CaseError(f"line {line}: {text[:80]!r} joins tables of different shapes ({error})") from None
    except RecursionError:
        raise CaseError(f"line {line}: {text[:40]!r} is nested too deeply") from None
    if reader.token:
        raise CaseError(refused(line, text))
    return found


def _tokens(text: str, line: int) -> list[tuple[str, str]]:
    found, at, text = [], 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise CaseError(refused(line, text))
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    return found


def part_of(inside: str, table: np.ndarray, scope: Scope, line: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows and columns named between parentheses."""
    reader = _Reader(_tokens(inside, line), scope, line, inside)
    rows = reader.positions(table.shape[0])
    reader.take(",")
    columns = reader.positions(table.shape[1])
    if reader.token:
        raise CaseError(refused(line, inside))
    return rows, columns


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[tuple[str, str]], scope: Scope, line: int, text: str) -> None:
        self.tokens, self.at, self.scope, self.line, self.text = tokens, 0, scope, line, text

    @property
    def token(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.token
        if not token or (expected and token != expected):
            raise CaseError(refused(self.line, self.text))
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
                raise CaseError(refused(self.line, self.text))
            value = value * right if "*" in mark else np.divide(value, right)
        return value

    def signed(self) -> Any:
        if self.token in ("+", "-"):
            return -self.signed() if self.take() == "-" else self.signed()
        return self.power()

    def power(self) -> Any:
        value = self.primary()
        while self.token in ("^", ".^"):
            mark, sign = self.take(), 1.0
            while self.token in ("+", "-"):
                sign = -sign if self.take() == "-" else sign
            exponent = sign * self.primary()
            if mark == "^" and (np.ndim(value) or np.ndim(exponent)):
                raise CaseError(refused(self.line, self.text))
            value = self.real(np.power(value, exponent), value, exponent)
        return value

    def primary(self) -> Any:
        if self.at >= len(self.tokens):
            raise CaseError(refused(self.line, self.text))
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
            raise CaseError(refused(self.line, self.text))
        self.at += 1
        if token in _FUNCTIONS and token not in self.scope.names and self.token == "(":
            self.take("(")
            value = self.sum()
            self.take(")")
            return self.real(_FUNCTIONS[token](value), value)
        value = self._named(token)
        if isinstance(value, str | list):
            raise CaseError(refused(self.line, self.text))
        if self.token != "(":
            return value
        if not isinstance(value, np.ndarray):
            raise CaseError(refused(self.line, self.text))
        self.take("(")
        rows = self.positions(value.shape[0])
        self.take(",")
        columns = self.positions(value.shape[1])
        self.take(")")
        chosen = value[np.ix_(rows, columns)]
        return float(chosen[0, 0]) if chosen.size == 1 else chosen

    def real(self, found: Any, *given: Any) -> Any:
        """A result, which MATLAB would make complex where it is none of real numbers."""
        if np.isnan(found).any() and not any(np.isnan(x).any() for x in given):
            raise CaseError(f"line {self.line}: {self.text[:80]!r} has no real number as its value; correct it")
        return found if np.ndim(found) else float(found)

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
        high = self._whole(size)
        if low < 1 or high > size:
            raise CaseError(f"line {self.line}: {self.text!r} names row or column {low if low < 1 else high} of {size}")
        return list(range(low, high + 1))

    def _whole(self, size: int) -> int:
        if self.token == "end":
            self.take()
            return size
        value = self.primary()
        if np.ndim(value) or value != int(value):
            raise CaseError(refused(self.line, self.text))
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
        raise CaseError(f"line {self.line}: {token!r} is not known; " + refused(self.line, self.text).split(": ", 1)[1])
