"""With certificates, driver, scheduler and workers speak TLS only, and who has none is refused."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from distributed import Client
from distributed.comm import CommClosedError
from pydantic import ValidationError

from multiscale.coordination.engine import AddressSettings, EngineUnavailableError, LocalSettings, make_engine
from multiscale.programs.limits import SolverSettings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of the test")


def _made(folder: Path, name: str) -> dict[str, Path]:
    key, own = folder / f"{name}.key", folder / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=multiscale", "-keyout", key, "-out", own]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60)
    return {"tls_ca": own, "tls_certificate": own, "tls_key": key}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _made(tmp_path_factory.mktemp("certificates"), "own")


def _answer(address: str, certificates: dict[str, Path], shown: dict[str, Path] | None) -> bytes:
    """First byte of a scheduler for a client that trusts it, and shows a certificate, or none."""
    context = ssl.create_default_context(cafile=str(certificates["tls_ca"]))
    context.check_hostname = False
    if shown:
        context.load_cert_chain(shown["tls_certificate"], shown["tls_key"])
    host, port = address.removeprefix("tls://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain, context.wrap_socket(plain) as encrypted:
        return encrypted.recv(1)


def test_workers_of_this_machine_speak_tls(certificates: dict[str, Path], tmp_path: Path):
    with make_engine(LocalSettings(workers=1, **certificates), SolverSettings()) as engine:
        assert engine.map(abs, {"a": (-1,), "b": (2,)}) == {"a": 1, "b": 2}
        address = engine._client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        assert _answer(address, certificates, certificates)
        # It is the scheduler that refuses: by an alert where TLS is spoken, else by closing the connection.
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            _answer(address, certificates, None)
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            _answer(address, certificates, _made(tmp_path, "foreign"))
        with pytest.raises(CommClosedError):
            Client(address.replace("tls://", "tcp://"), timeout="10s")


def test_one_setting_makes_a_certificate_for_the_run(certificates: dict[str, Path], monkeypatch):
    with make_engine(LocalSettings(workers=1, tls=True), SolverSettings()) as engine:
        assert engine.map(abs, {"a": (-1,)}) == {"a": 1}
        address = engine._client.scheduler.address
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            _answer(address, certificates, certificates)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(EngineUnavailableError, match=r"package cryptography, .* pip install 'multiscale\[cluster\]'"):
        LocalSettings(tls=True).security()


def test_certificates_come_together_and_with_an_encrypted_address(certificates: dict[str, Path], tmp_path: Path):
    with pytest.raises(ValidationError, match="tls_certificate, tls_key missing"):
        LocalSettings(tls_ca=certificates["tls_ca"])
    with pytest.raises(ValidationError, match="leave one of them out"):
        LocalSettings(tls=True, **certificates)
    with pytest.raises(ValidationError, match="takes certificates"):
        AddressSettings(address="tls://10.0.0.1:8786")
    with pytest.raises(ValidationError, match="is not encrypted"):
        AddressSettings(address="tcp://10.0.0.1:8786", **certificates)
    with pytest.raises(ValidationError, match="is no file"):
        LocalSettings(**{**certificates, "tls_key": Path("nowhere.pem")})
    (tmp_path / "rubbish.pem").write_text("rubbish")
    for name, other in (("tls_key", _made(tmp_path, "foreign")["tls_key"]), *((name, tmp_path / "rubbish.pem") for name in certificates)):
        with pytest.raises(ValidationError, match="cannot be used together"):
            LocalSettings(**{**certificates, name: other})
