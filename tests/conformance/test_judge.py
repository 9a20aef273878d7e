"""The judge fails what is wrong: a scripted server gives answers, right and wrong ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from tests.conformance.build import (
    GET,
    IEOF,
    LAST,
    MALFORMED,
    MUST,
    OK,
    TEXT,
    case,
    chunk,
    options,
    reqmod,
    respmod,
    served,
)
from tests.conformance.conversation import Service, run_case
from tests.conformance.model import Case, Delivery, Request

TIMEOUT = 10.0
SHORT = 0.3  # where nothing comes
TAG = b'ISTag: "one"\r\n'
PROBED = b"ICAP/1.0 200 OK\r\n" + TAG + b"Methods: RESPMOD\r\nEncapsulated: null-body=0\r\n\r\n"
NO_CONTENT = b"ICAP/1.0 204 No Content\r\n" + TAG + b"Encapsulated: null-body=0\r\n\r\n"
BAD = b"ICAP/1.0 400 Bad Request\r\n" + TAG + b"Connection: close\r\n\r\n"
CONTINUE = b"ICAP/1.0 100 Continue\r\n\r\n"


def whole(
    body: bytes = chunk(TEXT) + LAST,
    fields: bytes = TAG,
    line: bytes = b"ICAP/1.0 200 OK",
    offset: int = len(OK),
    head: bytes = OK,
) -> bytes:
    """An answer that gives the message back."""
    encapsulated = b"Encapsulated: res-hdr=0, res-body=%d\r\n\r\n" % offset
    return line + b"\r\n" + fields + encapsulated + head + body


@contextmanager
def scripted(answers: Sequence[bytes], *, closes: bool) -> Iterator[Service]:
    """A server that answers each burst of bytes with the next of `answers`, whatever they are."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener.accept()[0] as peer, suppress(OSError):
            for answer in answers:
                if not peer.recv(1 << 20):
                    return
                peer.sendall(answer)
            if not closes:
                while peer.recv(1 << 20):
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Service("127.0.0.1", listener.getsockname()[1], "echo")
    finally:
        thread.join(5)
        listener.close()
    assert not thread.is_alive()


def verdict(
    request: Request, *answers: bytes, closes: bool = False, timeout: float = TIMEOUT
) -> str | None:
    """What the judge says of `answers` to `request`, sent whole."""
    tried: Case = case("a-case", "4", MUST, "A requirement.", request)
    with scripted(answers, closes=closes) as service:
        return run_case(tried, service, Delivery.WHOLE, timeout)


ALLOWED = respmod(b"Allow: 204")
PLAIN = respmod()
GOT = reqmod(body=None)
MORE = respmod(b"Preview: 4", body=TEXT[:4], wire=chunk(TEXT[:4]) + LAST, rest=TEXT[4:])
FITS = respmod(b"Preview: 1024", wire=chunk(TEXT) + IEOF)
PARTIAL = respmod(b"Allow: 204, 206")
REFUSED = respmod(wire=b"-1\r\n", expect=MALFORMED)
CLOSING = respmod(b"Connection: close", expect=served(closes=True))
USE = b"0; use-original-body=4\r\n\r\n"
P206 = b"ICAP/1.0 206 Partial Content"

