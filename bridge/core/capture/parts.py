"""What each process captured, in a file of its own, and how these become one.

Beside each lies its state, so that whoever asked for the capture can tell how it goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bridge.core.capture.pcapng import Packet, file_head, packets
from bridge.core.capture.request import captured_files, is_locked

_STATE_BYTES = 4096  # it is overwritten in place, which a full disk does not prevent
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class CaptureState:
    """How far one process is. `ended`: why it captures no more, in words; empty: it does.
    `is_fault`: that was not to be. `is_gone`: the process itself has ended; others go on.
    """

    conversations: int = 0
    ended: str = ""
    is_fault: bool = False
    is_gone: bool = False


class CapturePart:
    """The file of one process. Everything here blocks: disk. OSError where it cannot be written.

    The lock on its state is gone when the process is; there is none before the first `tell`.
    """

    def __init__(self, directory: Path, number: str, instance: str) -> None:
        self._directory = directory
        self._number = number
        base = directory / f"capture-{number}-{instance}-{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._paths = Path(f"{base}.state"), Path(f"{base}.part")
        self._state = os.open(self._paths[0], flags, 0o600)
        try:
            fcntl.flock(self._state, fcntl.LOCK_EX)
            self._file = os.open(self._paths[1], flags, 0o600)
        except OSError:
            os.close(self._state)
            self._paths[0].unlink(missing_ok=True)
            raise

    def write(self, blocks: bytes) -> None:
        """Append packets."""
        view = memoryview(blocks)
        while view:
            view = view[os.write(self._file, view) :]

    def tell(self, state: CaptureState) -> None:
        """Let the state be known."""
        words = asdict(state) | {"ended": state.ended[:_MOST_WORDS]}
        os.pwrite(self._state, json.dumps(words).encode()[:_STATE_BYTES].ljust(_STATE_BYTES), 0)

    def size_of_all(self) -> int:
        """Bytes that all processes have captured."""
        total = 0
        for path in captured_files(self._directory, self._number, "part"):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def free(self) -> int:
        """Bytes that are free on this disk."""
        state = os.statvfs(self._directory)
        return state.f_bavail * state.f_frsize

    def close(self, *, remove: bool = False) -> None:
        """Nothing is written any more."""
        os.close(self._file)
        os.close(self._state)
        if remove:
            for path in self._paths:
                path.unlink(missing_ok=True)


def capture_states(directory: Path, number: str) -> list[CaptureState]:
    """The states of all processes that take part. OSError."""
    found = [_read_state(path) for path in captured_files(directory, number, "state")]
    return [state for state in found if state is not None]


def _read_state(path: Path) -> CaptureState | None:
    """None where it is just being written, or removed."""
    try:
        with path.open("rb") as file:
            is_there = is_locked(file.fileno())  # first: what it says last counts
            state = CaptureState(**json.loads(file.read()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if state.ended or is_there:
        return state
    return replace(state, ended="icapd was killed", is_fault=True, is_gone=True)


def captured_bytes(directory: Path, number: str) -> int:
    """How much is captured so far. OSError."""
    return sum(path.stat().st_size for path in captured_files(directory, number, "part"))


class Merged(NamedTuple):
    """A file that was written; `size` in bytes."""

    packets: int
    size: int


def merge_captured(
    directory: Path, number: str, target: BinaryIO, max_bytes: int, description: tuple[str, str]
) -> Merged:
    """Write what all processes captured as one file, in the order of time. OSError.

    `description`: the program that captured, and what.
    """
    head = file_head(description[0], "icapd", description[1])
    target.write(head)
    size, count = len(head), 0
    with contextlib.ExitStack() as files:
        parts = [
            packets(files.enter_context(path.open("rb")))
            for path in captured_files(directory, number, "part")
        ]
        for packet in _in_order(parts):
            if size + len(packet.block) > max_bytes:
                break  # several processes may have been at it at once
            target.write(packet.block)
            size, count = size + len(packet.block), count + 1
    return Merged(count, size)


def _in_order(parts: list[Iterator[Packet]]) -> Iterator[Packet]:
    return heapq.merge(*parts, key=lambda packet: packet.time)
