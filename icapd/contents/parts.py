"""The parts of a form as bodies of the spool: those that are to be judged."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.core import Body, BodyWriter, Spool
from icapd.contents.fields import PartHead
from icapd.contents.forms import Event
from icapd.names import file_name

TEXT_MAX = 4096  # bytes of a field that is no file
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Part:
    """A part to be judged, its body held once."""

    name: str
    body: Body


class Parts:
    """Takes what a FormReader says. Either `finish` or `discard` must be called in the end."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._head: PartHead | None = None
        self._text = b""
        self._writer: BodyWriter | None = None
        self._writers: list[BodyWriter] = []
        self._parts: list[Part] = []

    async def take(self, event: Event) -> None:
        """The next event; SpoolError."""
        if isinstance(event, PartHead):
            self._head = event
        elif event is not None:
            await self._keep(event)
        else:
            await self._end()

    async def _keep(self, data: bytes) -> None:
        is_file = self._head is not None and self._head.filename is not None
        if self._writer is None and not is_file and len(self._text) + len(data) <= TEXT_MAX:
            self._text += data
            return
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        if self._writer is None:
            self._writer = self._spool.writer()
            self._writers.append(self._writer)
            data, self._text = self._text + data, b""
        await self._writer.write(data)

    async def _end(self) -> None:
        if self._text and not is_text(self._text):
            await self._write(b"")
        if self._writer is not None and self._head is not None:
            body = await self._writer.finish()
            self._parts.append(Part(_name(self._head), body))
        self._head, self._text, self._writer = None, b"", None

    def finish(self) -> list[Part]:
        """All parts that are to be judged."""
        return self._parts

    def discard(self) -> None:
        """Let go of all."""
        for writer in self._writers:
            writer.discard()


def is_text(data: bytes) -> bool:
    """Whether a field is text: UTF-8 without control characters but CR, LF and tab."""
    try:
        return _CONTROL.search(data.decode("utf-8")) is None
    except UnicodeDecodeError:
        return False


def _name(head: PartHead) -> str:
    """A name for a part: the file's, without folders, else the field's."""
    return file_name(head.field if head.filename is None else head.filename)
