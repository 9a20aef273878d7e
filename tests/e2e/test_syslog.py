"""Records reach a SIEM's collector from both doors, and wait for it while it is away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.collector import Collector
from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"


def ask(site: Site, body: bytes) -> None:
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        client.respmod("av/respmod", GET, b"HTTP/1.1 200 OK\r\n\r\n", body, preview=1024)


@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_both_doors_send_their_records(
    kata: Emulator, site: Site, started: Keep, is_tls: bool
) -> None:
    port = free_port()
    pair = [kata.certificate, kata.certificate.with_suffix(".key")] if is_tls else []
    collector = Collector(port, *pair)
    where = {"url": f"{'tls' if is_tls else 'tcp'}://localhost:{port}"}
    if is_tls:
        where["ca"] = str(kata.certificate)
    site.changes = {"logs": {"syslog": where}}
    started(site.start_icapd())
    ask(site, EICAR)
    (site.directory / "in" / "a.txt").write_bytes(b"harmless")
    started(site.start_watch())
    wait_until(lambda: len(collector.texts()) == 2, "both records came", 20)
    detected, clean = collector.texts()
    records = site.wait_records(2)
    assert detected.startswith("CEF:0|katabridge|katabridge|")
    assert f"externalId={records[0]['case']} " in detected
    assert "outcome=detect act=block" in detected
    assert "EICAR-Test-File" in detected
    assert "act=pass" in clean
    assert f"externalId={records[1]['case']} " in clean
    collector.kill()


def test_lines_wait_for_the_collector_over_a_restart(site: Site, started: Keep) -> None:
    port = free_port()
    site.changes = {"logs": {"syslog": {"url": f"tcp://127.0.0.1:{port}"}}}
    icapd = started(site.start_icapd())
    for number in range(5):
        ask(site, b"%d" % number)
    wait_until(lambda: "is away" in icapd.output(), "it is said", 20)
    folder = site.directory / "spool" / "test.icap.0.syslog"

    def all_on_disk() -> bool:
        data = b"".join(path.read_bytes() for path in folder.iterdir())
        return all(record["case"].encode() in data for record in site.records())

    wait_until(all_on_disk, "they are on disk")
    icapd.process.kill()
    icapd.process.wait()
    icapd.log.unlink()
    icapd.process.returncode = 0  # this end was meant
    collector = Collector(port)
    started(site.start_icapd())
    wait_until(lambda: len(collector.texts()) >= 5, "they came", 45)
    cases = [record["case"] for record in site.wait_records(5)]
    texts = collector.texts()
    assert [sum(f"externalId={case} " in text for text in texts) for case in cases] == [1] * 5
    collector.kill()
