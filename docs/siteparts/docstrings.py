"""Docstrings of this project as reStructuredText: indented equations are literal text there, and here."""

import re
from typing import Any

from sphinx.application import Sphinx

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Example|Examples|Note|Notes):$")


def literal_equations(lines: list[str]) -> list[str]:
    """Every paragraph that is indented further than the text before it, outside the sections of a docstring, becomes a literal block."""
    found: list[str] = []
    in_section, in_block = False, False
    for number, line in enumerate(lines):
        indented = line.startswith("    ")
        if line and not indented:
            in_section, in_block = bool(_SECTION.match(line)), False
        if indented and not in_section and not in_block and (number == 0 or not lines[number - 1].strip()):
            in_block = True
            found += ["::", ""]
        # Bars are absolute values here, and would be substitutions there.
        found.append(line if in_block else line.replace("|", "\\|"))
    return found


def _process(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = literal_equations(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in reading docstrings, before napoleon does."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
