"""A server's certificate is seen without trusting it, and without telling it anything."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from OpenSSL import SSL

from bridge.core import TrustError, fingerprint, server_certificate
from bridge.emulator import Emulator
from bridge.emulator.tls import TlsStream, server_context
from tests.support.certificates import put_certificate


@contextlib.contextmanager
def one_connection(directory: Path, version: int) -> Iterator[tuple[str, list[str]]]:
    """A server that, as KATA, demands a client certificate: its URL, and what it was shown."""
    certificate, key = directory / "server.pem", directory / "server.key"
    put_certificate(certificate, key, "kata")
    context = server_context(certificate, key)
    context.set_max_proto_version(version)
    peers: list[str] = []
    sent: list[bytes] = []

    def serve() -> None:
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            stream = TlsStream(context, sock)
            peers.append(stream.peer)
            sent.append(stream.read(1) or b"")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", peers
        thread.join(10)
        assert not thread.is_alive()
        assert not b"".join(sent), "something was sent"


@pytest.mark.parametrize(
    "version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["TLS 1.2", "TLS 1.3"]
)
def test_the_certificate_is_seen_though_one_of_ours_is_demanded(
    tmp_path: Path, version: int
) -> None:
    put_certificate(tmp_path / "client.pem", tmp_path / "client.key")
    with one_connection(tmp_path, version) as (url, peers):
        shown = server_certificate(url)
    assert shown.fingerprint == fingerprint(tmp_path / "server.pem")
    assert shown.subject == "CN=kata"
    assert shown.not_before < datetime.now(UTC) < shown.not_after
    assert (shown.not_after - shown.not_before).days == 365
    assert len(peers) == 1
    assert peers[0] != fingerprint(tmp_path / "client.pem"), "it was told who we are"


def test_a_ca_must_vouch_for_chain_and_name(kata: Emulator, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    put_certificate(other, tmp_path / "other.key", "other")
    right = server_certificate(kata.url, ca=kata.certificate)
    assert right.fingerprint == fingerprint(kata.certificate)
    with pytest.raises(TrustError, match="self-signed certificate"):
        server_certificate(kata.url, ca=other)
    by_other_name = kata.url.replace("127.0.0.1", "127.1")
    with pytest.raises(TrustError, match=r"127\.1"):
        server_certificate(by_other_name, ca=kata.certificate)
    assert server_certificate(by_other_name, ca=kata.certificate, any_name=True) == right
    assert not kata.memory.calls, "a request was sent"


def test_nobody_and_no_tls_are_oserrors(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TimeoutError):
            server_certificate(url, seconds=0.2)
    with pytest.raises(ConnectionRefusedError):
        server_certificate(url)
