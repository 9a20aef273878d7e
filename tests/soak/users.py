"""The users: each asks for one thing after another, in a way of its own."""

from __future__ import annotations

import contextlib
import http.client
import time
from abc import ABC, abstractmethod
from pathlib import Path

from bridge.folder.sidecar import sidecar_name
from icapd.client import IcapClient
from icapd.protocol import ProtocolError
from tests.soak.answers import Answer
from tests.soak.things import Thing
from tests.support.origin import Origin

_SECONDS = 60.0  # KATA answers in two, and is away for a few
_LOOK_SECONDS = 0.1
_PREVIEW = 1024
_GET = "GET http://soak.example/{} HTTP/1.1\r\nHost: soak.example\r\n\r\n"


class User(ABC):
    """`ask` for a thing under a number; `why` has the reason of the last answer that was none.

    `held_since`: since when (monotonic) it has held a connection that it may use again.
    """

    only_watched = False
    why = ""
    held_since: float | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """What kind of user it is."""

    @abstractmethod
    def ask(self, number: int, thing: Thing) -> Answer:
        """What the user is given."""

    def close(self) -> None:  # noqa: B027 - most hold nothing open
        """Leave."""


class _ThroughProxy(User):
    def __init__(self, proxy_port: int, origin: Origin) -> None:
        self._port = proxy_port
        self._origin = origin

    def _exchange(self, method: str, number: int, body: bytes | None) -> tuple[int, bytes]:
        """Status and body; OSError or HTTPException where there is none."""
        url = self._origin.url(f"/{number}")
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, url, body, {"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read()

    def _answer(self, method: str, number: int, body: bytes | None, whole: Answer) -> Answer:
        self.why = ""
        try:
            status, got = self._exchange(method, number, body)
        except http.client.IncompleteRead:
            return Answer.CUT
        except (OSError, http.client.HTTPException) as error:
            self.why = repr(error)
            return Answer.ERROR
        if status in (200, 201):
            return whole if method == "POST" or got == self._expected(number) else Answer.ERROR
        if status == 403:
            return Answer.BLOCKED
        self.why = f"HTTP {status}"
        return Answer.LATER if status == 503 and b"katabridge" in got else Answer.ERROR

    def _expected(self, number: int) -> bytes:
        return self._origin.served[f"/{number}"]


class Downloader(_ThroughProxy):
    """Fetches through Squid."""

    name = "download"

    def ask(self, number: int, thing: Thing) -> Answer:
        path = f"/{number}"
        self._origin.served[path] = thing.body
        try:
            return self._answer("GET", number, None, Answer.CLEAN)
        finally:
            del self._origin.served[path]


class Uploader(_ThroughProxy):
    """Sends through Squid."""

    name = "upload"

    def ask(self, number: int, thing: Thing) -> Answer:
        return self._answer("POST", number, thing.body, Answer.CLEAN)


class IcapUser(User):
    """Speaks ICAP itself, on one connection that stays open for as long as the server lets it."""

    def __init__(self, port: int, mode: str) -> None:
        self._port = port
        self._mode = mode
        self._client: IcapClient | None = None
        self.only_watched = mode == "monitor"

    @property
    def name(self) -> str:
        return f"ICAP {self._mode}"

    def ask(self, number: int, thing: Thing) -> Answer:
        self.why = ""
        try:
            return self._ask(number, thing.body)
        except (OSError, EOFError, ProtocolError) as error:
            was_open = self._client is not None
            self.close()
            self.why = repr(error)
            return Answer.CUT if was_open else Answer.ERROR

    def _ask(self, number: int, body: bytes) -> Answer:
        if self._client is None:
            self._client = IcapClient("127.0.0.1", self._port, timeout=_SECONDS)
        self.held_since = self.held_since or time.monotonic()
        get = _GET.format(number).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        path = f"{self._mode}/respmod"
        answer = self._client.respmod(path, get, head, body, preview=_PREVIEW)
        self.held_since = time.monotonic()
        if answer.fields.get("connection", "").lower() == "close":
            self.close()
        if answer.status == 204:
            return Answer.CLEAN
        status = answer.http_head.status if answer.status == 200 else None
        if status == 200:
            return Answer.CLEAN if answer.body == body else Answer.ERROR
        self.why = f"ICAP {answer.status}, HTTP {status}"
        return {403: Answer.BLOCKED, 503: Answer.LATER}.get(status or 0, Answer.ERROR)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = self.held_since = None


class Dropper(User):
    """Drops a file into the input folder, and waits for where it goes."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        """`folder` holds `in`, `out` and `quarantine`."""
        self._input = folder / "in"
        self._output = folder / "out"
        self._quarantine = folder / "quarantine"

    def ask(self, number: int, thing: Thing) -> Answer:
        name = f"{number}.bin"
        draft = self._input / f"{name}.part"
        draft.write_bytes(thing.body)
        draft.rename(self._input / name)
        return self._wait(name, thing.body)

    def _wait(self, name: str, body: bytes) -> Answer:
        self.why = ""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            delivered, kept = self._output / name, self._quarantine / name
            if delivered.exists():
                got = delivered.read_bytes()
                delivered.unlink()
                return Answer.CLEAN if got == body else Answer.ERROR
            if kept.exists() and (note := kept.with_name(sidecar_name(name))).exists():
                kept.unlink()
                note.unlink()
                return Answer.BLOCKED
            time.sleep(_LOOK_SECONDS)
        self.why = f"it is nowhere after {_SECONDS:.0f} s"
        return Answer.ERROR
