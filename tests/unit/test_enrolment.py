"""Certificates for the authorisation of an external system."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from bridge.core import fingerprint, make_certificate


def test_a_certificate_that_openssl_accepts(tmp_path: Path) -> None:
    certificate, key = tmp_path / "a" / "c.pem", tmp_path / "a" / "c.key"
    digits = make_certificate(certificate, key, "gateway", ["cn.example", "10.0.0.1"])
    text = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-text", "-fingerprint", "-sha256"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "Public-Key: (2048 bit)" in text
    assert "DNS:cn.example, IP Address:10.0.0.1" in text
    assert digits == fingerprint(certificate)
    assert ":".join(digits[n : n + 2] for n in range(0, 64, 2)).upper() in text
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_certificate(certificate, key, "one")
    before = key.read_bytes()
    with pytest.raises(FileExistsError):
        make_certificate(certificate, key, "two")
    assert key.read_bytes() == before
