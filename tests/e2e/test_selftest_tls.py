"""The self-test of icapd on its TLS port: what is shown there, and what lies in the file."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bridge.core import Address
from icapd.selftest import examination
from icapd.selftest.asking import Place
from icapd.selftest.examination import examine
from icapd.selftest.shown import certificate_in, judge_shown, shown_at
from tests.support.certificates import Authority, dated
from tests.support.katabridge import Site
from tests.support.processes import Program, accepts, free_port, module, wait_until

Keep = Callable[[Program], Program]
DAY = timedelta(days=1)


class Door:
    """A set-up with a TLS port; `put` puts a pair into the place of its files."""

    def __init__(self, site: Site, folder: Path, *, listens_plain: bool, clients: bool) -> None:
        self.site = site
        self.port = free_port()
        self.authority = Authority(folder / "ca", "test-ca")
        self._files = folder / "icapd.pem", folder / "icapd.key"
        tls: dict[str, Any] = {"listen": [f"127.0.0.1:{self.port}"]}
        tls |= {key: str(file) for key, file in zip(("cert", "key"), self._files, strict=True)}
        if clients:
            tls["client_ca"] = str(self.authority.certificate)
        icap = {"policy": {"oversize": "block"}, "tls": tls}
        site.changes = {"icap": icap if listens_plain else icap | {"listen": []}}

    def put(self, name: str, begin: timedelta, end: timedelta) -> None:
        for source, target in zip(self.authority.issue(name, begin, end), self._files, strict=True):
            shutil.copyfile(source, target)

    def start(self) -> Program:
        command = [*module("icapd.cli"), "--config", self.site.config]
        program = Program(command, self.site.directory / "icapd.out")
        program.wait_for(lambda: accepts(self.port), "icapd")
        return program

    def said(self) -> tuple[str, str]:
        """What is found of the certificate that is shown."""
        found = list(examine(self.site.settings(), 15, "no bodies"))
        (line,) = [each for each in found if " show" in each.sentence]
        return line.status, line.sentence


@pytest.mark.sample(1)
@pytest.mark.parametrize(("plain", "clients"), [(True, False), (True, True), (False, True)])
def test_a_certificate_that_was_replaced_without_a_reload(
    site: Site, tmp_path: Path, started: Keep, plain: bool, clients: bool
) -> None:
    door = Door(site, tmp_path, listens_plain=plain, clients=clients)
    door.put("old", -9 * DAY, -2 * DAY)
    icapd = started(door.start())
    where = f"127.0.0.1:{door.port} (TLS)"
    good = ("ok", f"{where} shows the certificate of icap.tls.cert")
    assert door.said() == good
    door.put("new", -DAY, 90 * DAY)
    expired = datetime.now(UTC) - 2 * DAY
    assert door.said() == (
        "failed",
        f"icap.tls.cert was replaced: icapd at {where} still shows the old one, which has "
        f"expired on {expired:%Y-%m-%d}",
    )
    icapd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: door.said() == good, "the new one is shown", 60)
    door.put("newer", -DAY, 90 * DAY)
    status, sentence = door.said()
    assert (status, "still shows the old one, which is valid until" in sentence) == (
        "warning",
        True,
    )
    if plain:
        assert "TLS handshake failed" not in icapd.output()  # nobody is blamed for our look


def test_who_is_not_let_in_at_the_tls_port_blames_nobody(
    site: Site, tmp_path: Path, started: Keep
) -> None:
    door = Door(site, tmp_path, listens_plain=False, clients=True)
    door.put("icapd", -DAY, 90 * DAY)
    site.changes["icap"]["allow_from"] = ["192.0.2.0/24"]
    started(door.start())
    assert door.said()[0] == "skipped"


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["silent", "plain", "none"])
def test_a_tls_port_that_shakes_no_hands(
    site: Site, tmp_path: Path, started: Keep, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """While the plain one answers."""
    door = Door(site, tmp_path, listens_plain=True, clients=False)
    door.put("icapd", -DAY, 90 * DAY)
    started(door.start())
    monkeypatch.setattr(examination, "_CONNECT", 1.0)
    with odd(kind) as port:
        site.changes["icap"]["tls"]["listen"] = [f"127.0.0.1:{port}"]
        found = list(examine(site.settings(), 15, "no bodies"))
    words = "nothing listens on" if kind == "none" else "does not answer a TLS handshake: "
    (line,) = [each for each in found if words in each.sentence]
    assert line.status == "failed"


@contextlib.contextmanager
def odd(kind: str) -> Iterator[int]:
    if kind == "none":
        yield free_port()
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                sock.sendall(b"220 mail.example ESMTP\r\n" if kind == "plain" else b"")
                sock.settimeout(30)
                while sock.recv(1 << 16):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_before_tls_1_3_a_server_that_wants_a_certificate_has_shown_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    certificate, key = authority.issue("icapd")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock, pytest.raises(ssl.SSLError, match="did not return a certificate"):
                context.wrap_socket(sock, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        shown = shown_at(Address(*listener.getsockname()[:2]), 30)
        thread.join()
    assert shown == ssl.PEM_cert_to_DER_cert(certificate.read_text())


def test_what_is_no_handshake_holds_no_certificate() -> None:
    hello = b"\x02\x00\x00\x01x"
    cut = b"\x0b\x00\x00\x0b\x00\x00\x08\x00\x00\x05ab"
    assert certificate_in(b"") is certificate_in(b"220 mail\r\n") is certificate_in(b"\x16") is None
    assert certificate_in(b"\x16\x03\x03\x00\x05" + hello) is None
    record = b"\x16\x03\x03\x00%c" % len(hello + cut) + hello + cut
    assert certificate_in(record) is None
    assert certificate_in(record + b"\x16\x03\x03\x00\x03cde") == b"abcde"


def test_a_certificate_that_cannot_be_read_is_another(tmp_path: Path) -> None:
    ours = x509.load_pem_x509_certificate(dated("icapd", -DAY, DAY))
    finding = judge_shown(Place(Address("::1", 1), True), b"odd", ours, datetime.now(UTC))
    assert (finding.status, finding.sentence.endswith("the old one")) == ("warning", True)
