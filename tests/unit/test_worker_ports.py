"""The ports of workers are theirs alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.core import IcapSettings, StartError
from icapd.workers.ports import close_all, not_to_be_had, reserve
from tests.support.katabridge import Site
from tests.support.processes import free_port


@pytest.fixture
def icap(tmp_path: Path) -> IcapSettings:
    site = Site(tmp_path / "site", "https://cn.example", tmp_path / "site" / "client.pem")
    port = free_port()
    site.changes = {
        "kata": {"server_ca": "client.pem"},
        "icap": {
            "workers": 2,
            "listen": [f"127.0.0.1:{port}", f"[::1]:{port}"],
            "tls": {
                "listen": [f"127.0.0.1:{free_port()}"],
                "cert": "client.pem",
                "key": "client.key",
            },
        },
    }
    return site.settings().icap


@pytest.fixture
def reserved(icap: IcapSettings) -> Iterator[list[socket.socket]]:
    sockets = reserve(icap)
    yield sockets
    close_all(sockets)


def listen(port: int, *, reuse_port: bool) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), reuse_port=reuse_port)


def test_workers_may_listen_and_nobody_else(
    icap: IcapSettings, reserved: list[socket.socket]
) -> None:
    assert len(reserved) == 3
    port = icap.listen[0].port
    with pytest.raises(OSError, match="in use"):
        listen(port, reuse_port=False)
    with (
        listen(port, reuse_port=True),
        listen(port, reuse_port=True),
        pytest.raises(OSError, match="in use"),
    ):
        listen(port, reuse_port=False)


def test_a_second_service_with_workers_is_refused(
    icap: IcapSettings, reserved: list[socket.socket]
) -> None:
    """Even before the first one's workers listen."""
    del reserved
    with pytest.raises(StartError) as refused:
        reserve(icap)
    assert str(refused.value) == (
        f"cannot listen on {icap.listen[0]} (icap.listen): it is taken by another program."
    )


def test_the_key_of_the_address_is_named_and_the_others_are_free_again(icap: IcapSettings) -> None:
    assert icap.tls is not None
    with (
        listen(icap.tls.listen[0].port, reuse_port=True),  # also where it would share
        pytest.raises(StartError, match=r"\(icap.tls.listen\): it is taken"),
    ):
        reserve(icap)
    close_all(reserve(icap))


def test_connections_reach_only_who_listens(
    icap: IcapSettings, reserved: list[socket.socket]
) -> None:
    del reserved
    address = icap.listen[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    with listen(address.port, reuse_port=True) as worker:
        for _ in range(20):
            with socket.create_connection(address, 10):
                worker.accept()[0].close()


def test_what_a_service_left_behind_keeps_nobody_out(icap: IcapSettings) -> None:
    """Connections that the server closed first stay in TIME_WAIT."""
    address = icap.listen[0]
    worker = listen(address.port, reuse_port=True)
    with worker, socket.create_connection(address, 10) as client:
        worker.accept()[0].close()
        assert client.recv(1) == b""
    close_all(reserve(icap))


def test_what_cannot_be_had_is_found_and_nothing_is_held() -> None:
    foreign, port = "192.0.2.1:1344", free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        held = f"127.0.0.1:{taken.getsockname()[1]}"
        icap = IcapSettings.model_validate({"listen": [f"127.0.0.1:{port}", held, foreign]})
        found = [str(sentence) for _, sentence in not_to_be_had(icap)]
        assert found == [
            f"cannot listen on {held} (icap.listen): it is taken by another program.",
            f"cannot listen on {foreign} (icap.listen): it is no address of this machine.",
        ]
    assert list(not_to_be_had(icap.model_copy(update={"listen": icap.listen[:2]}))) == []
    with socket.create_server(("127.0.0.1", port)):
        pass
