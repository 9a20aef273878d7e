"""`kata-bridge capture` beside a running icapd, and what Wireshark makes of its files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.conftest import need
from tests.e2e.test_icap_tls import Secure, read_all, respmod
from tests.support.katabridge import Site
from tests.support.pcapng import said, segments
from tests.support.processes import Program, module, wait_until
from tests.support.raw_icap import RawIcap
from tests.support.raw_icap import message as request
from tests.support.terminals import Terminal
from tests.support.workers import Workers, children

Keep = Callable[[Program], Program]
SECRETS = ("c00kie", "passw0rd", "t0ken", "cGFzc3cwcmQ=")
GET = (
    b"GET http://joe:passw0rd@files.example/%b HTTP/1.1\r\nCookie: sid=c00kie\r\n"
    b"Authorization: Basic cGFzc3cwcmQ=\r\nX-Api-Key: t0ken\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=c00kie\r\nWWW-Authenticate: NTLM t0ken\r\n\r\n"
USER = {
    "X-Client-IP": "10.1.2.3",
    "X-Client-Username": "ivanov",
    "Proxy-Authorization": "Basic cGFzc3cwcmQ=",
}
LARGE = b"what must not be in the file " * 10_000
FAULTY = "icap && (_ws.malformed || _ws.expert.severity >= 8388608)"


def command(site: Site, output: Path, *words: str) -> list[object]:
    return [
        *module("bridge.cli"),
        *("capture", "--config", site.config, "--output", output),
        *words,
    ]


def captures(site: Site) -> list[str]:
    """The names of what captures have in the spool's folder."""
    return sorted(path.name for path in (site.directory / "spool").glob("capture*"))


def begins(site: Site, processes: int = 1) -> None:
    def begun() -> bool:
        return sum(name.endswith(".state") for name in captures(site)) == processes

    wait_until(begun, "icapd begins")


def tshark(file: Path, port: int, shown: str, *names: str) -> list[str]:
    """The fields of each packet that the filter finds, or all of it; our port is 1344, too."""
    words: list[object] = [need("tshark"), "-n", "-r", file, "-Y", shown]
    words += ["-d", f"tcp.port=={port},icap", "-o", "tcp.check_checksum:TRUE"]
    words += ["-T", "fields"] if names else ["-V"]
    for name in names:
        words += ["-e", name]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def talk(site: Site) -> None:
    """What a proxy says: with OPTIONS and previews, and a head in single bytes."""
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        client.options("av/respmod")
        for name, body in ((b"large", LARGE), (b"bad", EICAR)):
            client.respmod("av/respmod", GET % name, OK, body, preview=1024, fields=USER)
        client.reqmod("av/reqmod", GET % b"none", None)
    with RawIcap(site.icap_port) as icap:
        heads = [("req-hdr", GET % b"slow"), ("res-hdr", OK)]
        fields = [f"{name}: {value}" for name, value in USER.items()]
        for byte in request("RESPMOD", heads, "res-body", [*fields, "Allow: 204"]):
            icap.send(bytes([byte]))
        icap.send(b"5\r\nclean\r\n0\r\n\r\n")
        assert icap.answer().status == 204


