"""Planted secrets, of the configuration and of what users send, are in nothing that we leave."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, module, wait_until

Keep = Callable[[Program], Program]

TOKEN = "planted-token-A1b2C3d4"
REDIS = "planted-redis+pass/word"
HOOK = "planted-hook-T0k3n"
BASIC = "planted-hook-user"
USER = "planted-user-pass"
COOKIE = "planted-cookie-9"
QUERY = "planted-query-token"
SECRETS = (TOKEN, REDIS, HOOK, BASIC, USER, COOKIE, QUERY)
GET = (
    f"GET http://joe:{USER}@files.example/a.exe?token={QUERY} HTTP/1.1\r\n"
    f"Host: files.example\r\nAuthorization: Bearer {USER}\r\nCookie: sid={COOKIE}\r\n\r\n"
).encode()
OK = f"HTTP/1.1 200 OK\r\nSet-Cookie: sid={COOKIE}; Secure\r\n\r\n".encode()


def forms(secret: str) -> Iterator[bytes]:
    """How it may be written."""
    raw = secret.encode()
    yield from (raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode())
    for shift in range(3):  # Base64 of a text that holds it, wherever it begins
        text = base64.b64encode(b"x" * shift + raw)
        yield text[4 if shift else 0 : -4]


def found(data: bytes) -> list[str]:
    return [secret for secret in SECRETS for form in forms(secret) if form in data]


def command(site: Site, *words: object) -> list[str]:
    name, *rest = words
    return [str(w) for w in (*module("bridge.cli"), name, "--config", site.config, *rest)]


def fetch(port: int, path: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:  # it is not ready: there is no redis
        answer = error
    with answer:
        data: bytes = answer.read()
        return str(answer.headers).encode() + data


def talk(site: Site) -> None:
    user = {"X-Client-IP": "10.1.2.3", "Proxy-Authorization": f"Basic {USER}"}
    with IcapClient("127.0.0.1", site.icap_port, timeout=30) as client:
        client.options("av/respmod")
        client.respmod("av/respmod", GET, OK, EICAR, preview=1024, fields=user)


def test_no_planted_secret_is_found(
    kata: Emulator, site: Site, started: Keep, tmp_path: Path
) -> None:
    del kata
    port = free_port()
    site.changes = {
        "status": {"icapd": f"127.0.0.1:{port}", "token": TOKEN},
        "verdicts": {"store": f"redis://:{quote(REDIS, safe='')}@127.0.0.1:{free_port()}/0"},
        "notify": {"url": f"http://{BASIC}:{HOOK}@127.0.0.1:{free_port()}/hook/{HOOK}?k={HOOK}"},
        "logs": {"urls": "no_query"},
    }
    program = started(site.start_icapd())
    key = (site.directory / "client.key").read_bytes().splitlines()[1]
    pcap = tmp_path / "icap.pcapng"
    caught = Program(command(site, "capture", "--output", pcap, "--for", "20s"), tmp_path / "c.out")
    wait_until(lambda: list((site.directory / "spool").glob("capture*.state")), "it captures", 20)
    talk(site)
    (record,) = site.wait_records(1)
    pages = [f"/api/case/{record['case']}", "/", "/metrics", "/ready", "/api/live", "/api/history"]
    said = {path: fetch(port, path) for path in pages}
    caught.process.send_signal(2)
    assert caught.process.wait(30) == 0, caught.output()
    words = ("check", "--json", "--no-self-test")
    said["check"] = subprocess.run(command(site, *words), capture_output=True, check=False).stdout
    done = subprocess.run(
        command(site, "collect", "--output-dir", tmp_path), capture_output=True, check=False
    )
    said["collect's words"] = done.stdout + done.stderr
    (archive,) = tmp_path.glob("collect-*.tar.gz")
    said["collect"] = gzip.decompress(archive.read_bytes())
    said["capture"] = pcap.read_bytes()
    said["output"] = (program.output() + caught.output()).encode()
    said |= {each.name: each.read_bytes() for each in (site.directory / "log").iterdir()}
    # what they must hold, so that it is them that were searched
    for name in ("collect", "capture", "log-history.log", "/api/history"):
        assert b"files.example" in said[name], name
    assert b"redis" in said["check"]
    assert b"redis" in said["output"]
    leaks = {name: found(data) for name, data in said.items()}
    assert {name: leak for name, leak in leaks.items() if leak} == {}
    assert [name for name, data in said.items() if key in data] == []
    environment = Path(f"/proc/{program.process.pid}/cmdline").read_bytes()
    assert not found(environment)


def test_the_search_finds_each_form() -> None:
    for secret in SECRETS:
        raw = secret.encode()
        for text in (
            raw,
            quote(secret, safe="").encode(),
            base64.b64encode(b"user:" + raw),
            base64.b64encode(b"joe:" + raw + b"!"),
        ):
            assert secret in found(b"before " + text + b" after"), text
