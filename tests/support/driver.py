"""A whole server without I/O, to be fed anything; and what may come out of it.

It takes requests as icapd does (early answers, 100, 204, 206, whole messages), chosen by what the
request holds, so that the same bytes always lead to the same conversation.
"""

from __future__ import annotations

from icapd.protocol import (
    AnswerState,
    BodyEnd,
    BodyKind,
    Data,
    Encapsulated,
    Event,
    Limits,
    NeedData,
    PreviewEnd,
    ProtocolError,
    Request,
    RequestState,
    Response,
    ServerConnection,
)
from icapd.protocol.messages import parse_response
from icapd.protocol.reader import MessageReader

LIMITS = Limits(head=2048, fields=40, encapsulated_heads=4096, chunk_line=64, trailers=256)
_UNREAD = sum((LIMITS.head, LIMITS.encapsulated_heads, LIMITS.chunk_line, LIMITS.trailers))
_OK = b"HTTP/1.1 200 OK\r\n\r\n"


class Broken(AssertionError):
    """The server did what no server may do."""


def finals(said: bytes) -> list[int]:
    """The final statuses of all that a server said; Broken where it is not well-formed."""
    reader = MessageReader(parse_response, Limits())
    reader.feed(said)
    found: list[int] = []
    try:
        while (part := reader.next()) is not None:
            if isinstance(part, Response) and part.status != 100:
                found.append(part.status)
            if isinstance(part, Response) and 200 <= part.status < 400:
                _needs_encapsulated(part)
            has_more = isinstance(part, Response) and part.encapsulated.has_body
            if not isinstance(part, Data) and not has_more:
                reader.next_message()
    except ProtocolError as error:
        raise Broken(f"an answer is malformed: {error.sentence}") from error
    if reader.in_message or reader.buffered:
        raise Broken("an answer has no end")
    if any(status >= 400 for status in found[:-1]):
        raise Broken(f"something was said behind a refusal: {found}")
    return found


def _needs_encapsulated(answer: Response) -> None:
    if "encapsulated" not in answer.fields:
        raise Broken(f"an answer {answer.status} without Encapsulated")


class Driver:
    """Feed it with `feed`; `said` is all that it answered, `closed` whether it ended."""

    def __init__(self) -> None:
        self.icap = ServerConnection(LIMITS)
        self.said = bytearray()
        self.closed = False
        self.refused = False
        self._request: Request | None = None
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes, and answer what is complete."""
        if self.closed:
            return
        self.icap.receive_data(data)
        try:
            self._take()
        except ProtocolError as error:
            self._refuse(error)
        if not self.closed and self.icap.buffered > _UNREAD:
            raise Broken(f"{self.icap.buffered} bytes are kept of a message that is incomplete")

    def _take(self) -> None:
        while not self.closed:
            event = self.icap.next_event()
            if isinstance(event, NeedData):
                return
            self._handle(event)
            if self.icap.request_state is RequestState.COMPLETE:
                self._end()

    def _handle(self, event: Request | Event) -> None:
        if isinstance(event, Request):
            self._request = event
            self._body.clear()
            if event.method not in ("REQMOD", "RESPMOD"):  # answered early, its body is read on
                self._say(self.icap.send_head(200, [], Encapsulated()))
        elif isinstance(event, Data):
            self._body += event.data
        elif isinstance(event, PreviewEnd):
            early = self.icap.answer_state is not AnswerState.IDLE
            if not early and len(self._body) % 2:
                self._say(self.icap.send_continue())
            elif not early:
                self._answer()
        elif not isinstance(event, BodyEnd):
            raise Broken(f"an event that is none: {event!r}")

    def _end(self) -> None:
        """The request is whole: answer it, and go on to the next."""
        if self.icap.answer_state is AnswerState.IDLE:
            self._answer()
        closing = self._request is not None and self._request.wants_close
        self.icap.next_request()
        self.closed = closing

    def _answer(self) -> None:
        if self.icap.may_206:
            what = Encapsulated(response_head=len(_OK), body=BodyKind.RESPONSE)
            self._say(self.icap.send_head(206, [], what, _OK))
            self._say(self.icap.send_end(use_original_body=0))
        elif self.icap.may_204:
            self._say(self.icap.send_head(204, [], Encapsulated()))
        else:
            what = Encapsulated(response_head=len(_OK), body=BodyKind.RESPONSE)
            self._say(self.icap.send_head(200, [], what, _OK))
            self._say(self.icap.send_data(bytes(self._body)) + self.icap.send_end())

    def _refuse(self, error: ProtocolError) -> None:
        if error.status not in (400, 505) or not error.sentence.endswith("."):
            raise Broken(f"a refusal that is none: {error.status} {error.sentence!r}")
        if self.icap.answer_state is AnswerState.IDLE:
            self._say(self.icap.send_head(error.status, [], Encapsulated()))
        self.closed = self.refused = True

    def _say(self, data: bytes) -> None:
        self.said += data


def run(pieces: list[bytes]) -> Driver:
    """One conversation; Broken where it is not: an answer, a refusal, or waiting for more."""
    driver = Driver()
    for piece in pieces:
        driver.feed(piece)
    finals(bytes(driver.said))
    return driver
