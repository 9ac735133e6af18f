"""Settings of the engine: one class for every place where the work may be done."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from multiscale.settings import Settings, count, quantity


class EngineSettings(Settings):
    """Where the work is done."""


class SerialSettings(EngineSettings):
    """This process, one task after the other: for debugging and tests."""

    kind: Literal["serial"] = "serial"


class WorkerSettings(EngineSettings):
    """Dask workers, wherever they are: how long is waited for them."""

    start_s: float = quantity(120.0, "s", "time that workers may take to come up, at the start and after all were lost", above=0.0, upper=86400.0)
    silence_s: float = quantity(
        30.0, "s", "time without a sign of life after which a worker is given up and its tasks begin elsewhere", lower=5.0, upper=3600.0
    )
    patience_s: float = quantity(3600.0, "s", "time that one task may take; then its worker is ended and the task is named", above=0.0, upper=1e6)
    tls_ca: Path | None = Field(None, description="certificate of the authority that all sides trust (PEM); with it only TLS is spoken")
    tls_certificate: Path | None = Field(None, description="certificate that this side shows to the others (PEM)")
    tls_key: Path | None = Field(None, description="private key of that certificate (PEM)")

    @model_validator(mode="after")
    def _tls_whole(self) -> WorkerSettings:
        given = {"tls_ca": self.tls_ca, "tls_certificate": self.tls_certificate, "tls_key": self.tls_key}
        lacking = [name for name, file in given.items() if file is None]
        if 0 < len(lacking) < len(given):
            raise ValueError(f"{', '.join(lacking)} missing; TLS takes tls_ca, tls_certificate and tls_key together")
        for name, file in given.items():
            if file is not None and not file.is_file():
                raise ValueError(f"{name} '{file}' is no file; give one in PEM format")
        if self.tls_ca is not None and self.tls_certificate is not None:
            try:
                ssl.create_default_context(cafile=self.tls_ca).load_cert_chain(self.tls_certificate, self.tls_key, password="")
            except OSError as error:  # errors of TLS among them
                raise ValueError(
                    f"tls_ca, tls_certificate and tls_key cannot be used together ({error}); give PEM files, the key of the certificate"
                ) from None
        return self


class LocalSettings(WorkerSettings):
    """Dask workers on this machine."""

    kind: Literal["local"] = "local"
    workers: int = count(2, "number of worker processes", 1, 4096)
    threads_per_worker: int = count(1, "tasks that each worker process does at the same time", 1, 256)


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
