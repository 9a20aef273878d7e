"""One body for one service, and what the history has of it. Blocks: network, disk."""

from __future__ import annotations

import json
import secrets
import ssl
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.core import HISTORY, Address, IcapSettings, ServiceSettings, tail_lines
from icapd.client import Answer, IcapClient
from icapd.protocol import ProtocolError
from icapd.selftest.judging import End, Tried

USER = "kata-bridge check"
_CLEAN = b"katabridge asks itself: a body in which nothing is to be found\n"
# In two halves, so that no scanner takes this file for the test file (eicar.org).
_EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_PREVIEW = 1024
_WINDOW = 4 << 20  # bytes of the log in which our own record is
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to listen on


@dataclass(frozen=True, slots=True)
class Place:
    """Where icapd listens, as it is reached from this machine."""

    address: Address
    is_tls: bool

    def __str__(self) -> str:
        return f"{self.address}{' (TLS)' if self.is_tls else ''}"


def place_of(icap: IcapSettings) -> Place:
    """The first address, of this machine itself if one is; the TLS port where there is no other."""
    is_tls = not icap.listen
    addresses = icap.tls.listen if is_tls and icap.tls is not None else icap.listen
    places = [reached(each) for each in addresses]
    own = (each for each in places if each.host in _ANY.values())
    return Place(next(own, places[0]), is_tls)


def reached(address: Address) -> Address:
    """Where an address to listen on is asked from this machine."""
    return Address(_ANY.get(address.host, address.host), address.port)


class _TlsClient(IcapClient):
    def __init__(self, host: str, port: int, timeout: float) -> None:
        super().__init__(host, port, timeout)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # what it shows is for the proxies to judge, who know it by another name than this one
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            self._socket = context.wrap_socket(self._socket)
        except BaseException:
            self._socket.close()
            raise


def connect(place: Place, seconds: float) -> IcapClient:
    """A connection; OSError where there is none. `seconds` for each wait."""
    kind = _TlsClient if place.is_tls else IcapClient
    return kind(*place.address, seconds)


def why_refused(answer: Answer) -> str:
    """What an ICAP error says."""
    said = answer.fields.get("x-response-info")
    return f"ICAP status {answer.status}{f', {said}' if said else ''}"


def try_body(  # noqa: PLR0913 - what is sent, where, and for how long
    place: Place,
    path: str,
    service: ServiceSettings,
    *,
    threat: bool,
    logs: Path,
    seconds: float,
) -> Tried:
    """Send it under an address of its own, by which its record is found."""
    address = f"http://katabridge.invalid/check/{secrets.token_hex(8)}"
    url = f"{address}/{'eicar.com' if threat else 'clean.txt'}"
    nothing = Tried(path, service.mode, service.hold_seconds, threat, End.LOST)
    begin = time.monotonic()
    try:
        with connect(place, seconds) as client:
            answer, body = _send(client, path, service, url, threat=threat)
    except TimeoutError:
        waited = time.monotonic() - begin
        return replace(nothing, words=f"none within {waited:.0f} s", waited=waited)
    except (OSError, ProtocolError) as error:
        return replace(nothing, words=str(error))
    end = end_of(answer, body)
    if end is End.REFUSED:
        return replace(nothing, end=end, words=why_refused(answer))
    return replace(nothing, end=end, record=find_record(logs, url))


def end_of(answer: Answer, body: bytes) -> End:
    """What an answer does with the body that was sent. Pure."""
    if answer.status == 204:
        return End.PASSED
    if answer.status not in (200, 206):
        return End.REFUSED
    status = answer.http_head.status
    if status == 403:
        return End.BLOCKED
    return End.PASSED if status in (None, 200) and answer.body == body else End.LATER


def find_record(logs: Path, url: str) -> dict[str, Any] | None:
    """The newest record of an address; None where the log has none, or cannot be read."""
    wanted, found = url.encode(), None
    try:
        for line in tail_lines(logs / HISTORY, _WINDOW):
            found = line if wanted in line else found
        record = json.loads(found) if found is not None else None
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _send(
    client: IcapClient, path: str, service: ServiceSettings, url: str, *, threat: bool
) -> tuple[Answer, bytes]:
    body = _EICAR if threat else _CLEAN
    fields = {"X-Client-Username": USER}
    about = b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % len(body)
    host = b"Host: katabridge.invalid\r\n"
    if service.method == "REQMOD":
        request = b"POST %s HTTP/1.1\r\n" % url.encode() + host + about
        return client.reqmod(path, request, body, preview=_PREVIEW, fields=fields), body
    request = b"GET %s HTTP/1.1\r\n" % url.encode() + host + b"\r\n"
    response = b"HTTP/1.1 200 OK\r\n" + about
    return client.respmod(path, request, response, body, preview=_PREVIEW, fields=fields), body