def test_what_was_said_is_there_for_wireshark(site: Site, started: Keep, tmp_path: Path) -> None:
    secure = Secure(site, tmp_path)
    program = started(site.start_icapd())
    output = tmp_path / "icap.pcapng"
    with (
        IcapClient("127.0.0.1", site.icap_port, timeout=20) as before,
        Terminal(command(site, output)) as terminal,
    ):
        before.options("av/reqmod")
        terminal.expect("0:01:00: 0 conversations")
        before.respmod("av/respmod", GET % b"first", OK, b"was here before")
        talk(site)
        with secure.connect() as sock:
            sock.sendall(respmod(EICAR, b"Allow: 204", b"Connection: close"))
            assert b"403" in read_all(sock)
        terminal.expect("7 conversations")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 0
        assert f"{output}: 7 conversations, " in terminal.shown
        assert "stopped by hand" in terminal.shown
        assert before.options("av/reqmod").status == 200
    assert [path.name for path in tmp_path.glob("*.pcapng")] == [output.name]
    assert captures(site) == []
    assert output.stat().st_mode & 0o777 == 0o600
    assert "writes down ICAP conversations without bodies" in program.output()
    assert "has ended: its time is over" in program.output()

    found = output.read_bytes()
    assert [secret for secret in SECRETS if secret.encode() in found] == []
    assert b"ivanov" in found
    assert b"must not be in" not in found
    assert b"STANDARD-ANTIVIRUS" not in found
    pieces = [each.options[1] for each in segments(found) if 1 in each.options]
    assert b"pieces" in pieces[0]
    assert pieces[1] == b"came over TLS, to port %d" % secure.port

    lines = "\n".join(tshark(output, site.icap_port, "icap"))
    stars = "*" * len("joe:passw0rd")
    whole = r"^ +(RESPMOD|REQMOD|OPTIONS|GET) (\S+) (?:ICAP|HTTP)/1\.[01]\\r\\n$"
    methods = re.findall(whole, lines, re.M)
    assert [method for method, _ in methods if method != "GET"] == [
        *("RESPMOD", "OPTIONS", "RESPMOD", "RESPMOD", "REQMOD", "RESPMOD", "RESPMOD"),
    ]
    assert [url for method, url in methods if method == "GET"] == [
        *(f"http://{stars}@files.example/{name}" for name in ("first", "large", "bad", "none")),
        *(f"http://{stars}@files.example/slow", "http://files.example/a"),
    ]
    assert len(tshark(output, site.icap_port, "icap.response", "frame.number")) >= 7
    assert tshark(output, site.icap_port, FAULTY, "frame.number", "_ws.expert.message") == []
    wrong = "tcp.checksum.status == 0 || tcp.analysis.flags"
    assert tshark(output, site.icap_port, wrong, "frame.number") == []


@pytest.mark.long
def test_a_killed_command_leaves_nothing_that_grows(
    site: Site, icapd: Program, tmp_path: Path
) -> None:
    killed = Program(command(site, tmp_path / "never"), tmp_path / "killed.out")
    begins(site)
    killed.process.kill()
    killed.process.wait()
    wait_until(lambda: "nobody waits for it any more" in icapd.output(), "icapd ends it")
    assert captures(site) == []
    assert not (tmp_path / "never").exists()

    # a stop of icapd ends one before its time, and what there is is kept
    output = tmp_path / "kept"
    stopped = Program(command(site, output, "--bodies", "full"), tmp_path / "stopped.out")
    begins(site)
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        client.respmod("av/respmod", GET % b"a", OK, LARGE)
    icapd.process.terminate()
    assert stopped.process.wait(20) == 1
    assert "1 conversation, " in stopped.output()
    assert "icapd was stopped" in stopped.output()
    heard = said(segments(output.read_bytes()), site.icap_port, by_client=True)
    assert LARGE[:60_000] in heard
    assert captures(site) == []


def test_two_workers_write_one_file_of_what_was_asked_for(
    kata: Emulator, site: Site, started: Keep, tmp_path: Path
) -> None:
    site.changes = {"icap": {"workers": 2}, "logs": {"urls": "no_query"}}
    workers = Workers(site, kata, started(site.start_icapd()))
    wanted = ("--client", "10.1.0.0/16", "--url", "Files.EXAMPLE/me", "--bodies", "100B")
    output = tmp_path / "icap.pcapng"
    words = (*wanted, "--max-size", "4KiB", "--for", "30s")
    program = Program(command(site, output, *words), tmp_path / "capture.out")
    begins(site, 2)
    os.kill(children(workers.program)[0], signal.SIGTERM)
    begins(site, 3)  # who replaces it takes part
    with workers.connections() as found:
        clients = [each[0] for each in found.values()]
        other = {"X-Client-IP": "10.2.2.2"}
        while program.process.poll() is None:
            for client in clients:
                client.respmod("av/respmod", GET % b"me?a=q", OK, b"mine", fields=USER)
                client.respmod("av/respmod", GET % b"me", OK, b"other", fields=other)
                client.respmod("av/respmod", GET % b"you", OK, b"other", fields=USER)
    check_both(output, program, site.icap_port)


def check_both(output: Path, program: Program, port: int) -> None:
    assert program.process.returncode == 0
    assert "in 3 processes" in program.output()
    assert "(--max-size)" in program.output()
    file = output.read_bytes()
    assert 3000 < len(file) <= 4096
    found = segments(file)
    times = [each.time for each in found]
    assert times == sorted(times)
    assert len({each.ports for each in found}) == 4  # both directions of two connections
    heard = said(found, port, by_client=True)
    assert heard.count(b"files.example/me?*** HTTP/1.1") >= 2
    assert b"other" not in heard
    assert b"4\r\nmine\r\n" in heard
