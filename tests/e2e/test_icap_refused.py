"""Proxies whose every request is refused: the page and `kata-bridge check` name them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.commands.checking.examination import Examination
from tests.e2e.test_icap_access import OPTIONS, Counted
from tests.support.certificates import Authority
from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]


def refusals(door: Counted) -> dict[str, tuple[int, dict[str, Any]]]:
    url = f"http://127.0.0.1:{door.port}/api/live"
    with urllib.request.urlopen(url, timeout=10) as answer:
        told = json.load(answer)["proxies"]
    return {each["address"]: (each["refused"], each["refusal"]) for each in told if each["refused"]}


def seen(site: Site) -> list[str]:
    """What the check says of proxies."""
    examination = Examination(site.settings(), site.config, self_test=False)
    found = [line for line in examination.lines() if line.area == "proxies"]
    return [f"{line.status.value} {line.sentence.partition(', last at ')[0]}" for line in found]


def test_who_is_refused_is_named_with_the_reason(site: Site, tmp_path: Path, started: Keep) -> None:
    secure = free_port()
    certificate, key = Authority(tmp_path / "ca", "ca").issue("icapd")
    tls = {"listen": [f"127.0.0.1:{secure}"], "cert": str(certificate), "key": str(key)}
    here = [f"127.0.0.{number}/32" for number in (1, 6, 7, 8)]
    door = Counted(site, started, allow_from=here, workers=2, tls=tls)
    for _ in range(5):
        assert door.ask(OPTIONS % b"respmod", "127.0.0.7").startswith(b"ICAP/1.0 404 ")
        assert door.ask(OPTIONS % b"av/respmod", "127.0.0.9").startswith(b"ICAP/1.0 403 ")
    assert door.ask(b"HELO\r\n\r\n", "127.0.0.8").startswith(b"ICAP/1.0 400 ")
    with door.connect("127.0.0.6", secure) as sock:
        sock.sendall(OPTIONS % b"av/respmod")
        while sock.recv(65536):
            pass
    wait_until(
        lambda: [refusals(door).get(f"127.0.0.{n}", (0,))[0] for n in (6, 7, 8, 9)] == [1, 5, 1, 5],
        "all are known",
        60,
    )
    found = refusals(door)
    assert (found["127.0.0.7"][1]["status"], found["127.0.0.7"][1]["asked"]) == (404, "respmod")
    assert (found["127.0.0.9"][1]["status"], found["127.0.0.6"][1]["status"]) == (403, 0)
    *said, none = sorted(seen(site))
    assert none.startswith("warning none has asked in the last hour")
    assert said[0].startswith("warning 127.0.0.6 is refused: the TLS handshake failed: ")
    assert said[1:] == [
        "warning 127.0.0.7 asked for 'respmod', which is no service here (404), 5 times",
        "warning 127.0.0.8 is refused (400): The first line is not an ICAP request line, once",
        "warning 127.0.0.9 is refused (403): it is not in icap.allow_from, 5 times",
    ]
