"""The statements of an OpenDSS model, read as text before any is executed: files within its folder, statements that build a network, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from multiscale.system.problem import InvalidSystemError, Problem

_BUILDS = ("new", "edit", "more", "m", "open", "close", "enable", "disable")
_OWN = ("clear", "clearall", "solve", "calcvoltagebases", "calcv")
_READS = ("redirect", "compile")
_OMITTED = ("show", "plot", "export", "visualize", "summary", "buscoords", "latlongcoords", "save", "sample", "reset", "help", "get", "dump")
"""Statements that print, draw or write: nothing of the model depends on them."""
_BASES = "voltagebases"
_OPTIONS = (
    _BASES, "defaultbasefrequency", "defaultbasefreq", "loadmult", "genmult", "controlmode",
    "maxiterations", "maxiter", "maxcontroliter", "tolerance",
)  # fmt: skip
"""Options that are kept; time, mode and output are not part of a network."""
_LIBRARIES = ("usermodel", "userdata", "shaftmodel", "shaftdata", "dynadll", "dynadata")
"""Properties by which a model loads a library."""
_LOADING = ("generator", "pvsystem", "storage", "capcontrol")
"""Classes that have them. OpenDSS takes the beginning of a property's name for it, and values without a name by their place."""
_COMMENT = re.compile(r"(!|//).*$")
_PAIR = re.compile(r"""([^\s,="'()\[\]{}]+)\s*=\s*("[^"]*"|'[^']*'|\([^)]*\)|\[[^\]]*\]|\{[^}]*\}|[^\s,="'()\[\]{}]+)""")
"""A property and its value."""
_OBJECT = re.compile(r"""\s*(?:\w+\s*=\s*)?["'(\[{]?\s*(\w+)\.[^\s,=]+""")
"""The object that a statement is about, with its class."""
_WORD = re.compile(r"""'([^']*)'|"([^"]*)"|([^\s,=()\[\]{}"']+)""")
_DEEPEST = 20


@dataclass(frozen=True)
class Script:
    """A model as statements.

    Attributes:
        statements: in the order in which they are executed.
        files: that were read, and those that statements name.
    """

    statements: tuple[str, ...]
    files: tuple[Path, ...]


def read_script(master: Path) -> Script:
    """Read a model and the files that it names.

    Args:
        master: its first file.

    Raises:
        InvalidSystemError: a file that cannot be read or is outside the folder of the first one, a statement that is not known, a property that loads
            code: all of it, with file and line; or no voltage bases.
    """
    reader = _Reader(master.resolve().parent)
    statements = tuple(reader.statements(master, 0))
    if not reader.problems and not any(text.startswith(f"set {_BASES}=") for text in statements):
        message = "sets no voltage bases, without which OpenDSS takes those of North America; add 'set voltagebases=[...]' (kV, phase to phase)"
        reader.problems.append(Problem("file", str(master), "", "", "", message))
    if reader.problems:
        raise InvalidSystemError(reader.problems)
    return Script(statements, tuple(reader.files))


@dataclass
class _Reader:
    """One reading.

    Attributes:
        folder: of the model.
        files: that were read or named so far.
        problems: found so far.
        kind: class of the object that was named last, to which lines that go on belong.
    """

    folder: Path
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    kind: str = ""

    def statements(self, file: Path, depth: int) -> Iterator[str]:
        """Those of a file and of the files that it reads."""
        try:
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except OSError as error:
            self.problems.append(Problem("file", str(file), "", "", "", f"cannot be read ({error.strerror}); give the whole folder of the model"))
            return
        self.files.append(file)
        in_comment = False
        for number, line in enumerate(lines, 1):
            text = _COMMENT.sub("", line).strip()
            if in_comment or text.startswith("/*"):
                in_comment = "*/" not in line
            elif text:
                yield from self._statement(text, file, number, depth)

    def _statement(self, text: str, file: Path, number: int, depth: int) -> Iterator[str]:
        words = ("~", text[1:]) if text.startswith("~") else (*text.split(maxsplit=1), "")
        verb, rest = words[0].lower(), words[1]
        if wrong := self._wrong(verb, text, rest):
            self._refuse(file, number, words[0], wrong)
        elif verb in _READS:
            there = (file.parent / rest.strip().strip("\"'()[]{}").replace("\\", "/")).resolve()
            if depth >= _DEEPEST:
                self._refuse(file, number, words[0], "reads files that read each other; correct the model")
            elif not there.is_relative_to(self.folder):
                self._refuse(file, number, words[0], "reads a file outside the folder of the model; copy it there")
            else:
                # Files that statements name are in the folder of the file in which they stand.
                yield f'set datapath="{there.parent}"'
                yield from self.statements(there, depth + 1)
                yield f'set datapath="{file.resolve().parent}"'
        elif verb == "set":
            yield from (f"set {name.lower()}={value}" for name, value in _PAIR.findall(rest) if name.lower() in _OPTIONS)
        elif verb not in (*_OWN, *_OMITTED):
            self._name_files(text, file, number)
            yield text

    def _wrong(self, verb: str, text: str, rest: str) -> str:
        """Why a statement is refused; empty where it is not."""
        if re.search(r"[\x00-\x08\x0e-\x1f]", text):
            return "holds a control character; remove it"
        if verb in (*_READS, *_OWN, *_OMITTED, "set"):
            return ""
        sets = re.match(r"[\w-]+\.[^\s=]+\.[\w%-]+\s*=", text)
        if verb != "~" and verb not in _BUILDS and not sets:
            return "is no statement of a network that is read (new, edit, set, redirect, open, close, ...); remove it"
        named = _OBJECT.match(rest) if verb in ("new", "edit") else None
        if named or sets:
            self.kind = (named[1] if named else text.partition(".")[0]).lower()
        given = text if sets else rest[named.end() :] if named else rest
        if self.kind in _LOADING and verb not in ("open", "close", "enable", "disable"):
            names = [name.rpartition(".")[2].lower() for name, _ in _PAIR.findall(given)]
            shortened = [name for name in names if any(library.startswith(name) for library in _LIBRARIES)]
            # The damping of a generator is called D.
            if [name for name in shortened if (self.kind, name) != ("generator", "d")] or _PAIR.sub("", given).strip(" ,\t\"')]}"):
                return "names a library that would be loaded, or could; write every property as name=value, in full, and no model of one's own"
        return ""

    def _name_files(self, text: str, file: Path, number: int) -> None:
        """Files whose numbers a statement takes are part of the model, and in its folder."""
        for word in (next(filter(None, found), "") for found in _WORD.findall(text)):
            there = file.parent / word.replace("\\", "/")
            # No name of a file is longer.
            if not word or len(word) > 250 or not there.is_file():
                continue
            if not there.resolve().is_relative_to(self.folder):
                self._refuse(file, number, word, "is a file outside the folder of the model; copy it there")
            elif there not in self.files:
                self.files.append(there)

    def _refuse(self, file: Path, number: int, word: str, message: str) -> None:
        self.problems.append(Problem("file", f"{file.name}:{number}", "statement", word[:40], "", message))
