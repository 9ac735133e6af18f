"""A Slurm of one node on this machine, for tests: its own configuration, state and key in one folder; all its processes end with it.

``python -m tests.cluster.one_node_slurm FOLDER`` starts one to look at, until it is interrupted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
UP_SECONDS = 60

_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=1
KillWait=10
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=short Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def lacking() -> str:
    """Why no Slurm can be started here; empty where one can."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "its daemons are started as root"


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@contextlib.contextmanager
def one_node_slurm(folder: Path, cores: int = 2) -> Iterator[dict[str, str]]:
    """Start it; gives the environment in which its commands find it.

    Args:
        folder: short path (a socket stands in it) that all users may enter.
        cores: that it hands out.

    Raises:
        RuntimeError: it did not come up; with the end of its logs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    configuration = folder / "slurm.conf"
    configuration.write_text(_CONFIGURATION.format(host=host, folder=folder, ports=_free_ports(), cores=cores, memory=memory))
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    files = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={files['socket']}", f"--pid-file={files['pid']}"]
    munged += [f"--log-file={files['log']}", f"--seed-file={files['seed']}"]
    with contextlib.ExitStack() as opened:
        _started(opened, munged, environment, folder)
        _until(files["socket"].exists, folder, "munged")
        _started(opened, ["slurmctld", "-D", "-f", str(configuration)], environment, folder)
        _started(opened, ["slurmd", "-D", "-f", str(configuration)], environment, folder)

        def idle() -> bool:
            said = subprocess.run(["sinfo", "--noheader", "--format", "%T"], env=environment, capture_output=True, text=True, check=False)
            return said.stdout.strip() == "idle"

        _until(idle, folder, "slurmctld and slurmd")
        try:
            yield environment
        finally:
            subprocess.run(["scancel", "--user", "root"], env=environment, capture_output=True, check=False, timeout=30)
            _emptied(environment)


def _started(opened: contextlib.ExitStack, command: list[str], environment: dict[str, str], folder: Path) -> None:
    with (folder / f"{command[0]}.out").open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    opened.callback(_ended, process)


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _until(there: object, folder: Path, what: str) -> None:
    until = time.monotonic() + UP_SECONDS
    while not there():  # type: ignore[operator]
        if time.monotonic() > until:
            logs = "\n".join(
                f"{f.name}: {f.read_text(errors='replace')[-1500:]}" for f in sorted(folder.glob("*.log")) + sorted(folder.glob("*.out"))
            )
            raise RuntimeError(f"{what} did not come up within {UP_SECONDS} s\n{logs}")
        time.sleep(0.2)


def _emptied(environment: dict[str, str]) -> None:
    """Wait until no job runs any more: its processes are gone then."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        said = subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True, text=True, check=False)
        if not said.stdout.strip():
            return
        time.sleep(0.5)


if __name__ == "__main__":
    with one_node_slurm(Path(sys.argv[1]).absolute()) as found:
        print(f"export SLURM_CONF={found['SLURM_CONF']}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
