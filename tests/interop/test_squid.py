"""Real traffic: curl through a real Squid, to an origin that is fast or slow."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.emulator import EICAR
from tests.conftest import need
from tests.support.gateway import Gateway
from tests.support.katabridge import Records
from tests.support.origin import content
from tests.support.processes import wait_until

SIZES = [0, 5, 1023, 1024, 1025, 65535, 65536, 3_000_000]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), need("squid")) as running:
        yield running


@pytest.mark.sample(8)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["plain", "chunked", "slow", "slow-chunked"])
def test_a_clean_download_arrives_byte_for_byte(gateway: Gateway, kind: str, size: int) -> None:
    seed = ["plain", "chunked", "slow", "slow-chunked"].index(kind)
    got = gateway.squid.curl(gateway.origin.url(f"/{kind}/{size}/{seed}"))
    assert (got.exit_code, got.status) == (0, 200)
    assert got.body == content(size, seed)


@pytest.mark.sample(5)
@pytest.mark.parametrize("turn", range(20))
def test_a_large_body_from_a_fast_origin_is_freed_each_time(gateway: Gateway, turn: int) -> None:
    got = gateway.squid.curl(gateway.origin.url(f"/plain/12000000/{turn}"))
    assert (got.exit_code, got.status) == (0, 200)
    assert got.body == content(12_000_000, turn)


def test_eicar_gives_403_and_a_page_that_names_the_reason(gateway: Gateway) -> None:
    gateway.origin.served["/eicar.com"] = EICAR
    got = gateway.squid.curl(gateway.origin.url("/eicar.com"))
    assert (got.exit_code, got.status) == (0, 403)
    assert b"Kaspersky KATA found a threat in this object" in got.body
    assert b"eicar.com" in got.body
    assert EICAR not in got.body

    def of_this_page() -> Records:
        return [each for each in gateway.site.records() if each["case"].encode() in got.body]

    wait_until(of_this_page, "its record, once the threat has a name")
    (record,) = of_this_page()
    assert record["outcome"] == "detect"
    assert record["context"] == {
        "service": "av/respmod",
        "proxy": "127.0.0.1",
        "client_ip": "127.0.0.1",
        "user": None,
        "method": "GET",
        "url": gateway.origin.url("/eicar.com"),
    }


@pytest.mark.parametrize("kind", ["sized", "unsized"])
def test_a_large_bad_download_is_visibly_broken_or_a_page(gateway: Gateway, kind: str) -> None:
    bad = content(3_000_000, 99) + kind.encode() + EICAR
    gateway.origin.served[f"/{kind}.iso"] = bad
    if kind == "unsized":
        gateway.origin.chunked.add("/unsized.iso")
    for _ in range(3):
        got = gateway.squid.curl(gateway.origin.url(f"/{kind}.iso"))
        assert got.exit_code != 0 or got.status == 403, got
        assert len(got.body) < 100_000
        assert EICAR not in got.body


@pytest.mark.parametrize("options", [["-T"], ["--data-binary"]], ids=["PUT", "POST"])
@pytest.mark.parametrize("padding", [0, 3_000_000])
def test_a_bad_upload_is_blocked_and_the_origin_never_sees_it(
    gateway: Gateway, tmp_path: Path, options: list[str], padding: int
) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content(padding, 7) + EICAR)
    gateway.origin.uploads.clear()
    argument = f"@{file}" if options == ["--data-binary"] else str(file)
    got = gateway.squid.curl(gateway.origin.url("/up"), *options, argument)
    assert (got.exit_code, got.status) == (0, 403)
    assert b"Kaspersky KATA found a threat" in got.body
    assert gateway.origin.uploads == []


def test_a_form_upload_with_eicar_in_it_is_blocked(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(EICAR)
    gateway.origin.uploads.clear()
    got = gateway.squid.curl(gateway.origin.url("/up"), "-F", "a=b", "-F", f"file=@{file}")
    assert got.status == 403
    assert gateway.origin.uploads == []


@pytest.mark.sample(4)
@pytest.mark.parametrize("size", SIZES)
def test_a_clean_upload_arrives_byte_for_byte(gateway: Gateway, tmp_path: Path, size: int) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content(size, 8))
    gateway.origin.uploads.clear()
    got = gateway.squid.curl(gateway.origin.url("/up"), "-T", file)
    assert (got.exit_code, got.status) == (0, 201)
    assert gateway.origin.uploads == [content(size, 8)]


def test_a_verdict_that_does_not_come_in_time_is_a_page_that_says_so(gateway: Gateway) -> None:
    gateway.origin.served["/slow.bin"] = b"#kata state=not_detected delay=25\n"
    got = gateway.squid.curl(gateway.origin.url("/slow.bin"))
    assert got.status == 503
    assert b"still being scanned" in got.body


def test_kata_away_blocks_and_says_so(gateway: Gateway) -> None:
    gateway.origin.served["/fails.bin"] = b"#kata http=500\n"
    got = gateway.squid.curl(gateway.origin.url("/fails.bin"))
    assert got.status == 403
    assert b"could not be scanned now" in got.body


@pytest.mark.parametrize("state", ["error", "timeout"])
def test_what_kata_could_not_judge_is_blocked(gateway: Gateway, state: str) -> None:
    gateway.origin.served[f"/{state}"] = f"#kata state={state}\n".encode()
    assert gateway.squid.curl(gateway.origin.url(f"/{state}")).status == 403


def test_two_hundred_requests_leave_no_error_and_no_descriptor(gateway: Gateway) -> None:
    before = gateway.icapd.descriptors()
    known = len(gateway.squid.icap_log())
    urls = [gateway.origin.url(f"/plain/{n % 20 * 500}/{n % 20}") for n in range(200)]
    with ThreadPoolExecutor(3) as clients:
        got = list(clients.map(gateway.squid.curl, urls))
    assert {(each.exit_code, each.status) for each in got} == {(0, 200)}
    log = gateway.squid.icap_log()[known:]
    assert len(log) >= 400
    assert {line.split("/")[0] for line in log} <= {"ICAP_ECHO", "ICAP_MOD"}
    wait_until(
        lambda: gateway.icapd.descriptors() <= before + 8, "icapd gives its descriptors back"
    )


def test_squid_saw_no_icap_failure_in_any_test_of_this_module(gateway: Gateway) -> None:
    # cut downloads are the only failures, and we make them on purpose
    failed = [line for line in gateway.squid.icap_log() if line.startswith("ICAP_ERR")]
    assert all(".iso" in line for line in failed), failed


def test_katas_own_greps_find_the_verdicts(gateway: Gateway) -> None:
    log = (gateway.site.directory / "log" / "preprocessor_icap.log").read_text().splitlines()
    verdicts = [line for line in log if "blocking_advanced mode" in line and "verdict" in line]
    assert len(verdicts) == len(gateway.site.wait_records(len(verdicts)))
    assert any("verdict detect" in line and "/eicar.com" in line for line in verdicts)
