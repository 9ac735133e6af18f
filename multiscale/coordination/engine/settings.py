"""What the settings of all engines have in common; each kind of engine declares its own in its file."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from multiscale.settings import Settings, quantity


class EngineSettings(Settings):
    """Where the work is done."""


class WorkerSettings(EngineSettings):
    """Dask workers, wherever they are: how long is waited for them, and who may speak to them."""

    start_s: float = quantity(120.0, "s", "time that workers may take to come up, at the start and after all were lost", above=0.0, upper=604800.0)
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

    def security(self) -> Any:
        """Certificates of both sides, for Dask; None without: nothing is encrypted, and any process that connects may run code."""
        if self.tls_ca is None:
            return None
        from distributed.security import Security

        mine = {"cert": str(self.tls_certificate), "key": str(self.tls_key)}
        roles = {f"tls_{role}_{part}": file for role in ("client", "scheduler", "worker") for part, file in mine.items()}
        return Security(tls_ca_file=str(self.tls_ca), require_encryption=True, **roles)


class StartedSettings(WorkerSettings):
    """Workers and a scheduler that are started for the run."""

    tls: bool = Field(False, description="speak TLS only, with a certificate that is made for the run and known to its processes alone")

    @model_validator(mode="after")
    def _one_way(self) -> StartedSettings:
        if self.tls and self.tls_ca is not None:
            raise ValueError("tls makes its own certificates, and tls_ca names others; leave one of them out")
        return self

    def security(self) -> Any:
        """As for any workers; with ``tls`` a certificate made now.

        Raises:
            EngineUnavailableError: the package that makes certificates is missing.
        """
        if not self.tls:
            return super().security()
        from distributed.security import Security

        from multiscale.coordination.engine.liveness import EngineUnavailableError

        try:
            return Security.temporary()
        except ImportError:
            message = "engine.tls makes a certificate with the package cryptography, which is not installed"
            raise EngineUnavailableError(f"{message}; python -m pip install 'multiscale[cluster]', or give engine.tls_ca and its fellows") from None
