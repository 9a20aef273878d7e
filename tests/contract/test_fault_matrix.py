"""Every fault of every call, once, at times and always: never clean unless KATA said so."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from bridge.core import Core, Decision, Outcome, OutcomeKind
from tests.support.certificates import put_certificate
from tests.support.judging import judge, with_core
from tests.support.katabridge import Site

K = OutcomeKind
CALLS = ("submit", "state", "delete", "alerts")
FAULTS = ("401", "404", "413", "429", "500", "garbage", "reset", "silence")
RATES = ("one", "some", "all")
SOMETIMES_LONG = ["one", pytest.param("some", marks=pytest.mark.long), "all"]
SHORT = 2.0  # seconds that calls get where KATA is silent; else nothing is to be late
LONG = 20.0


_PLAIN = {
    "delete": "OK",
    "alerts": '{"detects": [], "token": "1"}',
    "filters": '{"maxObjectSize": 1000000}',
}


class FaultyKata:
    """A KATA whose verdict stands in the content, and that fails as it is told."""

    def __init__(self, server: HTTPServer) -> None:
        self.fault = self.call = self.rate = ""
        self.states: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        anything = re.compile(r"^/kata/scanner/v1/sensors/")
        server.expect_request(anything).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        call = _call(request)
        self.asked[call] += 1
        number = self.asked[call]
        fails = {"one": number == 1, "some": number % 3 == 1, "all": True}[self.rate]
        if call == self.call and fails:
            return self._fail(request)
        if call == "submit":
            return self._submit(request)
        return self._state() if call == "state" else Response(_PLAIN[call])

    def _submit(self, request: Request) -> Response:
        content = request.files["content"].stream.read().decode()
        self.states[request.form["scanId"]] = content.partition("|")[0]
        return Response("OK")

    def _state(self) -> Response:
        states = [{"scanId": i, "state": s} for i, s in list(self.states.items())]
        return Response(str(states).replace("'", '"'))

    def _fail(self, request: Request) -> Response:
        if self.fault == "reset":
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        if self.fault == "silence":
            _wait_for_the_client_to_leave(request.environ["werkzeug.socket"])
        if self.fault.isdigit():
            return Response("", int(self.fault))
        return Response("<html>not detected</html>")


def _wait_for_the_client_to_leave(sock: socket.socket) -> None:
    sock.settimeout(20)
    with contextlib.suppress(OSError):
        while sock.recv(1000):
            pass


def _call(request: Request) -> str:
    if request.method != "GET":
        return {"POST": "submit", "DELETE": "delete"}[request.method]
    last = request.path.rpartition("/")[2]
    return {"state": "state", "filters": "filters", "detects": "alerts"}[last]


@pytest.fixture
def faulty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> Iterator[tuple[FaultyKata, Site]]:
    seconds = SHORT if fault == "silence" else LONG
    monkeypatch.setattr("bridge.core.kata.client._STATE_SECONDS", seconds)
    monkeypatch.setattr("bridge.core.kata.client._UPLOAD_BASE_SECONDS", seconds)
    put_certificate(tmp_path / "k.pem", tmp_path / "k.key", "kata")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "k.pem", tmp_path / "k.key")
    with HTTPServer(host="127.0.0.1", ssl_context=context, threaded=True) as server:
        site = Site(tmp_path / "site", f"https://127.0.0.1:{server.port}", tmp_path / "k.pem")
        site.changes = {"kata": {"verdict_timeout": "2s", "poll_interval": "300ms"}}
        yield FaultyKata(server), site


SAID = {"detect": K.DETECT, "not detected": K.NOT_DETECTED, "error": K.ERROR}
CONTENTS = [f"{state}|{n}" for n in range(3) for state in SAID]


def outcomes(site: Site) -> list[tuple[Outcome, Decision]]:
    async def work(core: Core) -> list[tuple[Outcome, Decision]]:
        return await asyncio.gather(*(judge(core, data.encode()) for data in CONTENTS))

    return with_core(site, work)


# What a fault that passes must not change: calls that are simply made again.
HARMLESS = [
    *[("submit", fault, "one") for fault in ("429", "500", "reset", "silence")],
    ("submit", "429", "some"),
    *[("state", fault, rate) for fault in FAULTS for rate in ("one", "some")],
    *[(call, fault, rate) for call in ("delete", "alerts") for fault in FAULTS for rate in RATES],
]


@pytest.mark.parametrize("rate", SOMETIMES_LONG)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_never_becomes_clean(
    faulty: tuple[FaultyKata, Site], fault: str, call: str, rate: str
) -> None:
    kata, site = faulty
    kata.fault, kata.call, kata.rate = fault, call, rate
    if (call, fault, rate) in HARMLESS:
        site.changes["kata"]["verdict_timeout"] = "30s"
    got = outcomes(site)
    for data, (outcome, decision) in zip(CONTENTS, got, strict=True):
        said = SAID[data.partition("|")[0]]
        if outcome.kind is K.NOT_DETECTED:
            assert said is K.NOT_DETECTED, f"{data} became clean"
        if outcome.kind is not K.OVERSIZE:  # which the policy of this door passes, as documented
            assert (decision is Decision.PASS) == (outcome.kind is K.NOT_DETECTED)
        elif (fault, call) != ("413", "submit"):
            pytest.fail(f"{data} is oversize, and nobody said so")
        if (call, fault, rate) in HARMLESS:
            assert outcome.kind is said, f"{data}: a fault that passes decided"
    assert len(site.wait_records(len(CONTENTS))) == len(CONTENTS)
    assert kata.asked[call] > 0, "the fault never happened"
