"""``engine=address``: the workers of a Dask scheduler that runs already, at an address."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Literal

from pydantic import Field, model_validator

from multiscale.coordination.engine.liveness import EngineUnavailableError
from multiscale.coordination.engine.processes import CONNECT_SECONDS, LOADED
from multiscale.coordination.engine.settings import WorkerSettings


class AddressSettings(WorkerSettings):
    """The workers of a running Dask scheduler."""

    kind: Literal["address"] = "address"
    address: str = Field(description="address of the scheduler, e.g. tcp://10.0.0.1:8786")

    @model_validator(mode="after")
    def _address_given(self) -> AddressSettings:
        if "://" not in self.address:
            raise ValueError(f"address '{self.address}' is no scheduler address; give e.g. address=tcp://10.0.0.1:8786")
        if self.address.startswith("tls://") and self.tls_ca is None:
            raise ValueError(f"address '{self.address}' takes certificates; give tls_ca, tls_certificate and tls_key")
        if self.tls_ca is not None and not self.address.startswith("tls://"):
            raise ValueError(f"address '{self.address}' is not encrypted, and certificates are given; give address=tls://...")
        return self


class RunningWorkers:
    """Workers that others have started; nothing is started, and nothing is ended with the engine.

    Args:
        settings: how long is waited for them, and certificates.
        address: of their scheduler.
        said: the setting that names the scheduler, for messages.
    """

    count, least, lacking = 0, 0, ""

    def __init__(self, settings: WorkerSettings, address: str, said: str = "engine.address") -> None:
        self._settings, self.address, self._said = settings, address, said

    def connect(self, opened: contextlib.ExitStack) -> Any:
        """See ``Workers.connect``."""
        from distributed import Client

        start, security = self._settings.start_s, self._settings.security()
        try:
            client = Client(self.address, timeout=f"{CONNECT_SECONDS}s", set_as_default=False, security=security)
        except (OSError, ValueError) as error:
            message = f"no Dask scheduler answers at {self._said} {self.address!r}: start one (dask scheduler) or choose engine=local"
            trusted = "" if security is None else "; or it does not trust engine.tls_certificate, or is not trusted by engine.tls_ca"
            raise EngineUnavailableError(message + trusted) from error
        opened.callback(client.close)
        try:
            client.wait_for_workers(1, timeout=start)
        except TimeoutError as error:
            message = f"the Dask scheduler at {self.address!r} has no workers: start some (dask worker {self.address})"
            raise EngineUnavailableError(f"{message}; none came within {start:g} s (engine.start_s)") from error
        self.count = len(client.scheduler_info(n_workers=-1)["workers"])

        async def loaded() -> None:
            await client.run(importlib.import_module, LOADED)

        with contextlib.suppress(TimeoutError):  # a worker that is stopped is found when there is work
            client.sync(loaded, callback_timeout=start)
        return client

    def restore(self, there: set[str]) -> None:
        """Others look after them."""

    def waited(self) -> None:
        """They are there."""
