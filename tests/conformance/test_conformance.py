"""icapd passes every case of the suite, CONFORMANCE.md says so, and the judge can fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.emulator import Emulator, Memory
from tests.conformance.cases import CASES
from tests.conformance.conversation import run_case
from tests.conformance.model import Case, Delivery
from tests.conformance.runner import Target, find_target
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.processes import wait_until

TIMEOUT = 10.0
RUNS = [(case, delivery) for case in CASES for delivery in case.deliveries]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("conformance")
    put_certificate(folder / "kata" / "server.pem", folder / "kata" / "server.key", "kata")
    with Emulator(Memory(folder / "kata")) as kata:
        site = Site(folder / "site", kata.url, kata.certificate)
        icapd = site.start_icapd()
        found = find_target(
            "127.0.0.1", site.icap_port, "av/respmod", "av/reqmod", TIMEOUT, may_change=False
        )
        yield found
        wait_until(lambda: not icapd.connections(site.icap_port), "all connections given back")
        spool = site.directory / "spool"
        wait_until(lambda: not open_bodies(icapd.open_below(spool)), "all bodies given back")
        assert icapd.stop() == 0
    assert "Traceback" not in icapd.output()


def open_bodies(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith("(deleted)")]


@pytest.mark.parametrize(
    ("case", "delivery"), RUNS, ids=[f"{case.name}-{delivery}" for case, delivery in RUNS]
)
def test_icapd_conforms(target: Target, case: Case, delivery: Delivery) -> None:
    service = target.service(case.at)
    assert service is not None, "icapd offers both methods, each at a service of its own"
    assert run_case(case, service, delivery, TIMEOUT) is None


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
