"""Every import goes upwards in one declared list, and no modules import each other in a circle.

All imports count: those of a module, those inside functions, and those for types only.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "multiscale"

ORDER = (
    "version", "units", "symbols", "settings", "machine", "file_locks", "files", "spreadsheets", "content", "packing", "timeline", "aggregation",
    "programs", "attribute", "devices", "measures", "tariffs", "system", "representative_days", "sources", "operation", "markets", "coordination",
    "bilevel", "planning", "verification", "assessment", "results", "config", "pipeline", "study", "interactive", "sweep", "reproduction", "doctor",
    "compare_mechanisms", "plan_futures", "mathematics", "cli", "__main__",
)  # fmt: skip
"""Modules and folders of the package; each imports only from those before it. The same list stands in docs/architecture.md."""

WRONG_WAY: set[tuple[str, str]] = set()
"""Known imports against the order. The list may only become shorter: an entry that is no longer true fails the test."""

RESULTS = ("run", "data", "words", "tables", "figures", "report")
"""Folders of ``results``; each imports only from those before it."""

WRITTEN_WITH_A_RUN = {
    ("multiscale.results.run.run_folder", "multiscale.results.data.dataset"),
    ("multiscale.results.run.run_result", "multiscale.results.data.dataset"),
    ("multiscale.results.run.run_folder", "multiscale.results.report.page"),
}
"""A run folder writes and reads the dataset, and writes the report: imported where that is done."""

CIRCLES: set[frozenset[str]] = set()
"""Known circles of modules; the list may only become shorter."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _imports() -> dict[str, frozenset[str]]:
    """Module -> modules of the package that it names in an import anywhere; a name out of a folder counts as its module where it is one."""
    modules = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    found = {}
    for module, path in modules.items():
        folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = folder.rsplit(".", node.level - 1)[0] if node.level else ""
                base = ".".join(filter(None, [above, node.module]))
                named |= {inner if (inner := f"{base}.{alias.name}") in modules else base for alias in node.names}
        # The package itself holds its entry points only, which are imported when they are first used.
        found[module] = frozenset(name for name in named if name in modules and name not in (module, "multiscale"))
    found.pop("multiscale")
    return found


def _place(module: str) -> str:
    return module.split(".")[1]


def _circles(imports: dict[str, frozenset[str]]) -> set[frozenset[str]]:
    """Sets of modules of which each imports each, directly or through others."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in imports[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    below = {module: reached(module) for module in imports}
    return {frozenset(other for other in found if module in below[other]) for module, found in below.items() if module in found}


def test_every_part_of_the_package_has_its_place_in_the_order():
    parts = {_place(module) for module in _imports()}
    assert parts <= set(ORDER), f"without a place: {sorted(parts - set(ORDER))}"


def test_the_order_is_the_one_of_the_documentation():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"## Import order\n[\s\S]*?\n((?: {4}.+\n)+)", text)
    assert block, "docs/architecture.md has no section 'Import order' with an indented list"
    assert tuple(re.findall(r"\w+", block[1])) == ORDER


def test_every_import_goes_upwards():
    wrong = {(m, n) for m, names in _imports().items() for n in names if ORDER.index(_place(n)) > ORDER.index(_place(m))}
    assert wrong - WRONG_WAY == set(), "imports from further down the order"
    assert WRONG_WAY - wrong == set(), "no longer true; remove from WRONG_WAY"


def test_folders_of_results_import_from_those_before_them():
    inside = {m: m.split(".")[2] for m in _imports() if m.startswith("multiscale.results.") and m.split(".")[2] in RESULTS}
    assert set(inside.values()) == set(RESULTS)
    wrong = {(m, n) for m in inside for n in _imports()[m] if n in inside and RESULTS.index(inside[n]) > RESULTS.index(inside[m])}
    assert wrong == WRITTEN_WITH_A_RUN


def test_no_modules_import_each_other_in_a_circle():
    circles = _circles(_imports())
    assert circles - CIRCLES == set(), "circles of imports"
    assert CIRCLES - circles == set(), "no longer true; remove from CIRCLES"
