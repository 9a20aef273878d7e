"""What a glance says of heads is what those say who read them whole; in doubt it says nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import LogSettings, Mode
from icapd.contents import needs_unpacking
from icapd.edits import passing_edit
from icapd.glance import Glance, glance
from icapd.message import Message
from icapd.protocol import Encapsulated, Request, Whole
from icapd.protocol.encapsulated import BodyKind

unhurried = settings(deadline=None, max_examples=500)
LINES = [
    *(b"Host: files.example", b"host:  H:81 ", b"Host : odd", b"Host: a b", b"X-Host: no"),
    *(b"Content-Length: 5", b"content-length:7", b"Content-Length : 5", b"Content-Length: +5"),
    *(b"X-Content-Length: 9", b"Content-Length: 1\xb2", b"Content-Length:", b"A: content-length"),
    *(b"Content-Encoding: gzip", b"content-encoding : br", b" Content-Encoding: gzip"),
    *(b"X: y\nContent-Encoding: gzip", b"Content-Disposition: attachment; filename=x"),
    *(b"Content-Type: text/html", b"Content-Type: multipart/form-data; boundary=a"),
    *(b"Content-Type: application/x-www-form-urlencoded", b"Range: bytes=0-5", b"\tfolded: y"),
    *(b"Accept-Ranges: bytes", b"Content-Range: bytes 0-4/10", b"no colon", b"", b"A: \xff\x00"),
    *(b"hostXabc", b"Content-LengthX5", b"Content-Length: 50"),
]
FIRST = [
    *(b"GET http://h/a/b.bin HTTP/1.1", b"GET /a?u=http://x/y HTTP/1.1", b"GET /a/ HTTP/1.0"),
    *(b"POST https://H.example:8443/x;y?z=/%2e HTTP/1.1", b"GET http://h/%41.bin HTTP/1.1"),
    *(b"GET http://u:p@h/a HTTP/1.1", b"GET http://h/a\\b HTTP/1.1", b"GET http://h HTTP/1.1"),
    *(b"CONNECT h:443 HTTP/1.1", b"GET http://h/a b HTTP/1.1", b"GET  http://h/a HTTP/1.1", b""),
    *(b"HTTP/1.1 200 OK", b"GET http://h/a#b HTTP/1.1", b"GET http://h/\xd1\x84 HTTP/1.1"),
    *(
        b"GET http://h/a? HTTP/1.1",
        b"GET //h/a HTTP/1.1",
        b"GET http://h/%b HTTP/1.1" % (b"n" * 300),
    ),
    *(b"GET http://h/a/.. HTTP/1.1", b"GET /. HTTP/1.1", b"GET http://h/... HTTP/1.1"),
    *(b"G3T http://h/a HTTP/1.1", b"GET ftp://h/a HTTP/1.1", b"GET http://[::1]/a HTTP/1.1"),
]
STATUS = [
    *(b"HTTP/1.1 200 OK", b"HTTP/1.0 404 Not Found", b"HTTP/1.1 206 Partial", b"HTTP/1.1  206 x"),
    *(b"HTTP/2 206", b"HTTP/1.1 206", b"200 OK", b"", b"HTTP/1.1 200", b"GET http://h/a HTTP/1.1"),
]
END = [b"\r\n\r\n", b"\r\n\r\n", b"\r\n\r\n", b"\r\n", b"\n\n", b""]


def heads(first: list[bytes]) -> st.SearchStrategy[bytes]:
    lines = st.lists(st.sampled_from(LINES), max_size=4)
    return st.builds(
        lambda start, more, end: b"\r\n".join([start, *more]) + end,
        st.sampled_from(first),
        lines,
        st.sampled_from(END),
    )


def whole(method: str, asked: bytes, response: bytes) -> Whole:
    return Whole(method, "icap://h/x", {}, asked + response, len(asked), b"", False, False)


def check(method: str, asked: bytes, response: bytes, *, query: bool = True) -> Glance | None:
    seen = glance(whole(method, asked, response))
    if seen is None:
        return None
    is_response = method == "RESPMOD"
    kind = BodyKind.RESPONSE if is_response else BodyKind.REQUEST
    parts = Encapsulated(len(asked), len(response) if is_response else None, kind)
    message = Message.of(Request(method, "icap://h/x", {}, parts, None, asked + response))
    case = message.new_case("x", Mode.ADVANCED, "p")
    message.describe(case, LogSettings(urls="full" if query else "no_query"), origin=False)
    url = seen.url if query else seen.url.partition("?")[0]
    assert (case.name, case.size) == (seen.name, seen.length)
    assert (case.context["method"], case.context["url"]) == (seen.method, url)
    assert message.http_request.url == seen.url
    assert not message.is_part
    assert not needs_unpacking(message.carrying)
    assert passing_edit(message, None, strip=True) is None
    return seen


@unhurried
@given(heads(FIRST), heads(STATUS), st.booleans())
def test_a_response(asked: bytes, response: bytes, query: bool) -> None:
    check("RESPMOD", asked, response, query=query)


@unhurried
@given(heads(FIRST), st.booleans())
def test_a_request(asked: bytes, query: bool) -> None:
    check("REQMOD", asked, b"", query=query)


def test_each_kind_of_line_beside_each_other() -> None:
    for first in FIRST:
        for line in LINES:
            asked = b"\r\n".join([first, line]) + b"\r\n\r\n"
            check("REQMOD", asked, b"")
            for status in STATUS:
                check("RESPMOD", first + b"\r\n\r\n", status + b"\r\n" + line + b"\r\n\r\n")
                check("RESPMOD", asked, status + b"\r\n\r\n")
                check("RESPMOD", asked, status + b"\r\n" + line)


def test_the_ordinary_is_seen() -> None:
    asked = b"GET http://h/d/a.bin?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\n"
    url = "http://h/d/a.bin?x=1"
    assert check("RESPMOD", asked, response) == Glance("GET", url, "a.bin", 5)
    assert check("REQMOD", asked, b"") == Glance("GET", url, "a.bin", None)
    apart = b"PUT /d/ HTTP/1.1\r\nHost: H:81\r\nContent-Length: 7\r\n\r\n"
    assert check("REQMOD", apart, b"") == Glance("PUT", "http://H:81/d/", "unnamed", 7)


def test_what_matters_is_left() -> None:
    asked = b"GET http://h/a HTTP/1.1\r\n\r\n"
    for line in (b"Content-Encoding: br", b"content-disposition: x", b"Content-Length: x"):
        response = b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n"
        assert glance(whole("RESPMOD", asked, response)) is None, line
    assert glance(whole("RESPMOD", asked, b"HTTP/1.1 206 Partial Content\r\n\r\n")) is None
    for line in (b"Range: bytes=0-", b"Content-Type: multipart/form-data", b"A: x-www-form-url"):
        assert glance(whole("REQMOD", asked[:-2] + line + b"\r\n\r\n", b"")) is None, line
