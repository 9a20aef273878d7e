"""Which certificate icapd shows to those who come: that of the file may be newer. Blocks."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bridge.core import Address, IcapTlsSettings
from icapd.selftest.asking import Place, reached
from icapd.selftest.finding import Finding

_CERTIFICATE = 11  # a handshake message (RFC 5246, 7.4)
_HANDSHAKE = b"\x16"  # a record (RFC 5246, 6.2.1)
_RECEIVE = 1 << 16
_RELOAD = "reload icapd (SIGHUP), and have what renews the certificate do so"
_SEE = "see what listens there, and the log of icapd"
_RESTART = "restart icapd: a new address of icap.tls.listen takes that"


def look_at_shown(
    tls: IcapTlsSettings, seconds: float, is_let_in: Callable[[Place], bool]
) -> Iterator[Finding]:
    """Shake hands with each address of `icap.tls.listen`, `seconds` at most with each.

    `is_let_in`: whether this machine is, where it asks there.
    """
    ours = x509.load_pem_x509_certificate(tls.cert.read_bytes())
    for place in (Place(reached(address), True) for address in tls.listen if address.port):
        try:
            shown = shown_at(place.address, seconds)
        except ConnectionRefusedError:
            sentence = f"nothing listens on {place}, which icap.tls.listen names"
            yield Finding("failed", sentence, _RESTART)
        except OSError as error:  # ssl.SSLError is one
            if is_let_in(place):
                sentence = f"{place} does not answer a TLS handshake: {error}"
                yield Finding("failed", sentence, _SEE)
            else:
                sentence = f"{place} does not serve this machine, nor show its certificate"
                yield Finding("skipped", sentence)
        else:
            yield judge_shown(place, shown, ours, datetime.now(UTC))


def judge_shown(place: Place, shown: bytes, ours: x509.Certificate, now: datetime) -> Finding:
    """Whether what is shown (DER) is the certificate of the file; `now` with a zone. Pure."""
    if shown == ours.public_bytes(Encoding.DER):
        return Finding("ok", f"{place} shows the certificate of icap.tls.cert")
    begin = f"icap.tls.cert was replaced: icapd at {place} still shows the old one"
    with contextlib.suppress(ValueError):  # of one that is odd no date is known
        ends = x509.load_der_x509_certificate(shown).not_valid_after_utc
        if ends <= now:
            sentence = f"{begin}, which has expired on {ends:%Y-%m-%d}"
            return Finding("failed", sentence, _RELOAD)
        begin += f", which is valid until {ends:%Y-%m-%d}"
    return Finding("warning", begin, _RELOAD)


def shown_at(address: Address, seconds: float) -> bytes:
    """The certificate (DER) that a TLS server shows, also one that then wants ours; OSError.

    We leave before it is told that all went well: so it has nothing to complain of.
    """
    end = time.monotonic() + seconds
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # what it shows is for the proxies to judge, who know it by another name than this one
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls, heard = context.wrap_bio(incoming, outgoing), b""
    with socket.create_connection(address, seconds) as sock:
        try:
            while (shown := _shaken(tls)) is None:
                sock.sendall(outgoing.read())
                sock.settimeout(_left(end))
                data = sock.recv(_RECEIVE)
                if not data:
                    raise ConnectionAbortedError("the connection is cut")
                heard += data
                incoming.write(data)
        except OSError:
            shown = certificate_in(heard)  # before TLS 1.3 it comes first, and ours is missed after
            if shown is None:
                raise
    return shown


def _shaken(tls: ssl.SSLObject) -> bytes | None:
    """The certificate, once the handshake is done on our side."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return None
    return tls.getpeercert(binary_form=True)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long")
    return left


def certificate_in(data: bytes) -> bytes | None:
    """The server's certificate in the beginning of a handshake before TLS 1.3, which is in plain;
    None where it is not there. Pure."""
    messages = b""
    while data[:1] == _HANDSHAKE:
        end = 5 + int.from_bytes(data[3:5], "big")
        messages, data = messages + data[5:end], data[end:]
    while messages:
        end = 4 + int.from_bytes(messages[1:4], "big")
        if messages[0] == _CERTIFICATE:
            size = int.from_bytes(messages[7:10], "big")
            shown = messages[10:end][:size]
            return shown if size and len(shown) == size else None
        messages = messages[end:]
    return None
