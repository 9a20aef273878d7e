"""A client that goes away in mid-body, or Squid itself: nothing of it stays in icapd.

Squid 5.7 does not end these bodies in good order: it closes the ICAP connection of the client that
left, in either direction. What frees everything here is that end of the connection; a proxy that
keeps it open and is silent is freed by the patience for a body (tests/unit/test_session_time.py).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.support.gateway import Serving
from tests.support.origin import content
from tests.support.processes import Program, wait_until
from tests.support.squid import Squid

SECONDS = 20.0  # below every patience of icapd with a body


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    # every body is a file, small ones too, so that a test can see it
    changes = {"spool": {"memory": "1KiB"}}
    with Serving(tmp_path_factory.mktemp("serving"), changes) as running:
        yield running


@pytest.fixture(scope="module")
def squid(serving: Serving) -> Iterator[Squid]:
    with Squid(need("squid"), serving.site.icap_port) as running:
        yield running


def leaves(serving: Serving, leave: Callable[[], object]) -> None:
    """Let somebody leave while icapd takes a body in; then nothing of it is left.

    The file and the record are the last things that the request's task does.
    """
    icapd, port = serving.icapd, serving.site.icap_port
    known, judged = len(serving.site.records()), serving.kata.memory.calls["submit"]
    wait_until(lambda: icapd.open_below(serving.spool), "icapd takes the body in")
    before = icapd.accepted(port)
    leave()
    wait_until(lambda: not icapd.open_below(serving.spool), "its file is closed", SECONDS)
    wait_until(lambda: not list(serving.spool.iterdir()), "its file is gone", SECONDS)
    # Squid may have opened another one meanwhile
    wait_until(lambda: before - icapd.accepted(port), "its connection is gone", SECONDS)
    (record,) = serving.site.wait_records(known + 1)[known:]
    assert (record["outcome"], record["decision"]) == ("error", "block")
    assert serving.kata.memory.calls["submit"] == judged, "a part of a body was judged"


def request(squid: Squid, text: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", squid.port), 20)
    sock.sendall(text.encode("ascii"))
    return sock


# 1,000,000: Squid stalls and the answer has begun; 40,000: icapd has answered nothing but 100
@pytest.mark.parametrize("size", [40_000, 1_000_000])
def test_a_user_whose_browser_is_killed_in_mid_download(
    serving: Serving, squid: Squid, tmp_path: Path, size: int
) -> None:
    url = serving.origin.url(f"/stuck/{size}/1")
    curl = Program(
        ["curl", "-sS", "--noproxy", "", "--proxy", f"http://127.0.0.1:{squid.port}", url],
        tmp_path / "curl.out",
    )

    def leave() -> None:
        curl.process.kill()
        curl.process.wait()

    leaves(serving, leave)


@pytest.mark.parametrize("size", [40_000, 1_000_000])
def test_an_upload_whose_client_leaves(serving: Serving, squid: Squid, size: int) -> None:
    url = serving.origin.url("/up")
    serving.origin.uploads.clear()
    with request(squid, f"PUT {url} HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n") as up:
        up.sendall(content(size // 2, 2))
        leaves(serving, up.close)
    assert serving.origin.uploads == []


def test_squid_is_killed_in_mid_download(serving: Serving, squid: Squid) -> None:
    url = serving.origin.url("/stuck/1000000/1")
    with request(squid, f"GET {url} HTTP/1.1\r\nHost: h\r\n\r\n"):
        leaves(serving, squid.program.process.kill)
    wait_until(lambda: not serving.icapd.connections(serving.site.icap_port), "all are gone")
