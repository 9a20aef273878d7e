"""ICAP inside TLS (icaps://): Squid and c-icap-client, with and without client certificates."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.emulator import EICAR
from tests.conftest import need
from tests.support.certificates import Authority
from tests.support.gateway import Serving
from tests.support.origin import content
from tests.support.processes import free_port, wait_until
from tests.support.raw_icap import RawIcap
from tests.support.squid import Squid

OPTIONS = b"OPTIONS icap://h/av/respmod ICAP/1.0\r\nHost: h\r\n\r\n"


class Tls:
    """An icapd with a TLS port, the authorities around it, and what its clients need."""

    def __init__(self, folder: Path, keys: Path, *, client_ca: bool) -> None:
        self.port = free_port()
        self.authority = Authority(keys, "ours")
        self.clients = Authority(keys, "clients")
        self.stranger = Authority(keys, "stranger")
        certificate, key = self.authority.issue("icapd")
        tls: dict[str, Any] = {
            "listen": [f"127.0.0.1:{self.port}"],
            "cert": str(certificate),
            "key": str(key),
        }
        if client_ca:
            tls["client_ca"] = str(self.clients.certificate)
        self.serving = Serving(folder, {"icap": {"tls": tls}})

    def squid(self, *certificate: Path) -> Squid:
        """A Squid that trusts our authority alone; `certificate` and key are its own.

        Squid looks for the names in a certificate only: an address in it counts for nothing.
        """
        options = f"tls-cafile={self.authority.certificate} tls-default-ca=off"
        options += " tls-domain=localhost"
        if certificate:
            options += f" tls-cert={certificate[0]} tls-key={certificate[1]}"
        return Squid(need("squid"), self.port, tls=options)

    def c_icap_client(self, *options: object) -> subprocess.CompletedProcess[bytes]:
        """c-icap-client over TLS; its exit code is 0 in every case, what it printed counts."""
        command: list[object] = [need("c-icap-client"), "-tls", "-tls-no-verify", "-v"]
        command += ["-i", "127.0.0.1", "-p", self.port, "-s", "av/respmod", *options]
        return subprocess.run(
            [str(part) for part in command], capture_output=True, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def keys() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="katabridge-tls-"))  # Squid, no longer root, reads it
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Tls]:
    made = Tls(tmp_path_factory.mktemp("tls"), keys, client_ca=False)
    with made.serving:
        yield made


@pytest.fixture(scope="module")
def squid(tls: Tls) -> Iterator[Squid]:
    with tls.squid() as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Tls]:
    """It takes only clients with a certificate of `clients`."""
    made = Tls(tmp_path_factory.mktemp("strict"), keys, client_ca=True)
    with made.serving:
        yield made


def refusal_in_log(tls: Tls) -> bool:
    said = tls.serving.icapd.output()
    return re.search(r"127\.0\.0\.1.*certificate", said, re.IGNORECASE) is not None


# -- Squid ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 65536, 3_000_000])
def test_squid_downloads_over_tls(tls: Tls, squid: Squid, size: int) -> None:
    got = squid.curl(tls.serving.origin.url(f"/plain/{size}/1"))
    assert (got.exit_code, got.status) == (0, 200)
    assert got.body == content(size, 1)


@pytest.mark.parametrize("size", [5, 3_000_000])
def test_squid_uploads_over_tls(tls: Tls, squid: Squid, tmp_path: Path, size: int) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content(size, 2))
    tls.serving.origin.uploads.clear()
    got = squid.curl(tls.serving.origin.url("/up"), "-T", file)
    assert (got.exit_code, got.status) == (0, 201)
    assert tls.serving.origin.uploads == [content(size, 2)]


def test_eicar_is_blocked_over_tls(tls: Tls, squid: Squid, tmp_path: Path) -> None:
    tls.serving.origin.served["/bad.com"] = EICAR
    file = tmp_path / "upload"
    file.write_bytes(EICAR)
    down = squid.curl(tls.serving.origin.url("/bad.com"))
    up = squid.curl(tls.serving.origin.url("/up"), "-T", file)
    for got in (down, up):
        assert (got.exit_code, got.status) == (0, 403)
        assert b"Kaspersky KATA found a threat" in got.body


def test_squid_saw_no_failure_and_spoke_tls_alone(tls: Tls, squid: Squid) -> None:
    assert squid.curl(tls.serving.origin.url("/plain/5/9")).status == 200
    # an OPTIONS answer that is here before Squid noted its own write is an error in its log alone
    lines = [line for line in squid.icap_log() if " OPTIONS " not in line]
    assert len(lines) >= 2
    assert not [line for line in lines if line.startswith("ICAP_ERR")]
    assert tls.serving.icapd.connections(tls.port) > 0
    assert tls.serving.icapd.connections(tls.serving.site.icap_port) == 0


# -- c-icap-client, and a client of Python's ------------------------------------------------------


def test_c_icap_client_over_tls(tls: Tls, tmp_path: Path) -> None:
    assert b"Preview: 4096" in tls.c_icap_client().stdout + tls.c_icap_client().stderr
    out, file = tmp_path / "out", tmp_path / "file"
    for body in (content(5, 3), content(200_000, 3)):
        file.write_bytes(body)
        tls.c_icap_client("-f", file, "-o", out, "-nopreview", "-no204")
        assert out.read_bytes() == body
        out.unlink()
    file.write_bytes(EICAR)
    said = tls.c_icap_client("-f", file, "-o", out)
    assert b"HTTP/1.1 403 Forbidden" in said.stdout + said.stderr
    assert b"Kaspersky KATA found a threat" in out.read_bytes()


def test_the_certificate_is_the_one_that_is_set(tls: Tls) -> None:
    context = ssl.create_default_context(cafile=str(tls.authority.certificate))
    with RawIcap(tls.port) as icap:
        icap.socket = context.wrap_socket(icap.socket, server_hostname="127.0.0.1")
        assert icap.socket.version() in ("TLSv1.2", "TLSv1.3")
        icap.send(OPTIONS)
        assert icap.answer().status == 200


def test_plain_icap_is_served_on_its_own_port_alone(tls: Tls) -> None:
    with RawIcap(tls.serving.site.icap_port) as icap:
        icap.send(OPTIONS)
        assert icap.answer().status == 200
    with RawIcap(tls.port) as icap:
        icap.send(OPTIONS)
        assert b"ICAP/1.0" not in icap.rest()


# -- client certificates --------------------------------------------------------------------------


def test_a_client_without_a_certificate_gets_nowhere_and_the_log_says_so(strict: Tls) -> None:
    said = strict.c_icap_client()
    assert b"ISTag" not in said.stdout + said.stderr
    wait_until(lambda: refusal_in_log(strict), "the log says why")


def test_a_certificate_of_a_stranger_gets_nowhere(strict: Tls) -> None:
    context = ssl.create_default_context(cafile=str(strict.authority.certificate))
    context.load_cert_chain(*strict.stranger.issue("intruder"))
    with RawIcap(strict.port) as icap, pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        icap.socket = context.wrap_socket(icap.socket, server_hostname="127.0.0.1")
        icap.send(OPTIONS)
        icap.answer()


def test_squid_with_a_certificate_is_served(strict: Tls) -> None:
    with strict.squid(*strict.clients.issue("squid")) as squid:
        strict.serving.origin.served["/bad.com"] = EICAR
        assert squid.curl(strict.serving.origin.url("/bad.com")).status == 403
        got = squid.curl(strict.serving.origin.url("/plain/65536/1"))
        assert (got.exit_code, got.body == content(65536, 1)) == (0, True)


def test_squid_without_one_passes_nothing(strict: Tls) -> None:
    with strict.squid() as squid:
        got = squid.curl(strict.serving.origin.url("/plain/5/1"))
    assert got.status == 500
    assert content(5, 1) not in got.body
