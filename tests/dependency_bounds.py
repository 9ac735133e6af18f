"""The package with the lowest or the newest versions of its dependencies: ``python -m tests.dependency_bounds lowest | newest``.

Makes an environment of its own, installs the direct dependencies at that end of the range that ``pyproject.toml`` states, and runs a short set of
tests and the study ``tiny`` there. What direct dependencies need themselves is the newest that fits. Exit code 0 where all passes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]

SHORT = ("tests/test_units.py", "tests/programs", "tests/devices", "tests/operation/test_platform.py", "tests/planning/test_social.py")
"""Tests that reach every solver and the formats of tables."""


def lowest(requirement: str) -> str:
    """The lowest version that a requirement admits, as a requirement.

    Raises:
        ValueError: it has no lower bound.
    """
    parsed = Requirement(requirement)
    bounds = [f"{s.version.removesuffix('.*')}" for s in parsed.specifier if s.operator in (">=", "==", "~=")]
    if not bounds:
        raise ValueError(f"{requirement!r} has no lower bound; state one in pyproject.toml")
    # A series such as 3.5.* is left to the installer: which release of it is the first cannot be read off it.
    return requirement if any(s.version.endswith(".*") for s in parsed.specifier) else f"{parsed.name}=={bounds[0]}"


def requirements(end: str) -> list[str]:
    """Direct dependencies, and those of the tests, at an end of their range."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    stated, asked = list(project["dependencies"]), ["test"]
    while asked:
        for one in extras[asked.pop()]:
            parsed = Requirement(one)
            # An extra may ask for another one of this package.
            if parsed.name == project["name"]:
                asked += parsed.extras
            else:
                stated.append(one)
    return [lowest(one) for one in stated] if end == "lowest" else stated


def main() -> int:
    """Install and test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("end", choices=("lowest", "newest"))
    end = parser.parse_args().end
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "environment" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(requirements(end)) + "\n", encoding="utf-8")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        steps = [
            [*pip, "install", "--progress-bar", "off", "--upgrade", "--upgrade-strategy", "eager", "-c", str(constraints), f"{ROOT}[test]"],
            [*pip, "list"],
            [str(python), "-m", "pytest", "-q", "-x", *SHORT],
            [str(python), "-m", "multiscale", "run", "study=tiny", f"output.folder={folder}/runs"],
        ]
        for step in steps:
            code = subprocess.run(step, cwd=ROOT, check=False).returncode
            if code:
                print(f"with the {end} dependencies this failed: {' '.join(step)}", file=sys.stderr)
                return code
    print(f"with the {end} dependencies all passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
