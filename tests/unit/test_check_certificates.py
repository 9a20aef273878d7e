"""`kata-bridge check` on the dates of certificates: each of each file counts."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.commands.checking import certificates
from bridge.commands.checking.line import Line, Status
from tests.support.certificates import dated, put_certificate
from tests.support.katabridge import Site

DAY = timedelta(days=1)
VALID, SOON = (-DAY, 400 * DAY), (-DAY, 9 * DAY)
EXPIRED, TOMORROW = (-9 * DAY, -DAY), (DAY, 400 * DAY)
NOW = datetime.now(UTC)


def put(path: Path, *certificates: bytes) -> Path:
    path.write_bytes(b"".join(certificates))
    return path


def judged(path: Path) -> tuple[Status, str]:
    line = certificates.judge_certificate("icap.tls.cert", path, "renew", NOW)
    return line.status, line.sentence.partition("): ")[2] or line.sentence


@pytest.mark.parametrize(
    ("times", "status", "words"),
    [
        (VALID, Status.OK, "is valid until"),
        (EXPIRED, Status.FAILED, "CN=between in it has expired on"),
        (TOMORROW, Status.FAILED, "CN=between in it is not valid before"),
        (SOON, Status.WARNING, "CN=between in it expires on"),
    ],
)
def test_what_is_between_a_certificate_and_its_ca_counts_too(
    tmp_path: Path, times: tuple[timedelta, timedelta], status: Status, words: str
) -> None:
    chain = (dated("icapd", *VALID, "between"), dated("between", *times, "root"))
    found, sentence = judged(put(tmp_path / "chain.pem", *chain))
    assert (found, words in sentence) == (status, True), sentence


def test_what_is_worst_in_a_chain_is_named_and_a_root_in_it_does_not_count(tmp_path: Path) -> None:
    soon, expired = dated("icapd", *SOON, "between"), dated("between", *EXPIRED, "root")
    status, sentence = judged(put(tmp_path / "chain.pem", soon, expired))
    assert (status, "CN=between in it has expired" in sentence) == (Status.FAILED, True)
    chain = dated("icapd", *VALID, "root"), dated("root", *EXPIRED)
    assert judged(put(tmp_path / "chain.pem", *chain))[0] is Status.OK


def test_a_root_with_an_old_signature_beside_a_chain_is_no_failure(tmp_path: Path) -> None:
    """Who is shown it has that root himself: as with Let's Encrypt's and DST Root CA X3."""
    chain = dated("icapd", *VALID, "between"), dated("between", *VALID, "new root")
    old = dated("new root", *EXPIRED, "old root")
    status, sentence = judged(put(tmp_path / "chain.pem", *chain, old))
    assert status is Status.WARNING
    assert sentence.startswith("CN=new root in it has expired on ")
    again = dated("between", *EXPIRED, "old root")
    assert judged(put(tmp_path / "chain.pem", *chain, again))[0] is Status.WARNING
    assert judged(put(tmp_path / "chain.pem", chain[0], again, old))[0] is Status.FAILED


def authorities(path: Path) -> Line:
    return certificates.judge_authorities("icap.tls.client_ca", path, "renew", NOW)


@pytest.mark.parametrize(
    ("several", "status", "words"),
    [
        ([VALID, VALID], Status.OK, "is valid until"),
        ([EXPIRED], Status.FAILED, "has expired on"),
        ([EXPIRED, TOMORROW], Status.FAILED, "CN=ca-0 in it has expired on"),
        ([VALID, EXPIRED], Status.WARNING, "CN=ca-1 in it has expired on"),
        ([VALID, TOMORROW], Status.WARNING, "CN=ca-1 in it is not valid before"),
        ([VALID, SOON], Status.WARNING, "CN=ca-1 in it expires on"),
        ([SOON], Status.WARNING, "expires on"),
    ],
)
def test_of_several_cas_one_that_is_valid_may_do(
    tmp_path: Path, several: list[tuple[timedelta, timedelta]], status: Status, words: str
) -> None:
    each = [dated(f"ca-{number}", *times) for number, times in enumerate(several)]
    line = authorities(put(tmp_path / "ca.pem", *each))
    assert (line.status, words in line.sentence) == (status, True), line
    assert bool(line.advice) is (status is not Status.OK)


def test_of_a_systems_bundle_nobody_has_to_mend_single_ones(tmp_path: Path) -> None:
    old = [dated(f"ca-{number}", *EXPIRED) for number in range(11)]
    line = authorities(put(tmp_path / "ca.pem", *old, dated("soon", *SOON), dated("ca", *VALID)))
    assert line.status is Status.OK
    assert line.sentence.endswith(" has 13 CAs, of which 2 are valid now")
    line = authorities(put(tmp_path / "ca.pem", *old))
    assert (line.status, "CN=ca-0 in it has expired on" in line.sentence) == (Status.FAILED, True)


def test_what_is_odd_in_a_bundle_is_not_said_to_who_calls_the_check(tmp_path: Path) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(dated("ca", *VALID).decode()))
    serial = der.index(b"\xa0\x03\x02\x01\x02") + 5
    der[serial + 2] |= 0x80  # less than nothing
    path = put(tmp_path / "ca.pem", ssl.DER_cert_to_PEM_cert(bytes(der)).encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert authorities(path).status is Status.OK


def test_a_file_of_cas_that_only_tls_can_read_is_no_fault(tmp_path: Path) -> None:
    pem = dated("ca", *VALID).replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-")
    assert authorities(put(tmp_path / "ca.pem", pem)).status is Status.SKIPPED
    assert authorities(tmp_path / "none").status is Status.FAILED


def test_each_file_that_the_configuration_names_is_looked_at(site: Site) -> None:
    folder = site.directory
    ca = put(folder / "ca.pem", dated("old", *EXPIRED))
    put_certificate(folder / "icapd.pem", folder / "icapd.key", "icapd")
    names = {"cert": "icapd.pem", "key": "icapd.key", "client_ca": "ca.pem"}
    site.changes = {
        "kata": {"server_ca": "ca.pem"},
        "icap": {"tls": {"listen": ["127.0.0.1:11344"], **names}},
        "logs": {"syslog": {"url": "tls://127.0.0.1:6514", "ca": "ca.pem"}},
        "notify": {"url": "https://127.0.0.1:1/", "ca": "ca.pem"},
        "verdicts": {"store": f"rediss://127.0.0.1:1/0?ssl_ca_certs={ca}"},
    }
    found = list(certificates.look_at_certificates(site.settings()))
    expired = [line.sentence.partition(" (")[0] for line in found if line.status is Status.FAILED]
    assert expired == [
        *("kata.server_ca", "icap.tls.client_ca", "logs.syslog.ca", "notify.ca"),
        "ssl_ca_certs of verdicts.store",
    ]
