"""Four cases: a clean object and the EICAR test file, through both doors."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.demo.programs import DemoError
from examples.demo.site import Site
from icapd.client import IcapClient

_VERDICT_SECONDS = 60.0
_NAMES = ("clean.txt", "eicar.com")


@dataclass(frozen=True, slots=True)
class Result:
    """One case: what was sent through which door, what came of it, and its record."""

    door: str
    name: str
    got: str
    record: dict[str, Any]


def through_icap(site: Site) -> Iterator[Result]:
    """Ask about each object as a proxy would."""
    for name in _NAMES:
        body = (site.home / name).read_bytes()
        request = f"GET http://files.example/{name} HTTP/1.1\r\nHost: files.example\r\n\r\n"
        response = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        with IcapClient("127.0.0.1", site.icap_port) as client:
            answer = client.respmod(
                "av/respmod", request.encode(), response.encode(), body, preview=1024
            )
        got = "204: passes" if answer.status == 204 else f"HTTP {answer.http_head.status}: a page"
        yield Result("ICAP", name, got, _record(site, "ICAP", name))


def through_folder(site: Site) -> Iterator[Result]:
    """Drop each file into the input folder, whole at once."""
    for name in _NAMES:
        draft = site.home / "in" / f".katabridge-demo-{os.getpid()}"
        draft.write_bytes((site.home / name).read_bytes())
        draft.rename(site.home / "in" / name)
        record = _record(site, "FOLDER", name)
        moved = record["context"]["moved_to"]
        yield Result("FOLDER", name, f"in {Path(moved).parent.name}/" if moved else "left", record)


def _record(site: Site, door: str, name: str) -> dict[str, Any]:
    """The record of what was sent just now; others may drop files meanwhile."""
    sha256 = hashlib.sha256((site.home / name).read_bytes()).hexdigest()
    end = time.monotonic() + _VERDICT_SECONDS
    while time.monotonic() < end:
        for record in site.records()[site.records_before :]:
            if (record["door"], record["name"], record["sha256"]) == (door, name, sha256):
                return record
        time.sleep(0.1)
    raise DemoError(f"no verdict within {_VERDICT_SECONDS:.0f} s; see {site.home}/log.")
