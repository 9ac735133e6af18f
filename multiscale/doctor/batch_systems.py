"""Which batch systems can be used from here: packages, commands, and whether the batch system answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from multiscale.doctor.finding import Finding

PACKAGES = {
    "dask_jobqueue": "engine=slurm, engine=pbs",
    "submitit": "hydra/launcher=submitit_local, hydra/launcher=submitit_slurm",
    "cryptography": "engine.tls=true",
}
"""Package of the extra ``cluster`` -> what takes it."""

INSTALL = "python -m pip install 'multiscale[cluster]'"
SYSTEMS = (("Slurm", "sbatch", ["sinfo", "--noheader", "--format", "%P %a %D %T"]), ("PBS", "qsub", ["qstat", "-B"]))
"""Name, command that submits, command that is answered where it works."""

PACKED = "packages for batch systems"
SECONDS = 15
"""Time that a batch system may take to answer [s]."""


def check_batch_systems(_: Path) -> Iterator[Finding]:
    """Packages, then Slurm and PBS where their commands are there. A machine without either is no fault, nor are packages it has no use for."""
    systems = [entry for entry in SYSTEMS if shutil.which(entry[1]) is not None]
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        lost = "; ".join(f"{name.replace('_', '-')}, without which {PACKAGES[name]} cannot be used" for name in missing)
        found = f"not installed: {lost}"
        yield Finding("warning", PACKED, found, INSTALL) if systems else Finding("ok", PACKED, f"{found} (if they are wanted: {INSTALL})")
    else:
        yield Finding("ok", PACKED, f"{', '.join(name.replace('_', '-') for name in PACKAGES)} are installed")
    for name, _command, asked in systems:
        yield _answers(name, asked)
    if not systems:
        yield Finding("ok", "batch systems", "neither sbatch (Slurm) nor qsub (PBS) is on the PATH: on a cluster, start runs on a login node")


def _answers(name: str, asked: list[str]) -> Finding:
    remedy = f"load its module or ask its administrators; until then use engine=local (the command was: {' '.join(asked)})"
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("warning", name, f"does not answer ({type(error).__name__})", remedy)
    if said.returncode:
        reason = (said.stderr.strip().splitlines() or [f"code {said.returncode}"])[-1]
        return Finding("warning", name, f"does not answer ({reason})", remedy)
    lines = [line.strip() for line in said.stdout.splitlines() if line.strip()]
    return Finding("ok", name, f"answers: {'; '.join(lines[:4])}{'; ...' if len(lines) > 4 else ''}")
