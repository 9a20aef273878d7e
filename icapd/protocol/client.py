"""The client's side of a connection: requests out, answers in (RFC 3507 4)."""

from __future__ import annotations

from icapd.protocol.chunks import format_chunk, format_last_chunk
from icapd.protocol.encapsulated import Encapsulated
from icapd.protocol.errors import LocalProtocolError, ProtocolError
from icapd.protocol.events import NEED_DATA, BodyEnd, Event
from icapd.protocol.grammar import Limits, format_fields
from icapd.protocol.messages import Response, parse_response
from icapd.protocol.reader import MessageReader
from icapd.protocol.states import AnswerState, Exchange, IllegalMove, Move, RequestState

_WITH_A_MESSAGE = (200, 201, 206)  # to OPTIONS a 200 may carry nothing (errata to 4.1)


class ClientConnection:
    """One connection, seen from the client, without I/O.

    Send the bytes that the `send_…` methods return, feed what comes with `receive_data`, take
    events with `next_event`. After a final answer and the whole request: `next_response`.

    `reads_only`: requests are sent by other means, such as byte by byte or broken on purpose;
    each answer is read for itself.
    """

    def __init__(self, limits: Limits | None = None, *, reads_only: bool = False) -> None:
        self._reader = MessageReader(parse_response, limits or Limits())
        self._reads_only = reads_only
        self._exchange = Exchange()
        self._partial = False  # the answer under way is a 206
        self._method = ""
        self._fault: ProtocolError | None = None

    @property
    def request_state(self) -> RequestState:
        """How far the request is."""
        return self._exchange.request

    @property
    def answer_state(self) -> AnswerState:
        """How far the answer is."""
        return self._exchange.answer

    # -- sending -------------------------------------------------------------------------------

    def send_request(
        self,
        method: str,
        uri: str,
        fields: list[tuple[str, str]],
        encapsulated: Encapsulated | None = None,
        heads: bytes = b"",
    ) -> bytes:
        """A request's head; OPTIONS may go without `encapsulated`."""
        lines = list(fields)
        if encapsulated is not None:
            lines.append(("Encapsulated", str(encapsulated)))
        start = f"{method} {uri} ICAP/1.0\r\n".encode("ascii")
        head = b"%b%b\r\n%b" % (start, format_fields(lines), heads)
        previews = any(name.lower() == "preview" for name, _ in fields)
        self._method = method
        self._move_request(_head_move(encapsulated or Encapsulated(), previews=previews))
        return head

    def send_data(self, data: bytes) -> bytes:
        """A piece of the preview or body."""
        if self._exchange.request not in (RequestState.PREVIEW, RequestState.BODY):
            raise LocalProtocolError("body bytes outside a body")
        return format_chunk(data) if data else b""

    def send_end(self, *, ieof: bool = False) -> bytes:
        """The end of the preview or body; `ieof`: the preview was all there is."""
        self._move_request(Move.END_IEOF if ieof else Move.END)
        return format_last_chunk(ieof=ieof)

    def _move_request(self, move: Move) -> None:
        try:
            self._exchange.move_request(move)
        except IllegalMove as error:
            raise LocalProtocolError(str(error)) from None

    # -- reading -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Add bytes from the server."""
        self._reader.feed(data)

    def next_event(self) -> Response | Event:
        """The next thing the server said; `ProtocolError`, now and ever after, for what is none."""
        if self._fault is not None:
            raise self._fault
        try:
            return self._next_event()
        except ProtocolError as error:
            self._fault = error
            raise

    def _next_event(self) -> Response | Event:
        part = self._reader.next()
        if part is None:
            return NEED_DATA
        if isinstance(part, Response):
            self._begin(part)
        elif isinstance(part, BodyEnd):
            if part.use_original_body is not None and not self._partial:
                raise ProtocolError("A use-original-body outside a 206.")
            self._move_answer(Move.END)
        return part

    def _begin(self, response: Response) -> None:
        if not self._reads_only and self._exchange.request is RequestState.IDLE:
            raise ProtocolError("An answer came before a request.")
        modified = response.status in _WITH_A_MESSAGE and self._method in ("REQMOD", "RESPMOD")
        if modified and "encapsulated" not in response.fields:
            raise ProtocolError(f"An answer {response.status} without an Encapsulated header.")
        if response.status == 100:
            self._move_answer(Move.CONTINUE)
            self._reader.next_message()
        else:
            self._partial = response.status == 206
            self._move_answer(_head_move(response.encapsulated, previews=False))

    def _move_answer(self, move: Move) -> None:
        if self._reads_only:
            return
        try:
            self._exchange.move_answer(move)
        except IllegalMove as error:
            raise ProtocolError(f"The server sent {error}.") from None

    def next_response(self) -> None:
        """Go on to the next request and its answer."""
        try:
            if not self._reads_only:
                self._exchange.next()
        except IllegalMove as error:
            raise LocalProtocolError(str(error)) from None
        self._reader.next_message()


def _head_move(encapsulated: Encapsulated, *, previews: bool) -> Move:
    if not encapsulated.has_body:
        return Move.HEAD
    return Move.HEAD_AND_PREVIEW if previews else Move.HEAD_AND_BODY
