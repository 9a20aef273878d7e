"""Certificates for the authorisation of an external system."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.core import (
    certificate_expiry,
    expiry_warning,
    fingerprint,
    make_certificate,
    renew_certificate,
)


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


@pytest.mark.parametrize("there", ["c.pem", "c.key"])
def test_no_half_pair_is_left_behind(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(FileExistsError):
        make_certificate(tmp_path / "c.pem", tmp_path / "c.key", "one")
    assert os.listdir(tmp_path) == [there]  # noqa: PTH208 - names, not paths
    assert (tmp_path / there).read_text() == "mine"


def test_a_renewed_pair_fits_and_the_old_one_is_kept(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_certificate(certificate, key, "one")
    for ending in (".old", ".old2"):  # the second time there are old ones already
        before = certificate.read_bytes(), key.read_bytes()
        (tmp_path / "c.key.new").write_text("of a try that was cut off")
        digits = renew_certificate(certificate, key, "one")
        assert digits == fingerprint(certificate)
        old = tmp_path / f"c.pem{ending}", tmp_path / f"c.key{ending}"
        assert (old[0].read_bytes(), old[1].read_bytes()) == before
        assert before != (certificate.read_bytes(), key.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certificate, key)
    context.load_cert_chain(*old)
    for private in (key, old[1]):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == 6


def test_a_private_key_in_the_certificates_file_stays_private(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key"
    make_certificate(certificate, key, "one")
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())  # as KDS has it
    certificate.chmod(0o600)
    renew_certificate(certificate, key, "one")
    for path in (tmp_path / "cert.pem.old", tmp_path / "key.old"):
        assert b"PRIVATE KEY" in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("at", [1, 2, 3, 4], ids=["key", "certificate", "old", "old key"])
def test_a_renewal_that_fails_leaves_the_old_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_certificate(certificate, key, "one")
    before = certificate.read_bytes(), key.read_bytes()
    real, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        renew_certificate(certificate, key, "two")
    assert (certificate.read_bytes(), key.read_bytes()) == before
    assert not list(tmp_path.glob("*.new"))


def test_when_a_certificate_ends(tmp_path: Path) -> None:
    make_certificate(tmp_path / "c.pem", tmp_path / "c.key", "one")
    left = certificate_expiry(tmp_path / "c.pem") - datetime.now(UTC)
    assert timedelta(days=364, hours=23) < left < timedelta(days=365)
    with pytest.raises(ValueError, match=r"."):
        certificate_expiry(tmp_path / "c.key")


END = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (timedelta(days=30, seconds=1), None),
        (timedelta(days=30), "expires on 2027-03-01, in 30 days: "),
        (timedelta(hours=1), "expires on 2027-03-01, in 0 days: "),
        (timedelta(), "has expired on 2027-03-01: "),
        (timedelta(days=-400), "has expired on 2027-03-01: "),
    ],
)
def test_the_end_is_warned_of(before: timedelta, says: str | None) -> None:
    warning = expiry_warning(Path("/etc/c.pem"), END, END - before)
    if says is None:
        assert warning is None
    else:
        assert warning is not None
        assert f"the certificate /etc/c.pem {says}" in warning
        assert "`kata-bridge enrol --renew`" in warning
