"""icapd passes every case, CONFORMANCE.md says what is so, and the command works."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.conformance import page
from tests.conformance.__main__ import main, measure
from tests.conformance.cases import CASES
from tests.conformance.conversation import run_case
from tests.conformance.model import At, Case, Delivery
from tests.conformance.runner import Target
from tests.conformance.servers import icapd
from tests.conftest import need
from tests.support.processes import free_port, wait_until

TIMEOUT = 10.0
RUNS = [(case, delivery) for case in CASES for delivery in case.deliveries]
_UNSTEADY = 8  # cases where c-icap races with itself
_SPARE = 3  # descriptors that a server may have opened on the way and keeps: logs, databases


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with icapd(tmp_path_factory.mktemp("conformance")) as (found, program, site):
        before = program.descriptors()
        yield found
        wait_until(
            lambda: program.descriptors() <= before + _SPARE, "all descriptors are given back"
        )
        assert not program.connections(site.icap_port)
    assert "Traceback" not in program.output()


@pytest.mark.parametrize(
    ("case", "delivery"), RUNS, ids=[f"{case.name}-{delivery}" for case, delivery in RUNS]
)
def test_icapd_conforms(target: Target, case: Case, delivery: Delivery) -> None:
    service = target.service(case.at)
    assert service is not None, "icapd offers both methods, each at a service of its own"
    assert run_case(case, service, delivery, TIMEOUT) is None


def test_there_are_enough_cases_and_no_two_are_the_same() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({case.requirement for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.requirement.endswith("."), case.name
        assert len(case.requests[-1].steps) <= 2


def _page() -> str:
    return page.PAGE.read_text()


def _failing(row: list[str]) -> list[bool]:
    """Whether each of the other servers fails, in whatever delivery."""
    return [cell.startswith("FAIL") for cell in row[5:]]


def test_the_page_lists_every_case_and_icapd_passes_them() -> None:
    listed = page.rows(_page())
    assert [row[:4] for row in listed] == [page.described(case) for case in CASES]
    assert {row[4] for row in listed} == {"pass"}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_page_is_what_the_servers_answer_now() -> None:
    need("c-icap")
    columns, versions = measure(3.0)
    now, then = (page.rows(text) for text in (page.text(columns, versions), _page()))
    assert [row[:5] for row in now] == [row[:5] for row in then]
    differing = [
        (new, old) for new, old in zip(now, then, strict=True) if _failing(new) != _failing(old)
    ]
    assert len(differing) <= _UNSTEADY, differing


# -- the command ----------------------------------------------------------------------------------


def _asked(target: Target) -> list[str]:
    respmod, reqmod = target.service(At.RESPMOD), target.service(At.REQMOD)
    assert respmod is not None
    assert reqmod is not None
    return [f"{respmod.host}:{respmod.port}", respmod.path, "--reqmod", reqmod.path]


def test_the_command_says_that_all_is_well(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*_asked(target), "--only", "options-answered"]) == 0
    assert "Summary" in capsys.readouterr().out


def test_the_command_says_what_is_not_applicable(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --reqmod the cases of REQMOD have nowhere to go."""
    asked = _asked(target)[:2]
    assert main([*asked, "--only", "body-one-chunk*", "--json"]) == 0
    results = {row["case"]: row["result"] for row in json.loads(capsys.readouterr().out)}
    assert results == {"body-one-chunk": "pass", "body-one-chunk-reqmod": "n/a"}


def test_a_must_that_fails_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(4):  # one to find the methods, one for each delivery
            with listener.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(b"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    where = f"127.0.0.1:{listener.getsockname()[1]}"
    assert main([where, "x", "--only", "options-answered", "--timeout", "2"]) == 1
    listener.close()
    thread.join(5)
    assert "options-answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["127.0.0.1:1344"],
        ["nowhere", "x"],
        ["127.0.0.1:0", "x"],
        ["127.0.0.1:99999", "x"],
        ["127.0.0.1:1344", "x", "--timeout", "0"],
        ["127.0.0.1:1344", "x", "--timeout", "soon"],
        ["127.0.0.1:1344", "x", "y"],
        ["127.0.0.1:1344", "x", "--only", "no-such-case"],
        [f"127.0.0.1:{free_port()}", "x"],
    ],
)
def test_one_sentence_where_nobody_can_be_asked(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("conformance: ")
    assert said.err.count("\n") == 1