RIGHT = {
    "204 that is allowed": (ALLOWED, NO_CONTENT, PROBED),
    "the whole": (PLAIN, whole(), PROBED),
    "100 and the whole": (MORE, CONTINUE, whole(), PROBED),
    "204 to a preview": (MORE, NO_CONTENT, PROBED),
    "204 to ieof": (FITS, NO_CONTENT, PROBED),
    "206 that is offered": (PARTIAL, whole(chunk(TEXT[:4]) + USE, line=P206), PROBED),
    "OPTIONS": (options(), PROBED, PROBED),
    "OPTIONS without Encapsulated": (
        options(),
        PROBED.replace(b"Encapsulated: null-body=0\r\n", b""),
        PROBED,
    ),
    "several chunks": (PLAIN, whole(chunk(TEXT[:4]) + chunk(TEXT[4:]) + LAST), PROBED),
}
WRONG = {
    "an offset too small": (
        "A chunk size is malformed.",
        PLAIN,
        whole(offset=len(OK) - 2),
    ),
    "an offset too large": ("A chunk size is malformed.", PLAIN, whole(offset=len(OK) + 4)),
    "no ISTag": ("no ISTag", PLAIN, whole(fields=b"")),
    "an ISTag without quotes": (
        "ISTag is not a quoted string of at most 32 bytes",
        PLAIN,
        whole(fields=b"ISTag: one\r\n"),
    ),
    "an ISTag of 33 bytes": (
        "ISTag is not a quoted string of at most 32 bytes",
        PLAIN,
        whole(fields=b'ISTag: "' + b"a" * 33 + b'"\r\n'),
    ),
    "no Encapsulated": (
        "200 without Encapsulated",
        PLAIN,
        b"ICAP/1.0 200 OK\r\n" + TAG + b"\r\n",
    ),
    "Transfer-Encoding": (
        "Transfer-Encoding in the ICAP head",
        PLAIN,
        whole(fields=TAG + b"Transfer-Encoding: chunked\r\n"),
    ),
    "another protocol": (
        "The first line is not an ICAP status line.",
        PLAIN,
        whole(line=b"HTTP/1.1 200 OK"),
    ),
    "another version": ("not an ICAP status line", PLAIN, whole(line=b"ICAP/1.1 200 OK")),
    "a status line without a blank": (
        "not an ICAP status line",
        PLAIN,
        whole(line=b"ICAP/1.0 200"),
    ),
    "bare LF in the head": (
        "A header line is malformed.",
        PLAIN,
        whole(fields=TAG + b"X: a\nY: b\r\n"),
    ),
    "a body behind 204": (
        "the next request: The first line is not an ICAP status line.",
        ALLOWED,
        NO_CONTENT + chunk(TEXT) + LAST,
        PROBED,
    ),
    "a byte behind 204": (
        "the next request: The first line is not an ICAP status line.",
        ALLOWED,
        NO_CONTENT + b"x",
        PROBED,
    ),
    "a byte behind the body": (
        "the next request: The first line is not an ICAP status line.",
        PLAIN,
        whole() + b"0",
        PROBED,
    ),
    "an end behind the end": (
        "the next request: The first line is not an ICAP status line.",
        PLAIN,
        whole() + LAST,
        PROBED,
    ),
    "204 that is not allowed": ("204 where the client did not allow it", PLAIN, NO_CONTENT, PROBED),
    "204 after 100": ("204 where the client did not allow it", MORE, CONTINUE, NO_CONTENT, PROBED),
    "206 that is not offered": (
        "206 where the client did not offer it",
        ALLOWED,
        whole(chunk(TEXT[:4]) + USE, line=P206),
        PROBED,
    ),
    "206 from a wrong place": (
        "the body that comes back differs",
        PARTIAL,
        whole(chunk(TEXT[:5]) + USE, line=P206),
        PROBED,
    ),
    "100 without a preview": (
        "100 Continue where no preview has more",
        PLAIN,
        CONTINUE,
        whole(),
        PROBED,
    ),
    "100 behind ieof": ("100 Continue where no preview has more", FITS, CONTINUE, whole(), PROBED),
    "100 twice": ("a second 100 Continue", MORE, CONTINUE, CONTINUE, whole(), PROBED),
    "ieof in an answer": ("ieof in an answer", PLAIN, whole(chunk(TEXT) + IEOF), PROBED),
    "trailers that nobody wants": (
        "trailers that the client did not allow",
        PLAIN,
        whole(chunk(TEXT) + b"0\r\nX: 1\r\n\r\n"),
        PROBED,
    ),
    "another body": (
        "the body that comes back differs",
        PLAIN,
        whole(chunk(TEXT.upper()) + LAST),
        PROBED,
    ),
    "half a body": (
        "the body that comes back differs",
        PLAIN,
        whole(chunk(TEXT[:9]) + LAST),
        PROBED,
    ),
    "another head": (
        "another message comes back",
        PLAIN,
        whole(head=OK.replace(b"200", b"403")),
        PROBED,
    ),
    "a bad chunk size": (
        "A chunk size is malformed.",
        PLAIN,
        whole(b"0x18\r\n" + TEXT + b"\r\n" + LAST),
        PROBED,
    ),
    "the request head in RESPMOD": (
        "an answer to RESPMOD carries req-hdr, res-body",
        PLAIN,
        whole().replace(b"res-hdr", b"req-hdr"),
        PROBED,
    ),
    "a second answer": (
        "the next request: an OPTIONS answer carries res-body, res-hdr",
        PLAIN,
        whole() + whole(),
        PROBED,
    ),
    "no answer to the next request": ("the next request: no answer", PLAIN, whole(), b""),
    "a null-body where a body was": (
        "the body that comes back differs",
        PLAIN,
        whole(b"").replace(b"res-body", b"null-body"),
        PROBED,
    ),
    "a body where none was": (
        "a body comes back where none was sent",
        GOT,
        whole(head=GET, offset=len(GET))
        .replace(b"res-hdr", b"req-hdr")
        .replace(b"res-body", b"req-body"),
        PROBED,
    ),
    "an error where an answer was due": ("400 where 200/204 was due", PLAIN, BAD),
    "served where a refusal was due": ("200 where 400 was due", REFUSED, whole(), PROBED),
    "a second answer behind a refusal": ("more behind the last answer", REFUSED, BAD + PROBED),
    "another refusal": ("404 where 400 was due", REFUSED, BAD.replace(b"400", b"404")),
    "an HTTP head in a refusal": (
        "400 carries an HTTP head",
        REFUSED,
        BAD[:-2] + b"Encapsulated: res-hdr=0, null-body=%d\r\n\r\n" % len(OK) + OK,
    ),
}
WRONG["a second answer to OPTIONS"] = ("more behind", options(), PROBED, PROBED + PROBED)
ENDS_WRONG = {
    "silence": ("no answer", (PLAIN,), False),
    "a close without an answer": ("closed without an answer", (PLAIN, b""), True),
    "a cut within the head": ("the answer is cut off by a close", (PLAIN, whole()[:60]), True),
    "a cut within the HTTP head": (
        "the answer is cut off by a close",
        (PLAIN, whole()[:-70]),
        True,
    ),
    "a cut within the body": ("the answer is cut off by a close", (PLAIN, whole()[:-12]), True),
    "a cut before the last CRLF": ("the answer is cut off by a close", (PLAIN, whole()[:-2]), True),
    "silence instead of a refusal": ("no answer", (REFUSED,), False),
    "a close instead of a refusal": ("closed without an answer", (REFUSED, b""), True),
    "a refusal that keeps the connection": ("the connection does not end", (REFUSED, BAD), False),
    "a close that was not announced": (
        "the next request: closed without an answer",
        (PLAIN, whole()),
        True,
    ),
    "no close where it was asked": ("the connection does not end", (CLOSING, whole()), False),
}


