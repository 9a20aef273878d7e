"""The server's side of a connection: requests in, answers out (RFC 3507 4)."""

from __future__ import annotations

from icapd.protocol.chunks import format_chunk, format_last_chunk
from icapd.protocol.encapsulated import Encapsulated
from icapd.protocol.errors import LocalProtocolError, ProtocolError
from icapd.protocol.events import NEED_DATA, PREVIEW_END, BodyEnd, Data, Event
from icapd.protocol.grammar import Limits, format_fields
from icapd.protocol.messages import Request, parse_request
from icapd.protocol.reader import MessageReader
from icapd.protocol.states import AnswerState, Exchange, IllegalMove, Move, RequestState

REASONS = {
    100: "Continue",
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "ICAP Service Not Found",
    405: "Method Not Allowed For Service",
    408: "Request Timeout",
    500: "Server Error",
    501: "Method Not Implemented",
    503: "Service Overloaded",
    505: "ICAP Version Not Supported",
}
CONTINUE = b"ICAP/1.0 100 Continue\r\n\r\n"


def format_answer(
    status: int, fields: list[tuple[str, str]], encapsulated: Encapsulated, heads: bytes = b""
) -> bytes:
    """The head of an answer with the HTTP heads it carries, wherever it is legal."""
    lines = [*fields, ("Encapsulated", str(encapsulated))]
    reason = REASONS[status].encode("ascii")
    return b"ICAP/1.0 %d %b\r\n%b\r\n%b" % (status, reason, format_fields(lines), heads)


class ServerConnection:
    """One connection, seen from the server, without I/O.

    Feed bytes with `receive_data`, take events with `next_event`, and send the bytes that the
    `send_…` methods return. After an answer and the whole request: `next_request`.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._reader = MessageReader(parse_request, limits or Limits())
        self._exchange = Exchange()
        self._request: Request | None = None
        self._preview_left = 0
        self._continued = False
        self._partial = False  # the answer under way is a 206
        self._fault: ProtocolError | None = None

    def use(self, limits: Limits) -> None:
        """Keep to these from the next head, or body, on."""
        self._reader.use(limits)

    @property
    def request_state(self) -> RequestState:
        """How far the request is."""
        return self._exchange.request

    @property
    def answer_state(self) -> AnswerState:
        """How far the answer is."""
        return self._exchange.answer

    # -- reading -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Add bytes from the client."""
        self._reader.feed(data)

    @property
    def buffered(self) -> int:
        """Bytes received but not yet reported."""
        return self._reader.buffered

    @property
    def in_request(self) -> bool:
        """Whether a request has begun and is not yet answered."""
        return self.request_state is not RequestState.IDLE or self._reader.in_message

    def next_event(self) -> Request | Event:
        """The next thing the client said; `ProtocolError`, now and ever after, for what is none."""
        if self._fault is not None:
            raise self._fault
        try:
            part = self._reader.next()
            if isinstance(part, Data):
                if self._exchange.request is RequestState.PREVIEW:
                    self._count_preview(part)
                return part
            if isinstance(part, BodyEnd):
                return self._body_ends(part)
        except ProtocolError as error:
            self._fault = error
            self._exchange.fail()
            raise
        if isinstance(part, Request):
            self._begin(part)
            return part
        return NEED_DATA

    def _count_preview(self, part: Data) -> None:
        self._preview_left -= len(part.data)
        if self._preview_left < 0:
            raise ProtocolError("The preview is longer than its Preview header says.")

    def _body_ends(self, end: BodyEnd) -> Event:
        was_preview = self._exchange.request is RequestState.PREVIEW
        if end.ieof and self._continued:
            raise ProtocolError("An ieof stands behind 100 Continue, where no preview is.")
        self._exchange.move_request(Move.END_IEOF if end.ieof else Move.END)
        return PREVIEW_END if was_preview and not end.ieof else end

    def _begin(self, request: Request) -> None:
        self._request, self._continued = request, False
        if not request.encapsulated.has_body:
            self._exchange.move_request(Move.HEAD)
        elif request.preview is not None:
            self._preview_left = request.preview
            self._exchange.move_request(Move.HEAD_AND_PREVIEW)
        else:
            self._exchange.move_request(Move.HEAD_AND_BODY)

    # -- what may be sent ----------------------------------------------------------------------

    @property
    def _answers_preview(self) -> bool:
        """Whether an answer now is one to a preview (RFC 3507 4.5)."""
        request = self._request
        if request is None or request.preview is None or not request.encapsulated.has_body:
            return False
        whole = self._exchange.request in (RequestState.HELD, RequestState.COMPLETE)
        return whole and not self._continued

    @property
    def may_204(self) -> bool:
        """Whether 204 is legal: in answer to a preview, or where offered (RFC 3507 4.6)."""
        request = self._request
        return self._answers_preview or (request is not None and request.allows("204"))

    @property
    def may_206(self) -> bool:
        """Whether 206 is legal: offered for a preview, or with 204 elsewhere (draft 4.2)."""
        request = self._request
        if request is None or not request.encapsulated.has_body or not request.allows("206"):
            return False
        return self._answers_preview or request.allows("204")

    # -- sending -------------------------------------------------------------------------------

    def send_continue(self) -> bytes:
        """`100 Continue`: legal once, after a preview that has more (RFC 3507 4.5)."""
        self._move_answer(Move.CONTINUE)
        self._continued = True
        self._reader.continue_body()
        return CONTINUE

    def send_head(
        self,
        status: int,
        fields: list[tuple[str, str]],
        encapsulated: Encapsulated,
        heads: bytes = b"",
    ) -> bytes:
        """A final answer's head; `Encapsulated` goes last, where ownCloud stops reading.

        An answer in place of `100 Continue` means that the client sends no more of this body.
        """
        if len(heads) != encapsulated.heads_size:
            raise LocalProtocolError("Encapsulated does not match the heads")
        if (status == 204 and not self.may_204) or (status == 206 and not self.may_206):
            raise LocalProtocolError(f"{status} where the client does not allow it")
        head = format_answer(status, fields, encapsulated, heads)
        self._move_answer(Move.HEAD_AND_BODY if encapsulated.has_body else Move.HEAD)
        self._partial = status == 206
        return head

    def send_data(self, data: bytes) -> bytes:
        """A piece of the answer's body."""
        if self._exchange.answer is not AnswerState.BODY:
            raise LocalProtocolError("body bytes outside a body")
        return format_chunk(data) if data else b""

    def send_end(self, *, use_original_body: int | None = None) -> bytes:
        """The end of the answer's body.

        `use_original_body`, in a 206 only: the client goes on with its own copy of the body from
        this byte (draft 5.2).
        """
        if use_original_body is not None and not self._partial:
            raise LocalProtocolError("use-original-body outside a 206")
        self._move_answer(Move.END)
        return format_last_chunk(use_original_body=use_original_body)

    def next_request(self) -> None:
        """Go on to the next request of the connection; bytes read ahead belong to it."""
        try:
            self._exchange.next()
        except IllegalMove as error:
            raise LocalProtocolError(str(error)) from None
        self._request = None
        self._reader.next_message()

    def _move_answer(self, move: Move) -> None:
        try:
            self._exchange.move_answer(move)
        except IllegalMove as error:
            raise LocalProtocolError(str(error)) from None
