"""The folders of ``bilevel`` and the modules of ``programs`` import in one direction only."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import multiscale

ROOT = Path(multiscale.__file__).parent
FOLDERS = ("problem", "normal", "solvers", "read", "reformulate", "search", "scip", "decomposition", "certify", "tree")


def imported(path):
    """Modules of the package a file imports, also inside functions and for types."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("multiscale."):
            whole = ROOT.parent.joinpath(*node.module.split("."))
            for name in node.names:
                yield f"{node.module}.{name.name}" if (whole / f"{name.name}.py").exists() else node.module


def modules(folder):
    """Module -> modules of the same folder it imports; ``__init__`` files only re-export."""
    found = {}
    for path in (ROOT / folder).rglob("*.py"):
        if path.name != "__init__.py":
            name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
            found[name] = {other for other in imported(path) if other.startswith(f"multiscale.{folder}.")}
    return found


def test_a_folder_of_bilevel_imports_only_from_those_before_it():
    for name, others in modules("bilevel").items():
        parts = name.split(".")
        if len(parts) == 3:
            continue
        allowed = FOLDERS[: FOLDERS.index(parts[2]) + 1]
        # A tree is made of whole solves; what takes time asks the clock.
        allowed += ("solving",) if parts[2] == "tree" else ()
        assert {other.split(".")[2] for other in others} <= {*allowed, "clock"}, name


@pytest.mark.parametrize("folder", ["bilevel", "programs"])
def test_modules_import_each_other_in_no_circle(folder):
    found = modules(folder)
    assert len(tuple(TopologicalSorter(found).static_order())) == len(found) >= 9


def test_every_folder_has_a_place_in_the_order():
    assert {path.name for path in (ROOT / "bilevel").iterdir() if (path / "__init__.py").exists()} == set(FOLDERS)
