"""The statements of an OpenDSS model, read as text before any is executed: files within its folder, statements that build a network, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multiscale.system.problem import InvalidSystemError, Problem

_BUILDS = ("new", "edit", "more", "m", "~", "open", "close", "enable", "disable")
_OWN = ("clear", "clearall", "solve", "calcvoltagebases", "calcv", "setkvbase")
_READS = ("redirect", "compile")
_OMITTED = ("show", "plot", "export", "visualize", "summary", "buscoords", "latlongcoords", "save", "sample", "reset", "help", "get", "dump")
"""Statements that print, draw or write: nothing of the model depends on them."""
_OPTIONS = ("voltagebases", "defaultbasefrequency", "defaultbasefreq", "loadmult", "maxiterations", "maxiter", "maxcontroliter", "tolerance")
"""Options that are kept; time, mode and output are not part of a network."""
_CODE = re.compile(r"\b(user_?model|user_?data|shaft_?model|shaft_?data|dyna_?dll|dyna_?data)\b", re.IGNORECASE)
"""Properties by which a model loads a library."""
_COMMENT = re.compile(r"(!|//).*$")
_DEEPEST = 20


@dataclass(frozen=True)
class Script:
    """A model as statements.

    Attributes:
        statements: in the order in which they are executed.
        files: that were read.
    """

    statements: tuple[str, ...]
    files: tuple[Path, ...]


def read_script(master: Path) -> Script:
    """Read a model and the files that it names.

    Args:
        master: its first file.

    Raises:
        InvalidSystemError: a file that cannot be read or is outside the folder of the first one, a statement that is not known, a property that loads
            code: all of it, with file and line.
    """
    problems: list[Problem] = []
    files: list[Path] = []
    statements = tuple(_statements(master, master.resolve().parent, files, problems, 0))
    if problems:
        raise InvalidSystemError(problems)
    return Script(statements, tuple(files))


def _statements(file: Path, folder: Path, files: list[Path], problems: list[Problem], depth: int) -> Iterator[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        problems.append(Problem("file", str(file), "", "", "", f"cannot be read ({error.strerror}); give the whole folder of the model"))
        return
    files.append(file)
    in_comment = False
    for number, line in enumerate(lines, 1):
        text = _COMMENT.sub("", line).strip()
        if in_comment or text.startswith("/*"):
            in_comment = "*/" not in line
            continue
        if not text:
            continue
        words = text.split(maxsplit=1)
        verb, rest = words[0].lower(), (words[1] if len(words) > 1 else "")

        def refuse(message: str, at: int = number, word: str = words[0]) -> None:
            problems.append(Problem("file", f"{file.name}:{at}", "statement", word[:40], "", message))

        if _CODE.search(text):
            refuse("names a library that would be loaded; remove the property: nothing that a network file names is run")
        elif verb in _READS:
            there = (file.parent / rest.strip().strip("\"'()[]{}").replace("\\", "/")).resolve()
            if depth >= _DEEPEST:
                refuse("reads files that read each other; correct the model")
            elif not there.is_relative_to(folder):
                refuse("reads a file outside the folder of the model; copy it there")
            else:
                yield from _statements(there, folder, files, problems, depth + 1)
        elif verb.startswith("~"):
            yield text
        elif verb == "set":
            if (option := re.match(r"\s*(\w+)\s*=", rest)) and option[1].lower() in _OPTIONS:
                yield text
        elif verb in _BUILDS or re.match(r"[\w-]+\.[^\s=]+\.[\w%-]+\s*=", text):
            yield text
        elif verb not in (*_OWN, *_OMITTED):
            refuse("is no statement of a network that is read (new, edit, set, redirect, open, close, ...); remove it")
