"""``engine=scheduler_file``: the workers of a Dask scheduler that wrote its address into a file, as ``dask scheduler --scheduler-file`` does."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from multiscale.coordination.engine.address import AddressSettings, RunningWorkers
from multiscale.coordination.engine.liveness import EngineUnavailableError
from multiscale.coordination.engine.settings import WorkerSettings

LOOK_SECONDS = 0.5
"""How often it is looked whether the file is there [s]."""


class SchedulerFileSettings(WorkerSettings):
    """The workers of a Dask scheduler that wrote its address into a file, e.g. within one allocation of a batch system."""

    kind: Literal["scheduler_file"] = "scheduler_file"
    scheduler_file: Path = Field(description="file of dask scheduler --scheduler-file, on a disk that all sides see; it is waited for")


class FileWorkers(RunningWorkers):
    """Workers of the scheduler that a file names.

    Args:
        settings: which file, how long is waited, certificates.
    """

    def __init__(self, settings: SchedulerFileSettings) -> None:
        super().__init__(settings, "", "the address in engine.scheduler_file")
        self._file = settings.scheduler_file

    def connect(self, opened: contextlib.ExitStack) -> Any:
        """See ``Workers.connect``."""
        until = time.monotonic() + self._settings.start_s
        while not (address := self._stated()):
            if time.monotonic() > until:
                message = f"engine.scheduler_file '{self._file}' is not there after {self._settings.start_s:g} s (engine.start_s)"
                raise EngineUnavailableError(f"{message}; start its scheduler: dask scheduler --scheduler-file {self._file}")
            time.sleep(LOOK_SECONDS)
        certificates = {name: getattr(self._settings, name) for name in ("tls_ca", "tls_certificate", "tls_key")}
        try:
            self.address = AddressSettings(address=address, **certificates).address
        except ValidationError as error:
            raise EngineUnavailableError(f"engine.scheduler_file '{self._file}': {error.errors()[0]['msg']}") from None
        return super().connect(opened)

    def _stated(self) -> str:
        """The address in the file; empty while there is none, as it may be half written."""
        try:
            stated = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return ""
        except OSError as error:
            raise EngineUnavailableError(f"engine.scheduler_file '{self._file}' cannot be read ({error.strerror}); give another one") from None
        return str(stated.get("address", "")) if isinstance(stated, dict) else ""
