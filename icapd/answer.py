"""The answer to one request, in the forms that ICAP knows (RFC 3507 4.3.3, 4.6)."""

from __future__ import annotations

from icapd.channel import Channel
from icapd.edits import Edit
from icapd.pages import OpenPage, Page
from icapd.protocol import AnswerState, BodyKind, Encapsulated, Request

CLOSE = ("Connection", "close")


class Answer:
    """Writes one answer on a channel.

    `fields`: ICAP fields of every answer (ISTag). `host`: our name in the Via of what we change.
    """

    def __init__(
        self, channel: Channel, request: Request, fields: list[tuple[str, str]], host: str
    ) -> None:
        self._channel = channel
        self._request = request
        self._own_fields = fields
        self._host = host
        self._partial = False  # a 206: the client has a copy of the body
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

    def open_page(self, page: OpenPage) -> None:
        """Begin a page of our own, whose rest follows by `page_bytes` and `end`."""
        what = Encapsulated(response_head=len(page.head), body=BodyKind.RESPONSE)
        head = self._channel.icap.send_head(200, self._fields + page.icap_fields, what, page.head)
        self._channel.write(head)
        self.page_bytes(page.beginning)

    def page_bytes(self, piece: bytes) -> None:
        """Some more of a page that was begun."""
        self._channel.write(self._channel.icap.send_data(piece))

    def head(self, edit: Edit | None = None) -> None:
        """Begin to give the message back: ICAP 200, or 206 where the client has a copy."""
        request = self._request
        is_request = request.method == "REQMOD"
        head = request.request_head if is_request else request.response_head
        if edit is not None and head:
            head = edit.apply(head, self._host)
        what = self._parts(head)
        self._partial = edit is not None and self._channel.icap.may_206
        status = 206 if self._partial else 200
        self._channel.write(self._channel.icap.send_head(status, self._fields, what, head))

    def _parts(self, head: bytes) -> Encapsulated:
        sent = self._request.encapsulated
        if self._request.method == "REQMOD":
            return Encapsulated(request_head=len(head), body=sent.body)
        length = None if sent.response_head is None else len(head)
        return Encapsulated(response_head=length, body=sent.body)

    def end_with_own_copy(self) -> bool:
        """Let the client go on with its own copy of the body; False where it must be sent."""
        if not self._partial:
            return False
        icap = self._channel.icap
        self._channel.write(icap.send_end(use_original_body=self.sent_bytes))
        return True

    def data(self, piece: bytes) -> None:
        """Give back body bytes."""
        self._channel.write(self._channel.icap.send_data(piece))
        self.sent_bytes += len(piece)

    def end(self) -> None:
        """End the body that was begun."""
        self._channel.write(self._channel.icap.send_end())
