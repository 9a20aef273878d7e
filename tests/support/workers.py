"""An icapd of several workers, seen from outside: its processes, and which one serves whom."""

from __future__ import annotations

import contextlib
import re
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bridge.emulator import Emulator
from icapd.client import Answer, IcapClient
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until

GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
_ATTEMPTS = 60  # of as many connections all go to one of two workers once in 10**18


def children(program: Program) -> list[int]:
    """Its workers' process ids: the process of the status page is none."""
    pid = program.process.pid
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words if not _answers(int(word))]


def _answers(pid: int) -> bool:
    try:
        return b"bridge.status" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def figures(port: int) -> dict[str, float]:
    """Every sample of /metrics by its name with labels."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.M)
    }


def total(port: int, name: str) -> float:
    """The sum of a family over all labels."""
    return sum(value for sample, value in figures(port).items() if sample.partition("{")[0] == name)


class Workers:
    """A running site of several workers."""

    def __init__(self, site: Site, kata: Emulator, program: Program) -> None:
        self.site = site
        self.kata = kata
        self.program = program
        self.asked = 0
        wait_until(lambda: "icapd listens" in program.output(), "all listen")

    @contextlib.contextmanager
    def connections(self, count: int = 1) -> Iterator[dict[str, list[IcapClient]]]:
        """At least `count` connections to each of two workers, by the worker's instance."""
        found: dict[str, list[IcapClient]] = {}
        with contextlib.ExitStack() as stack:
            for _ in range(_ATTEMPTS):
                client = stack.enter_context(
                    IcapClient("127.0.0.1", self.site.icap_port, timeout=20)
                )
                found.setdefault(self.instance_of(client), []).append(client)
                if len(found) == 2 and min(map(len, found.values())) >= count:
                    break
            assert len(found) == 2, found
            yield found

    def instance_of(self, client: IcapClient) -> str:
        """Which worker serves a connection: who brings to KATA what is new there."""
        content = secrets.token_bytes(20)
        before = len(self.kata.memory.submitted)
        assert self.ask(client, content).status == 204
        (scan,) = self.kata.memory.submitted[before:]
        return scan.instance

    def ask(self, client: IcapClient, content: bytes) -> Answer:
        """Have a response judged."""
        self.asked += 1
        return client.respmod("av/respmod", GET, OK, content, preview=1024)

    def pid_of(self, instance: str) -> int:
        """The process that runs under that name: who holds its lock."""
        lock = self.site.directory / "spool" / f"{instance}.lock"
        for pid in children(self.program):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if link.readlink() == lock:
                        return pid
        raise AssertionError(f"nobody holds {lock}")
