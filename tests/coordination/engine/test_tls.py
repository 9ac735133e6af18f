"""With certificates, driver, scheduler and workers speak TLS only, and who has none is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from multiscale.coordination.engine import make_engine
from multiscale.coordination.engine.settings import AddressSettings, LocalSettings
from multiscale.programs.limits import SolverSettings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of the test")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    key, own = folder / "key.pem", folder / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=multiscale", "-keyout", key, "-out", own]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60)
    return {"tls_ca": own, "tls_certificate": own, "tls_key": key}


def test_workers_of_this_machine_speak_tls(certificates: dict[str, Path]):
    from distributed import Client

    with make_engine(LocalSettings(workers=1, **certificates), SolverSettings()) as engine:
        assert engine.map(abs, {"a": (-1,), "b": (2,)}) == {"a": 1, "b": 2}
        address = engine._client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises((OSError, TypeError, RuntimeError)):
            Client(address.replace("tls://", "tcp://"), timeout="3s")


def test_certificates_come_together_and_with_an_encrypted_address(certificates: dict[str, Path]):
    with pytest.raises(ValidationError, match="tls_certificate, tls_key missing"):
        LocalSettings(tls_ca=certificates["tls_ca"])
    with pytest.raises(ValidationError, match="takes certificates"):
        AddressSettings(address="tls://10.0.0.1:8786")
    with pytest.raises(ValidationError, match="is not encrypted"):
        AddressSettings(address="tcp://10.0.0.1:8786", **certificates)
    with pytest.raises(ValidationError, match="is no file"):
        LocalSettings(**{**certificates, "tls_key": Path("nowhere.pem")})