@pytest.mark.parametrize("script", RIGHT.values(), ids=RIGHT.keys())
def test_what_is_right_passes(script: tuple[Request, *tuple[bytes, ...]]) -> None:
    request, *answers = script
    assert verdict(request, *answers) is None


@pytest.mark.parametrize("script", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_fails(script: tuple[str, Request, *tuple[bytes, ...]]) -> None:
    reason, request, *answers = script
    closes, timeout = request is REFUSED, patience(reason)
    assert reason in str(verdict(request, *answers, closes=closes, timeout=timeout))


@pytest.mark.parametrize(("reason", "script", "closes"), ENDS_WRONG.values(), ids=ENDS_WRONG.keys())
def test_wrong_ends_fail(
    reason: str, script: tuple[Request, *tuple[bytes, ...]], closes: bool
) -> None:
    request, *answers = script
    assert reason in str(verdict(request, *answers, closes=closes, timeout=patience(reason)))


def patience(reason: str) -> float:
    return SHORT if "no answer" in reason or "does not end" in reason else TIMEOUT


def test_a_refusal_that_closes_passes() -> None:
    assert verdict(REFUSED, BAD, closes=True) is None
    assert verdict(CLOSING, whole(), closes=True) is None


def test_nothing_may_follow_a_refusal() -> None:
    tried = case("a-case", "4", MUST, "A requirement.", REFUSED)
    for answers, passes in (([BAD], True), ([BAD + PROBED], False)):
        with scripted(answers, closes=True) as service:
            wrong = run_case(tried, service, Delivery.PIPELINED, TIMEOUT)
        assert (wrong is None) is passes
