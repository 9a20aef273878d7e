"""What an external system shows to KATA, and KATA to it: certificates and their fingerprints."""

from __future__ import annotations

import hashlib
import ipaddress
import os
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


def make_certificate(certificate: Path, key: Path, name: str, addresses: Sequence[str] = ()) -> str:
    """Write a self-signed certificate and its key (PEM, key 0600, no passphrase).

    RSA 2048 for 365 days, as KATA's integration guide asks. `addresses`: host names and IP
    addresses of a server. Returns the certificate's sha256 fingerprint (lower hex). Never
    overwrites: FileExistsError.
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
    _write_new(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
    return fingerprint(certificate)


def fingerprint(certificate: Path) -> str:
    """The sha256 fingerprint of a PEM certificate, lower hex; ValueError where it is none."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    return hashlib.sha256(loaded.public_bytes(serialization.Encoding.DER)).hexdigest()


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
