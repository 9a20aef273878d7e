"""The TLS port: a connection is counted first, then shakes hands, then is served like any other."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from bridge.core import Address, IcapTlsSettings, StartError
from icapd.access import Access, Entry, Reason
from icapd.channel import Channel
from icapd.complaints import Complaints
from icapd.peer import address_of
from icapd.stream import FLUSH_SECONDS

_BACKLOG = 512
_PAUSE_SECONDS = 0.2
_HAS_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED, of any certificate up to the CA's
_EXPIRED = ": it, or the CA in icap.tls.client_ca"


def make_context(settings: IcapTlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or later; with `client_ca` a certificate is demanded. StartError for a bad file."""
    try:
        return _make_context(settings)
    except OSError as error:
        raise _unusable(settings, error) from None


def renewed_context(
    settings: IcapTlsSettings | None, before: IcapTlsSettings | None
) -> ssl.SSLContext | None:
    """What new settings shake hands by; None: as before. StartError for a bad file.

    Of a section that the configuration has no more, and that waits for a restart, the files may be
    gone: of any other they have just been read.
    """
    if settings is None:
        return None
    try:
        return _make_context(settings)
    except OSError as error:
        if settings == before and not isinstance(error, ssl.SSLError):
            return None
        raise _unusable(settings, error) from None


def _unusable(settings: IcapTlsSettings, error: OSError) -> StartError:
    return StartError(f"{settings.cert}: {error.strerror} (icap.tls).")


def _make_context(settings: IcapTlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(settings.cert, settings.key, password=lambda: b"")
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(settings.client_ca)
    return context


class TlsPorts:
    """Counts those who connect, and hands over to `serve` whose handshake went well.

    Sockets are accepted by hand: a transport would read before it is told that TLS comes.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        access: Access,
        complaints: Complaints,
        new_channel: Callable[[], Channel],
        serve: Callable[[Channel, Entry], None],
    ) -> None:
        self._context = context
        self._access = access
        self._complaints = complaints
        self._new_channel = new_channel
        self._serve = serve
        self._listeners: dict[socket.socket, asyncio.Task[None]] = {}
        self._greeted: set[asyncio.Task[None]] = set()

    def use(self, context: ssl.SSLContext) -> None:
        """Shake hands by this one from now on."""
        self._context = context

    @property
    def addresses(self) -> list[Address]:
        """Where it listens."""
        return [Address(*sock.getsockname()[:2]) for sock in self._listeners]

    def listen(self, address: Address, *, shares_port: bool = False) -> None:
        """Take connections there; OSError where it cannot be had.

        `shares_port`: with other processes that say so, too.
        """
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        sock = socket.create_server(
            address, family=family, backlog=_BACKLOG, reuse_port=shares_port
        )
        sock.setblocking(False)
        self._listeners[sock] = asyncio.create_task(self._accept(sock), name="icap-tls-accept")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor is left, or the peer has gone
                self._complaints.say("unknown", f"no connection can be taken: {error.strerror}")
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._begin(sock, address_of(peer))

    def _begin(self, sock: socket.socket, peer: str) -> None:
        """Who may not connect at all is not worth a handshake."""
        entry = self._access.enter(peer)
        if entry is None:
            sock.close()
        elif entry.refusal is not None and entry.refusal.of_stranger:
            self._access.leave(entry)
            sock.close()
        else:
            task = asyncio.create_task(self._greet(sock, entry), name="icap-handshake")
            self._greeted.add(task)
            task.add_done_callback(self._greeted.discard)

    async def _greet(self, sock: socket.socket, entry: Entry) -> None:
        channel, served = self._new_channel(), False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: channel,
                sock,
                ssl=self._context,
                ssl_handshake_timeout=channel.times.handshake,
                ssl_shutdown_timeout=FLUSH_SECONDS,
            )
            self._serve(channel, entry)
            served = True
        except OSError as error:  # ssl.SSLError is one
            reason = _reason(error)
            if entry.refusal is None and reason is not None:
                self._access.count(Reason.HANDSHAKE)
                sentence = f"the TLS handshake failed: {reason}"
                self._access.note(entry.peer, 0, sentence)
                self._complaints.say(entry.peer, sentence)
        finally:
            if not served:
                self._access.leave(entry)

    async def stop(self) -> None:
        """Take no more, and cut those whose handshake is not done."""
        tasks = [*self._listeners.values(), *self._greeted]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for sock in self._listeners:
            sock.close()
        self._listeners.clear()


def _reason(error: OSError) -> str | None:
    """Why a handshake failed; None where the peer just left, as health checks do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        whose = _EXPIRED if error.verify_code == _HAS_EXPIRED else ""
        return f"its certificate is not accepted ({error.verify_message}{whose})"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, ConnectionAbortedError):
        return "it was not complete within icap.times.handshake"
    return None
