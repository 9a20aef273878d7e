"""The answer to one request, in the forms that ICAP knows (RFC 3507 4.3.3, 4.6)."""

from __future__ import annotations

from icapd.channel import Channel
from icapd.pages import Page
from icapd.protocol import AnswerState, BodyKind, Encapsulated, HttpHead, Request

# A body that may be cut must not be resumed or taken for the whole later.
_NOT_RESUMABLE = ("ETag", "Last-Modified", "Accept-Ranges")
CLOSE = ("Connection", "close")


class Answer:
    """Writes one answer on a channel. `fields`: ICAP fields of every answer (ISTag)."""

    def __init__(self, channel: Channel, request: Request, fields: list[tuple[str, str]]) -> None:
        self._channel = channel
        self._request = request
        self._own_fields = fields
        self.sent_bytes = 0

    @property
    def _fields(self) -> list[tuple[str, str]]:
        return [*self._own_fields, CLOSE] if self._channel.closing else self._own_fields

    @property
    def begun(self) -> bool:
        """Whether the answer's head is out."""
        return self._channel.icap.answer_state is not AnswerState.IDLE

    def empty(self, status: int, more: list[tuple[str, str]] | None = None) -> None:
        """An answer without anything encapsulated: 204, or an error."""
        fields = [*self._fields, *(more or [])]
        self._channel.write(self._channel.icap.send_head(status, fields, Encapsulated()))

    def page(self, page: Page) -> None:
        """Our own HTTP response instead of what was asked about."""
        icap = self._channel.icap
        what = Encapsulated(response_head=len(page.head), body=BodyKind.RESPONSE)
        head = icap.send_head(200, self._fields + page.icap_fields, what, page.head)
        self._channel.write(head + icap.send_data(page.body) + icap.send_end())

    def head(self, *, resumable: bool = True) -> None:
        """Begin to give the message back: ICAP 200 and the HTTP head as it was sent.

        With `resumable=False` the fields go by which a client would resume a cut download.
        """
        request = self._request
        if request.method == "REQMOD":
            head = request.request_head
            length = request.encapsulated.request_head
            what = Encapsulated(request_head=length, body=request.encapsulated.body)
        else:
            head = request.response_head
            if head and not resumable:
                head = HttpHead(head).without(_NOT_RESUMABLE)
            length = None if request.encapsulated.response_head is None else len(head)
            what = Encapsulated(response_head=length, body=request.encapsulated.body)
        self._channel.write(self._channel.icap.send_head(200, self._fields, what, head))

    def data(self, piece: bytes) -> None:
        """Give back body bytes."""
        self._channel.write(self._channel.icap.send_data(piece))
        self.sent_bytes += len(piece)

    def end(self) -> None:
        """End the body that was begun."""
        self._channel.write(self._channel.icap.send_end())
