"""What an external system shows to KATA, and KATA to it: certificates and their fingerprints."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import itertools
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_KEY_BITS = 2048
_EXPONENT = 65537
_DAYS = 365
_WARN = timedelta(days=30)


def make_certificate(certificate: Path, key: Path, name: str, addresses: Sequence[str] = ()) -> str:
    """Write a self-signed certificate and its key (PEM, key 0600, no passphrase).

    RSA 2048 for 365 days, as KATA's integration guide asks. `addresses`: host names and IP
    addresses of a server. Returns the certificate's sha256 fingerprint (lower hex). Never
    overwrites: FileExistsError, and then, or after any OSError, neither is there anew.
    """
    private = rsa.generate_private_key(_EXPONENT, _KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=_DAYS))
    )
    if addresses:
        names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(private, hashes.SHA256())
    _write_new(
        key,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        0o600,
    )
    try:
        _write_new(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
    except BaseException:
        key.unlink()  # half a pair would be in the way of the next try
        raise
    return fingerprint(certificate)


def renew_certificate(certificate: Path, key: Path, name: str) -> str:
    """Put a new pair in the place of an old one, which stays beside it as `.old`, `.old2`, ….

    No pair that was kept is overwritten: KATA may still accept only the first of them.

    Returns as `make_certificate`; OSError: the old pair is still in its place.
    """
    new_certificate, new_key = _beside(certificate, ".new"), _beside(key, ".new")
    for leftover in (new_certificate, new_key):
        leftover.unlink(missing_ok=True)
    digits = make_certificate(new_certificate, new_key, name)
    try:
        ending = _free_ending(certificate, key)
        for path in (certificate, key):
            if path.exists():  # its mode stays: KDS keeps the key in the certificate's file, too
                mode = stat.S_IMODE(path.stat().st_mode)
                _write_new(_beside(path, ending), path.read_bytes(), mode)
    except OSError:
        new_certificate.unlink()
        new_key.unlink()
        raise
    new_key.replace(key)
    new_certificate.replace(certificate)
    return digits


def certificate_expiry(certificate: Path) -> datetime:
    """When a PEM certificate ends (UTC); OSError, or ValueError where it is none."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def expiry_warning(path: Path, expires: datetime, now: datetime) -> str | None:
    """One sentence from 30 days before a client certificate's end; both times with a zone."""
    left = expires - now
    if left > _WARN:
        return None
    says = f"has expired on {expires:%Y-%m-%d}"
    if left > timedelta():
        says = f"expires on {expires:%Y-%m-%d}, in {left.days} days"
    return (
        f"the certificate {path} {says}: make a new one with `kata-bridge enrol --renew`; "
        "the KATA administrator must accept it anew."
    )


def fingerprint(certificate: Path) -> str:
    """The sha256 fingerprint of a PEM certificate, lower hex; ValueError where it is none."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    return hashlib.sha256(loaded.public_bytes(serialization.Encoding.DER)).hexdigest()


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _free_ending(*paths: Path) -> str:
    """`.old`, or `.old2` and so on: one that none of the paths has yet."""
    endings = (f".old{number if number > 1 else ''}" for number in itertools.count(1))
    return next(e for e in endings if not any(_beside(path, e).exists() for path in paths))


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
