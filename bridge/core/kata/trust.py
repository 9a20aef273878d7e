"""Looks at a Central Node's certificate before anything is trusted to it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from bridge.core.kata.enrolment import make_certificate

_HTTPS = 443


class TrustError(Exception):
    """A server shows a certificate that cannot be trusted; the text says why."""


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What a server shows: sha256 `fingerprint` (lower hex), RFC 4514 `subject` (untrusted text),
    and the times of its validity (UTC)."""

    fingerprint: str
    subject: str
    not_before: datetime
    not_after: datetime


def server_certificate(
    url: str, *, ca: Path | None = None, any_name: bool = False, seconds: float = 10.0
) -> ServerCertificate:
    """The certificate that the server of an https `url` shows, over TLS without any request.

    Without `ca` nothing is verified; with it the chain is, and the name unless `any_name`, as the
    client does: TrustError where it does not fit. OSError where nobody speaks TLS there. Neither
    our id nor our certificate is shown. Blocks: each wait at most `seconds`.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _HTTPS
    try:
        with (
            socket.create_connection((host, port), seconds) as sock,
            _context(ca, any_name).wrap_socket(sock, server_hostname=host) as tls,
        ):
            shown = tls.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError as error:
        raise TrustError(error.verify_message) from None
    return _read(shown)


def _context(ca: Path | None, any_name: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = ca is not None and not any_name
    if ca is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca)
    with tempfile.TemporaryDirectory() as folder:
        # KATA demands a certificate; in TLS 1.2 a client without one never sees the handshake end
        stranger, key = Path(folder, "stranger.pem"), Path(folder, "stranger.key")
        make_certificate(stranger, key, "stranger")
        context.load_cert_chain(stranger, key)
    return context


def _read(shown: bytes) -> ServerCertificate:
    try:
        certificate = x509.load_der_x509_certificate(shown)
        return ServerCertificate(
            hashlib.sha256(shown).hexdigest(),
            certificate.subject.rfc4514_string(),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
    except ValueError:
        raise TrustError("it cannot be read") from None
