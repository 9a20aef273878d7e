"""What each answer of KATA becomes; nothing but `not detected` for these bytes ever passes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from bridge.core import (
    Core,
    Decision,
    Door,
    Outcome,
    OutcomeKind,
    Source,
    StartError,
)
from bridge.emulator import Emulator
from tests.support.certificates import put_certificate
from tests.support.judging import judge, make_item, with_core
from tests.support.katabridge import Site
from tests.support.processes import wait_until

K = OutcomeKind


class FakeKata:
    """A KATA that answers as a test says: (status, body) or (status, body, fields)."""

    def __init__(self, server: HTTPServer) -> None:
        self.submit: list[Any] = [(200, "OK")]
        self.state: list[Any] = [(200, '[{"scanId": "%s", "state": "not detected"}]')]
        self.delete: list[Any] = [(200, "OK")]
        self.scan_ids: list[str] = []
        self.deleted: list[str] = []
        self.state_calls = 0
        self.posted_at: list[float] = []
        anything = re.compile(r"^/kata/scanner/v1/sensors/")
        server.expect_request(anything, "POST").respond_with_handler(self._submit)
        server.expect_request(anything, "GET").respond_with_handler(self._state)
        server.expect_request(anything, "DELETE").respond_with_handler(self._delete)

    def _submit(self, request: Request) -> Response:
        self.posted_at.append(time.monotonic())
        assert request.form["objectType"] == "file"
        assert request.files["content"].filename
        answer = _next(self.submit)
        if answer.status_code == 200:
            self.scan_ids.append(request.form["scanId"])
        return answer

    def _state(self, request: Request) -> Response:
        if request.path.endswith("/filters"):
            return Response('{"maxObjectSize": 104857600, "version": "1"}')
        if request.path.endswith("/detects"):
            return Response('{"detects": [], "token": "1"}')
        assert request.args["state"] == "detect,not detected,processing,error,timeout"
        self.state_calls += 1
        if not self.scan_ids:
            return Response(status=404)
        answer = _next(self.state)
        answer.set_data(answer.get_data(as_text=True).replace("%s", self.scan_ids[-1]))
        return answer

    def _delete(self, request: Request) -> Response:
        self.deleted.append(request.path.rpartition("/")[2])
        return _next(self.delete)


def _next(answers: list[Any]) -> Response:
    status, body, *fields = answers.pop(0) if len(answers) > 1 else answers[0]
    return Response(body, status, dict(*fields))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HTTPServer, Path]]:
    folder = tmp_path_factory.mktemp("fake-kata")
    put_certificate(folder / "k.pem", folder / "k.key", "kata")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "k.pem", folder / "k.key")
    with HTTPServer(host="127.0.0.1", ssl_context=context, threaded=True) as running:
        yield running, folder / "k.pem"


@pytest.fixture
def fake(server: tuple[HTTPServer, Path], tmp_path: Path) -> Iterator[tuple[FakeKata, Site]]:
    running, certificate = server
    running.clear()
    site = Site(tmp_path / "site", f"https://127.0.0.1:{running.port}", certificate)
    site.changes = {"kata": {"verdict_timeout": "20s", "poll_interval": "300ms"}}
    yield FakeKata(running), site
    running.check_assertions()


def outcome_of(site: Site, data: bytes = b"some bytes") -> tuple[Outcome, Decision]:
    async def work(core: Core) -> tuple[Outcome, Decision]:
        return await judge(core, data)

    return with_core(site, work)


SHAPES = [
    ("bare array", '[{"scanId": "%s", "state": "STATE"}]'),
    ("object", '{"scans": [{"scanId": "%s", "state": "STATE"}]}'),
    ("array of one state", '{"scans": [{"scanId": "%s", "state": ["STATE"]}]}'),
    ("with others", '[{"scanId": 5, "state": "detect"}, {"scanId": "%s", "state": "STATE"}]'),
]
STATES = [
    ("not detected", K.NOT_DETECTED, Decision.PASS),
    ("detect", K.DETECT, Decision.BLOCK),
    ("error", K.ERROR, Decision.BLOCK),
    ("timeout", K.TIMEOUT, Decision.BLOCK),
]


@pytest.mark.parametrize(("state", "kind", "decision"), STATES, ids=[s[0] for s in STATES])
@pytest.mark.parametrize("shape", [s[1] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_every_state_in_every_shape(
    fake: tuple[FakeKata, Site], shape: str, state: str, kind: OutcomeKind, decision: Decision
) -> None:
    kata, site = fake
    kata.state = [(200, shape.replace("STATE", "processing")), (200, shape.replace("STATE", state))]
    outcome, decided = outcome_of(site)
    assert (outcome.kind, outcome.source, decided) == (kind, Source.KATA, decision)
    assert outcome.md5 == hashlib.md5(b"some bytes").hexdigest()
    assert kata.deleted == kata.scan_ids


def test_integer_ids_are_found(fake: tuple[FakeKata, Site], monkeypatch: Any) -> None:
    kata, site = fake
    monkeypatch.setattr("bridge.core.posting.new_scan_id", lambda: "12345")
    kata.state = [(200, json.dumps({"scans": [{"scanId": 12345, "state": "detect"}]}))]
    outcome, _ = outcome_of(site)
    assert outcome.kind is K.DETECT


@pytest.mark.parametrize(
    ("answers", "kind", "posts"),
    [
        ([(401, "")], K.UNAVAILABLE, 1),
        ([(413, "")], K.OVERSIZE, 1),
        ([(500, "")], K.UNAVAILABLE, 3),
        ([(503, "")], K.UNAVAILABLE, 3),
        ([(404, "")], K.UNAVAILABLE, 3),
        ([(302, "", {"Location": "/x"})], K.UNAVAILABLE, 3),
        ([(202, "OK")], K.UNAVAILABLE, 3),
    ],
)
def test_submissions_that_kata_does_not_take(
    fake: tuple[FakeKata, Site], answers: list[Any], kind: OutcomeKind, posts: int
) -> None:
    kata, site = fake
    kata.submit = answers
    outcome, decision = outcome_of(site)
    assert outcome.kind is kind
    assert len(kata.posted_at) == posts
    if kind is not K.OVERSIZE:
        assert decision is Decision.BLOCK


@pytest.mark.parametrize("answers", [[(429, "")] * 2, [(500, "")] * 2, [(429, ""), (500, "")]])
def test_a_passing_fault_is_tried_again(fake: tuple[FakeKata, Site], answers: list[Any]) -> None:
    kata, site = fake
    kata.submit = [*answers, (200, "OK")]
    outcome, decision = outcome_of(site)
    assert (outcome.kind, decision) == (K.NOT_DETECTED, Decision.PASS)
    assert len(kata.posted_at) == 3


def test_retry_after_is_honoured(fake: tuple[FakeKata, Site]) -> None:
    kata, site = fake
    kata.submit = [(429, "", {"Retry-After": "2"}), (200, "OK")]
    outcome_of(site)
    assert kata.posted_at[1] - kata.posted_at[0] >= 2


def test_retry_after_nothing_is_no_reason_to_hurry(fake: tuple[FakeKata, Site]) -> None:
    kata, site = fake
    kata.submit = [(429, "", {"Retry-After": "0"})]
    site.changes["kata"]["verdict_timeout"] = "2s"
    outcome, _ = outcome_of(site)
    assert outcome.kind is K.UNAVAILABLE
    assert len(kata.posted_at) <= 6


def test_a_kata_that_stays_busy_is_unavailable(fake: tuple[FakeKata, Site]) -> None:
    kata, site = fake
    kata.submit = [(429, "")]
    site.changes["kata"]["verdict_timeout"] = "2s"
    outcome, decision = outcome_of(site)
    assert (outcome.kind, decision) == (K.UNAVAILABLE, Decision.BLOCK)
    assert "kata.verdict_timeout" in outcome.detail


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    "answer",
    [
        (401, ""),
        (500, ""),
        (204, ""),
        (404, ""),
        (200, "OK"),
        (200, "<html>"),
        (200, '{"scans": null}'),
        (200, '[{"scanId": "somebody else", "state": "not detected"}]'),
        (200, '[{"scanId": "%s", "state": "processing"}]'),
        (200, '[{"scanId": "%s", "state": "clean"}]'),
        (200, '[{"scanId": "%s"}]'),
        (302, "", {"Location": "https://["}),
    ],
    ids=lambda answer: f"{answer[0]} {answer[1][:30]}",
)
def test_without_a_state_there_is_no_verdict(fake: tuple[FakeKata, Site], answer: Any) -> None:
    kata, site = fake
    kata.state = [answer]
    site.changes["kata"]["verdict_timeout"] = "2s"
    outcome, decision = outcome_of(site)
    assert (outcome.kind, decision) == (K.TIMEOUT, Decision.BLOCK)
    assert kata.state_calls >= 2
    assert kata.deleted == kata.scan_ids


@pytest.mark.parametrize("answer", [(404, ""), (500, "")])
def test_a_scan_that_cannot_be_forgotten_changes_nothing(
    fake: tuple[FakeKata, Site], answer: Any
) -> None:
    kata, site = fake
    kata.delete = [answer]
    outcome, decision = outcome_of(site)
    assert (outcome.kind, decision) == (K.NOT_DETECTED, Decision.PASS)


# -- with the emulator, which demands a client certificate ----------------------------------------


@pytest.mark.parametrize("fault", ["drop", "500", "429"])
def test_a_dropped_or_failing_submission_goes_through_at_the_next_try(
    kata: Emulator, site: Site, fault: str
) -> None:
    outcome, decision = outcome_of(site, b"#kata http=%b times=1\n" % fault.encode())
    assert (outcome.kind, decision) == (K.NOT_DETECTED, Decision.PASS)
    assert kata.memory.calls["submit"] == 2
    wait_until(lambda: not kata.memory.scans, "the scan was not DELETEd")


def test_a_kata_that_always_drops_is_unavailable(kata: Emulator, site: Site) -> None:
    outcome, decision = outcome_of(site, b"#kata http=drop\n")
    assert (outcome.kind, decision) == (K.UNAVAILABLE, Decision.BLOCK)
    assert kata.memory.calls["submit"] == 3


def test_nobody_listens(kata: Emulator, site: Site) -> None:
    kata.stop()
    outcome, decision = outcome_of(site)
    assert (outcome.kind, decision) == (K.UNAVAILABLE, Decision.BLOCK)
    assert "Connection refused" in outcome.detail


def test_the_next_central_node_is_asked_when_one_is_down(kata: Emulator, site: Site) -> None:
    site.changes = {"kata": {"urls": ["https://127.0.0.1:1", kata.url]}}
    outcome, _ = outcome_of(site)
    assert outcome.kind is K.NOT_DETECTED


def test_faults_of_one_file_say_nothing_of_kata(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(core: Core) -> None:
        await core.greet()
        await judge(core, b"#kata http=500\n1")
        assert "takes no files" not in caplog.text
        for number in range(4):
            await judge(core, b"#kata http=500\n2%d" % number)
        assert caplog.text.count("KATA takes no files") == 1, "so many in a row speak of KATA"
        while not core.kata_works:  # a knock finds out, not a user's file
            await asyncio.sleep(0.05)
        assert (await judge(core, b"good"))[0].kind is K.NOT_DETECTED

    with_core(site, work)


def test_one_good_central_node_is_enough_for_kata_to_work(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.changes = {"kata": {"urls": ["https://127.0.0.1:1", kata.url]}}

    async def work(core: Core) -> None:
        for number in range(3):
            await judge(core, b"%d" % number)
            assert core.kata_works

    with_core(site, work)
    assert caplog.text.count("KATA takes no files: https://127.0.0.1:1: ") == 1
    assert "again" not in caplog.text


def test_a_delete_that_fails_is_tried_again(fake: tuple[FakeKata, Site]) -> None:
    kata, site = fake
    kata.delete = [(500, ""), (200, "OK")]
    outcome_of(site)
    assert kata.deleted == kata.scan_ids * 2


def test_no_acceptance_is_said_plainly(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    kata.memory.accept = "manual"
    outcome, decision = outcome_of(site)
    assert (outcome.kind, decision) == (K.UNAVAILABLE, Decision.BLOCK)
    assert f"waiting for the KATA administrator to accept sensorId {site.sensor_id}" in caplog.text


def test_a_server_with_another_certificate_gets_no_file(
    kata: Emulator, site: Site, tmp_path: Path
) -> None:
    site.changes = {"kata": {"server_fingerprint": "sha256:" + "00" * 32}}
    outcome, _ = outcome_of(site)
    assert outcome.kind is K.UNAVAILABLE
    put_certificate(tmp_path / "other.pem", tmp_path / "other.key", "other")
    site.changes = {"kata": {"server_ca": str(tmp_path / "other.pem"), "server_fingerprint": None}}
    outcome, _ = outcome_of(site)
    assert outcome.kind is K.UNAVAILABLE
    assert "certificate verify failed" in outcome.detail
    assert kata.memory.calls["submit"] == 0


def test_the_fingerprint_alone_is_enough(kata: Emulator, site: Site) -> None:
    site.changes = {"kata": {"server_ca": None}}
    outcome, _ = outcome_of(site)
    assert outcome.kind is K.NOT_DETECTED
    assert kata.memory.calls["submit"] == 1


def test_a_proxy_of_the_environment_is_not_used(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    outcome, _ = outcome_of(site)
    assert outcome.kind is K.NOT_DETECTED
    assert kata.memory.calls["submit"] == 1


def test_a_file_name_that_is_not_utf8_is_submitted(kata: Emulator, site: Site) -> None:
    async def work(core: Core) -> None:
        item = await make_item(core, b"x", "caf\udce9.txt")
        result = await core._client.submit(kata.url, "1", item)
        item.body.release()
        assert result.detail == "submit answered 200 OK"

    with_core(site, work)
    assert kata.memory.submitted[0].name == "caf?.txt"


def test_what_is_sent_is_what_was_spooled(kata: Emulator, site: Site) -> None:
    data = bytes(n % 253 for n in range(2_000_000))
    outcome_of(site, data)
    (scan,) = kata.memory.submitted
    assert scan.size == len(data)
    assert scan.instance == "test.icap.0"
    assert scan.sensor == site.sensor_id


def test_fifty_at_once_with_equal_bytes_cost_one_submission(kata: Emulator, site: Site) -> None:
    async def work(core: Core) -> list[tuple[Outcome, Decision]]:
        return await asyncio.gather(*(judge(core, b"same") for _ in range(50)))

    outcomes = with_core(site, work)
    assert {outcome.kind for outcome, _ in outcomes} == {K.NOT_DETECTED}
    assert kata.memory.calls["submit"] == 1
    assert len(site.records()) == 50


def test_equal_bytes_never_share_a_failure(kata: Emulator, site: Site) -> None:
    async def work(core: Core) -> list[tuple[Outcome, Decision]]:
        first = asyncio.create_task(judge(core, b"#kata http=500 times=3\n"))
        while not core._submitter.in_flight:  # no event tells
            await asyncio.sleep(0.01)
        second = await judge(core, b"#kata http=500 times=3\n")
        return [await first, second]

    first, second = with_core(site, work)
    assert first[0].kind is K.UNAVAILABLE
    assert second[0].kind is K.NOT_DETECTED


def test_who_stops_waiting_gets_pending_and_the_next_gets_the_verdict(
    kata: Emulator, site: Site
) -> None:
    data = b"#kata state=detect delay=1\n"

    async def work(core: Core) -> list[tuple[Outcome, Decision]]:
        return [await judge(core, data, wait=0.2), await judge(core, data)]

    first, second = with_core(site, work)
    assert (first[0].kind, first[1]) == (K.PENDING, Decision.HOLD)
    assert (second[0].kind, second[1]) == (K.DETECT, Decision.BLOCK)
    assert kata.memory.calls["submit"] == 1
    late = [record for record in site.records("log-detects.log") if record["late"]]
    assert [record["case"] for record in late] == [site.records()[0]["case"]]
    assert [record["outcome"] for record in site.records()] == ["pending", "detect"]


def test_the_number_of_state_calls_depends_on_time_not_on_items(kata: Emulator, site: Site) -> None:
    async def work(core: Core) -> float:
        begin = time.monotonic()
        await asyncio.gather(*(judge(core, b"%d" % n) for n in range(200)))
        return time.monotonic() - begin

    seconds = with_core(site, work)
    assert kata.memory.calls["submit"] == 200
    assert kata.memory.calls["state"] <= seconds / 0.3 + 1
    wait_until(lambda: not kata.memory.scans, "not every scan was DELETEd")


def test_past_max_in_flight_and_queue_items_are_unavailable(kata: Emulator, site: Site) -> None:
    site.changes = {"kata": {"max_in_flight": 2, "queue": 3}}

    async def work(core: Core) -> list[tuple[Outcome, Decision]]:
        data = [b"#kata delay=1\n%d" % n for n in range(8)]
        return await asyncio.gather(*(judge(core, each) for each in data))

    kinds = [outcome.kind for outcome, _ in with_core(site, work)]
    assert kinds.count(K.NOT_DETECTED) == 5
    assert kinds.count(K.UNAVAILABLE) == 3


def test_a_stop_gives_nobody_a_clean_verdict_and_the_next_start_takes_the_scan_up(
    kata: Emulator, site: Site
) -> None:
    data = b"#kata state=detect delay=2\n"

    async def stopped() -> tuple[Outcome, Decision]:
        async with Core(site.settings(), Door.ICAP) as core:
            task = asyncio.create_task(judge(core, data))
            while not kata.memory.scans:  # another thread's
                await asyncio.sleep(0.01)
            await core.stop_judging()
            return await task

    outcome, decision = asyncio.run(stopped())
    assert (outcome.kind, decision) == (K.UNAVAILABLE, Decision.BLOCK)
    assert len(kata.memory.scans) == 1
    outcome, decision = outcome_of(site, data)
    assert (outcome.kind, outcome.source, decision) == (K.DETECT, Source.KATA, Decision.BLOCK)
    assert kata.memory.calls["submit"] == 1
    wait_until(lambda: not kata.memory.scans, "the scan was not DELETEd")


def test_two_processes_of_one_instance_are_refused(kata: Emulator, site: Site) -> None:
    del kata

    async def work(core: Core) -> None:
        del core
        with pytest.raises(StartError, match="runs already"):
            Core(site.settings(), Door.ICAP)

    with_core(site, work)
