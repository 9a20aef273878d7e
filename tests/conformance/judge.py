"""Whether an answer is a legal one to the request it answers."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance.model import Message, Request
from tests.conformance.strict import Answer, check_fields

_HEADS = {
    "REQMOD": ({"req-hdr", "req-body", "null-body"}, {"res-hdr", "res-body", "null-body"}),
    "RESPMOD": ({"res-hdr", "res-body", "null-body"},),
    "OPTIONS": ({"opt-body", "null-body"},),
}


def judge(
    request: Request,
    answer: Answer,
    earlier: Sequence[Answer],
    *,
    continued: bool,
    may_change: bool,
) -> str | None:
    """What is wrong with a final answer, or None. `continued`: it follows `100 Continue`."""
    expect = request.expect
    wrong = check_fields(answer)
    if wrong is None and answer.status in expect.refused:
        wrong = _no_body_of_ours(answer)
    elif wrong is None and not (expect.served and answer.status in (200, 204, 206)):
        wrong = _unexpected(request, answer)
    elif wrong is None:
        wrong = _served(request, answer, continued, may_change or request.may_change)
    if wrong is None and expect.check is not None:
        wrong = expect.check(answer, earlier)
    return wrong


def _unexpected(request: Request, answer: Answer) -> str:
    due = sorted(request.expect.refused)
    wanted = " or ".join([*["200/204"] * request.expect.served, *map(str, due)])
    return f"{answer.status} where {wanted or 'only a close'} was due"


def _no_body_of_ours(answer: Answer) -> str | None:
    if answer.request_head is not None or answer.response_head is not None:
        return f"{answer.status} carries an HTTP head"
    return None


def _served(request: Request, answer: Answer, continued: bool, may_change: bool) -> str | None:
    if request.method == "OPTIONS":
        return _options(answer)
    if answer.trailers and "trailers" not in request.allow:
        return "trailers that the client did not allow"
    if answer.status == 204:
        return _no_content(request, answer, continued)
    wrong = _partial(request, answer, continued) if answer.status == 206 else None
    return wrong or _sections(request, answer) or _content(request, answer, may_change)


def _options(answer: Answer) -> str | None:
    if answer.status != 200:
        return f"OPTIONS is answered with {answer.status}"
    names = {name for name, _ in answer.entries or ()}
    if not names <= _HEADS["OPTIONS"][0]:
        return f"an OPTIONS answer carries {', '.join(sorted(names))}"
    return None


def _no_content(request: Request, answer: Answer, continued: bool) -> str | None:
    in_preview = request.previewed and not continued
    if "204" not in request.allow and not in_preview:
        return "204 where the client did not allow it"
    if answer.body is not None or answer.request_head or answer.response_head:
        return "204 with something encapsulated"
    return None


def _partial(request: Request, answer: Answer, continued: bool) -> str | None:
    in_preview = request.previewed and not continued
    offered = {"206"} if in_preview else {"204", "206"}
    if not offered <= request.allow:
        return "206 where the client did not offer it"
    if answer.body is None:
        return "206 with a null-body"
    return None


def _sections(request: Request, answer: Answer) -> str | None:
    if answer.entries is None:
        return f"{answer.status} without Encapsulated"
    names = {name for name, _ in answer.entries}
    if not any(names <= allowed for allowed in _HEADS[request.method]):
        return f"an answer to {request.method} carries {', '.join(sorted(names))}"
    had_head = request.message is not None and request.message.head
    if had_head and not names & {"req-hdr", "res-hdr"}:
        return "the message comes back without its HTTP head"
    return None


def _content(request: Request, answer: Answer, may_change: bool) -> str | None:
    sent = request.message
    if may_change or sent is None:
        return None
    head = answer.response_head if request.method == "RESPMOD" else answer.request_head
    if _start_line(head or b"") != _start_line(sent.head):
        return f"another message comes back: {_start_line(head or answer.response_head or b'')!r}"
    return _same_body(sent, answer)


def _start_line(head: bytes) -> bytes:
    return head.partition(b"\r\n")[0]


def _same_body(sent: Message, answer: Answer) -> str | None:
    if sent.body is None:
        return None if answer.body is None else "a body comes back where none was sent"
    body = answer.body or b""
    if answer.original is not None:
        if answer.status != 206 or answer.original > len(sent.body):
            return f"use-original-body={answer.original} where it means nothing"
        body += sent.body[answer.original :]
    if body != sent.body:
        return f"the body that comes back differs ({len(body)} bytes of {len(sent.body)})"
    return None
