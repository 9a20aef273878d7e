"""A live capture of one TCP port on the loopback interface, and what tshark makes of it."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import need
from tests.support.processes import Program, wait_until

_LIMIT_SECONDS = 60
# Wireshark's word for an error; a wrong HTTP head is only a warning to it
_FAULTY = (
    "icap && (_ws.malformed || _ws.expert.severity >= 8388608"
    " || http.te_and_length || http.te_unknown || http.bad_header_name)"
)


class Capture:
    """Captures from `with` to its end; the port must accept connections meanwhile.

    Skips the test where the user may not capture. `file` is complete afterwards.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.file = folder / "capture.pcapng"
        self._tshark = need("tshark")
        command = [need("dumpcap"), "-q", "-i", "lo", "-f", f"tcp port {port}", "-w", self.file]
        command += ["-a", f"duration:{_LIMIT_SECONDS}", "-B", "16"]
        self._program = Program(command, folder / "dumpcap.out")

    def __enter__(self) -> Self:
        """Wait until a packet of ours is in the file: dumpcap says that it captures too early."""
        wait_until(lambda: self._program.process.poll() is not None or self._sees(), "a packet")
        if self._program.process.poll() is not None:
            pytest.skip(f"no capture on lo here: {self._program.output().strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as ends:
            ends.callback(self._program.stop)
            wait_until(self._sees, "the last packet is written")
        assert "/0 (pcap:0/dumpcap:0" in self._program.output(), "packets were dropped"

    def _sees(self) -> bool:
        """Whether a connection made now comes to be in the file, behind all that came before."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as marker:
            ports = struct.pack(">HH", marker.getsockname()[1], self.port)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.file.exists() and ports in self.file.read_bytes(), "it", 1)
            return True
        return False

    def count(self, display_filter: str) -> int:
        """How many packets the filter finds."""
        return len(self.fields(display_filter, "frame.number"))

    def faulty(self) -> list[str]:
        """The ICAP packets that tshark finds malformed or wrong, with what it says of each."""
        return self.fields(_FAULTY, "frame.number", "_ws.expert.message")

    def fields(self, display_filter: str, *names: str) -> list[str]:
        """One line for each packet that the filter finds: the fields named."""
        command: list[object] = [self._tshark, "-n", "-r", self.file, "-Y", display_filter]
        command += ["-d", f"tcp.port=={self.port},icap", "-T", "fields"]
        for name in names:
            command += ["-e", name]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()
