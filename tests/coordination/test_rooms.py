"""The folders of ``coordination/`` import only from those before them, also inside functions and for types."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "multiscale" / "coordination"
ORDER = ["engine", "common", "uncertainty", "publication", "negotiation", "prediction", ""]
"""Folders in the order of imports; the empty name: the files at the top."""
INNER = "negotiation.children"
"""A folder within a folder: it imports nothing from the one around it."""


def _imported(path: Path) -> set[str]:
    """Modules of ``coordination`` that a file imports, without the package's name."""
    head = "multiscale.coordination."
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.removeprefix(head) for name in names if name.startswith(head)}


@pytest.mark.parametrize("room", ORDER)
def test_a_folder_imports_only_from_those_before_it(room):
    allowed = set(ORDER[: ORDER.index(room) + 1])
    files = list((FOLDER / room).rglob("*.py")) if room else list(FOLDER.glob("*.py"))
    assert files
    for path in files:
        for name in _imported(path):
            there = name.split(".")[0] if (FOLDER / name.split(".")[0]).is_dir() else ""
            assert there in allowed, f"{path.relative_to(FOLDER)} imports {name}"


def test_those_who_answer_in_a_negotiation_know_nothing_of_it():
    for path in (FOLDER / "negotiation" / "children").glob("*.py"):
        for name in _imported(path):
            assert not name.startswith("negotiation.") or name.startswith(INNER), f"{path.name} imports {name}"


def test_no_two_files_import_each_other():
    modules = {".".join(p.relative_to(FOLDER).with_suffix("").parts): p for p in FOLDER.rglob("*.py")}
    arrows = {name: {other for other in _imported(path) if other in modules} for name, path in modules.items()}
    done: set[str] = set()
    while ready := {name for name, needs in arrows.items() if name not in done and needs <= done}:
        done |= ready
    assert set(modules) - done == set()
