"""A download that is given in part before its verdict, as its client sees it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.support.gateway import Serving
from tests.support.processes import wait_until
from tests.support.squid import Squid


class Watched(NamedTuple):
    """What a client had at each look before the verdict, in bytes; how it ended, and with what."""

    before: list[int]
    exit_code: int
    body: bytes


def slow_verdict(state: str, delay: float, filling: bytes) -> bytes:
    """A binary content that the emulated KATA judges so, `delay` seconds after it has it."""
    return f"#kata state={state} delay={delay}\n".encode() + b"\0" * 8 + filling


def watch_download(serving: Serving, squid: Squid, url: str, folder: Path) -> Watched:
    """Fetch what KATA does not know yet, with curl, which takes no HTML, and look all the time."""
    memory = serving.kata.memory
    known = len(memory.submitted)
    path = folder / "watched"
    path.write_bytes(b"")
    curl = squid.start_curl(url, path)
    wait_until(lambda: len(memory.submitted) > known, "KATA has the content", 20)
    scan, before = memory.submitted[known], []

    def ended() -> bool:
        size = path.stat().st_size
        if scan.state_now() == "processing":  # so it was when the size was read
            before.append(size)
        return curl.process.poll() is not None

    wait_until(ended, "the download ends", 60)
    return Watched(before, curl.process.wait(), path.read_bytes())
