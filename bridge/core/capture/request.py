"""What `kata-bridge capture` asks of a running icapd: a file in the spool's folder.

Whoever asks keeps a lock on the file as long as he is there, so that a request nobody waits for is
told by that: it counts for nothing, and whoever sees it first removes it with what was captured.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

CAPTURE_SECONDS = 86400.0
CAPTURE_BYTES = 1 << 30
_FILE = "capture.json"
_LARGEST = 64 << 10  # bytes of such a file
_ATTEMPTS = 5
_PAUSE = 0.1
_DRAFT_SECONDS = 60.0  # an older draft of a request is nobody's


class CaptureError(Exception):
    """There can be no capture; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """`until`: seconds since the epoch. `max_bytes`: of all processes. `bodies`: how many bytes of
    each body are kept; None: all. `client`: an address or a network, `url`: a part of URLs; empty:
    any.
    """

    until: float
    max_bytes: int
    bodies: int | None = 0
    client: str = ""
    url: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(8))


class CaptureSwitch:
    """A request as whoever made it holds it. `close` removes it, and what was captured."""

    def __init__(self, directory: Path, request: CaptureRequest, descriptor: int) -> None:
        self._directory = directory
        self._descriptor = descriptor
        self.request = request

    def end(self) -> None:
        """Have all processes end now what they capture, and keep it. OSError."""
        self.request = replace(self.request, until=0.0)
        _write(self._descriptor, self.request)

    def close(self) -> None:
        """See above. Does nothing the second time."""
        if self._descriptor < 0:
            return
        remove_captured(self._directory, self.request.id)
        with contextlib.suppress(OSError):
            (self._directory / _FILE).unlink()
        os.close(self._descriptor)
        self._descriptor = -1


def begin_capture(directory: Path, request: CaptureRequest) -> CaptureSwitch:
    """Ask for a capture; `directory`: the spool's. CaptureError where it cannot be."""
    draft = directory / f"capture-{request.id}.new"
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise CaptureError(
            f"{directory} (spool.dir) does not exist: no icapd has run with this configuration."
        ) from None
    except OSError as error:
        raise CaptureError(
            f"{directory} (spool.dir) cannot be written: {error.strerror}; "
            "run this as the user that icapd runs as, or as root."
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.geteuid() == 0:  # icapd must be able to read it
            owner = directory.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        _write(descriptor, request)
        _publish(draft, directory)
    except OSError as error:
        os.close(descriptor)
        raise CaptureError(f"{directory / _FILE} cannot be made: {error.strerror}.") from None
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        draft.unlink(missing_ok=True)
    return CaptureSwitch(directory, request, descriptor)


def _publish(draft: Path, directory: Path) -> None:
    """Give the request its name; it is locked already."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileExistsError):
            (directory / _FILE).hardlink_to(draft)
            return
        read_capture(directory)  # removes one that nobody holds
        time.sleep(_PAUSE)
    raise CaptureError(f"another capture is under way ({directory / _FILE}); end that one first.")


def _write(descriptor: int, request: CaptureRequest) -> None:
    text = json.dumps(asdict(request)).encode()
    # as long as what it replaces: with a second call to cut the rest off, some would read that rest
    os.pwrite(descriptor, text.ljust(os.fstat(descriptor).st_size), 0)


def read_capture(directory: Path) -> CaptureRequest | None:
    """The request that somebody waits for, whether its time is over or not. Blocks: disk.

    CaptureError for a file that cannot be read or is damaged.
    """
    path = directory / _FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        request = _parse(os.pread(descriptor, _LARGEST, 0))
        if not is_locked(descriptor):
            _remove_abandoned(descriptor, path, request)
            return None
    finally:
        os.close(descriptor)
    if request is None:
        raise CaptureError(f"{path} is damaged; nothing is captured.")
    return request


def is_locked(descriptor: int) -> bool:
    """Whether somebody holds the lock on that file, who may be this process."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _remove_abandoned(descriptor: int, path: Path, request: CaptureRequest | None) -> None:
    """Remove what nobody waits for; the lock on it keeps others from putting a new one there."""
    with contextlib.suppress(OSError):
        if os.path.samestat(path.stat(), os.fstat(descriptor)):
            if request is not None:
                remove_captured(path.parent, request.id)
            path.unlink()


def captured_files(directory: Path, number: str, suffix: str) -> Iterator[Path]:
    """Files of the capture of that number that exist now."""
    yield from sorted(directory.glob(f"capture-{number}-*.{suffix}"))


def remove_captured(directory: Path, number: str) -> None:
    """Remove what was captured. Blocks: disk."""
    for suffix in ("part", "state"):
        for path in captured_files(directory, number, suffix):
            with contextlib.suppress(OSError):
                path.unlink()


def remove_leftovers(directory: Path) -> None:
    """Remove what captures left that are no more, at the start of a daemon. Blocks: disk."""
    left = list(directory.glob("capture-*.*"))  # first: none of a request that is made now
    try:
        request = read_capture(directory)
    except (CaptureError, OSError):
        return
    for path in left:
        if request is None or not path.name.startswith(f"capture-{request.id}-"):
            with contextlib.suppress(OSError):
                if path.suffix != ".new" or time.time() - path.stat().st_mtime > _DRAFT_SECONDS:
                    path.unlink()


def _parse(text: bytes) -> CaptureRequest | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or set(data) != {each.name for each in fields(CaptureRequest)}:
        return None
    return CaptureRequest(**data) if _is_sound(data) else None


def _is_sound(data: dict[str, Any]) -> bool:
    number, until, bodies = data["id"], data["until"], data["bodies"]
    texts = (number, data["client"], data["url"])
    if not all(isinstance(text, str) for text in texts) or not number.isalnum():
        return False
    if isinstance(until, bool) or not isinstance(until, int | float):
        return False
    sizes = (data["max_bytes"], 0 if bodies is None else bodies)
    if not all(isinstance(size, int) and 0 <= size <= CAPTURE_BYTES for size in sizes):
        return False
    try:
        parse_client(data["client"])
    except ValueError:
        return False
    return until <= time.time() + CAPTURE_SECONDS + 3600  # clocks are set


def parse_client(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that an address or a network means, None for the empty text; ValueError."""
    return ipaddress.ip_network(text, strict=False) if text else None
