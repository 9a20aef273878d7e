"""What a capture writes does not depend on the pieces in which bytes came, and holds no secret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import Address, CaptureRequest
from bridge.core.capture.pcapng import file_head
from icapd.protocol import CONTINUE, Limits
from icapd.taps.tap import Tap
from icapd.taps.watch import Watch
from tests.support.pcapng import FIN, RST, SYN, Segment, said, segments

HEAD = file_head("katabridge", "icapd", "")
CLIENT, SERVER = Address("10.9.9.9", 40000), Address("127.0.0.1", 1344)
SECRET = b"s3cr3t"
ASKED = (
    b"GET http://u:s3cr3t@files.example/a.exe?b=c HTTP/1.1\r\n"
    b"Cookie: a=s3cr3t;\r\n b=s3cr3t\r\n\r\n"
)
SAID = b"HTTP/1.1 200 OK\r\nSet-Cookie: s3cr3t\r\n\r\n"
BODY = b"Cookie: in a body it is content\r\n\r\n" * 9
HIDDEN = (
    b"GET http://********@files.example/a.exe?b=c HTTP/1.1\r\n"
    b"Cookie: *********\r\n ********\r\n\r\n"
)
DONE = b'ICAP/1.0 204 No Content\r\nISTag: "x"\r\nEncapsulated: null-body=0\r\n\r\n'
REFUSED = b'ICAP/1.0 400 Bad Request\r\nISTag: "x"\r\nEncapsulated: null-body=0\r\n\r\n'


class Turn(NamedTuple):
    """What one side says before the other does."""

    by_client: bool
    data: bytes


def chunks(body: bytes, size: int, last: bytes = b"0\r\n\r\n") -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + last


def respmod(*fields: bytes, asked: bytes = ASKED) -> bytes:
    places = b"req-hdr=0, res-hdr=%d, res-body=%d" % (len(asked), len(asked + SAID))
    lines = [b"RESPMOD icap://h/av/respmod ICAP/1.0", *fields]
    lines += [b"Proxy-Authorization: s3cr3t", b"Encapsulated: " + places, b"", b""]
    return b"\r\n".join(lines) + asked + SAID


def reqmod() -> bytes:
    line = b"REQMOD icap://h/av/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, null-body=%d\r\n\r\n"
    return line % len(ASKED) + ASKED


def page() -> bytes:
    line = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n" % len(SAID)
    return line + SAID + chunks(BODY, 50)


OPTIONS = b"OPTIONS icap://h/av/respmod ICAP/1.0\r\nHost: h\r\n\r\n"
WHOLE = respmod(b"Allow: 204") + chunks(BODY, 1000)
TALKS = {
    "options": [Turn(True, OPTIONS), Turn(False, DONE)],
    "a whole request": [Turn(True, WHOLE), Turn(False, page())],
    "a preview that is enough": [
        Turn(True, respmod(b"Preview: 400") + chunks(BODY, 7, b"0; ieof\r\n\r\n")),
        Turn(False, DONE),
    ],
    "a preview that is answered": [
        Turn(True, respmod(b"Preview: 10") + chunks(BODY[:10], 10)),
        Turn(False, page()),
    ],
    "a preview that goes on": [
        Turn(True, respmod(b"Preview: 10") + chunks(BODY[:10], 10)),
        Turn(False, CONTINUE),
        Turn(True, chunks(BODY[10:], 64)),
        Turn(False, DONE),
    ],
    "an early answer": [
        Turn(True, respmod(b"Allow: 204") + b"5\r\nhello\r\n"),
        Turn(False, page()),
        Turn(True, chunks(BODY, 100)),
    ],
    "two at once": [Turn(True, reqmod() + WHOLE), Turn(False, DONE), Turn(False, page())],
    "blank lines": [Turn(True, b"\r\n\r\n" + reqmod()), Turn(False, DONE)],
}


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


def captured(turns: list[Turn], splits: list[list[int]], **wanted: object) -> list[Segment]:
    """The packets of a connection on which that was said, in these pieces."""
    request = CaptureRequest(0.0, 1 << 24, **wanted)  # type: ignore[arg-type]
    watch = Watch(request, keep_query=True)
    tap = Tap(watch, Limits(), lambda: (CLIENT, SERVER, False))
    for turn, places in zip(turns, splits, strict=True):
        for piece in cut(turn.data, places):
            (tap.heard if turn.by_client else tap.said)(piece)
    tap.leaves()
    tap.gone(is_cut=False)
    assert not watch.ended
    return segments(HEAD + watch.take())


def whole(turns: list[Turn], **wanted: object) -> list[Segment]:
    return captured(turns, [[] for _ in turns], **wanted)


def both(found: list[Segment]) -> tuple[bytes, bytes]:
    return said(found, 1344, by_client=True), said(found, 1344, by_client=False)


def length(found: list[Segment], *, by_client: bool) -> int:
    return sum(each.length for each in found if (each.ports[1] == 1344) is by_client)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Turn], list[list[int]]]:
    names = draw(st.lists(st.sampled_from(sorted(TALKS)), min_size=1, max_size=3))
    turns = [turn for name in names for turn in TALKS[name]]
    places = st.lists(st.integers(0, 2000), max_size=12)
    return turns, [draw(places) for _ in turns]


def sent(turns: list[Turn], *, by_client: bool) -> bytes:
    return b"".join(turn.data for turn in turns if turn.by_client is by_client)


@given(conversations())
def test_any_pieces_give_the_same_bytes_and_no_secret(
    talk: tuple[list[Turn], list[list[int]]],
) -> None:
    turns, splits = talk
    found = captured(turns, splits, bodies=None)
    heard, told = both(found)
    assert (heard, told) == both(whole(turns, bodies=None))
    assert SECRET not in heard + told
    for ours, by_client in ((heard, True), (told, False)):
        theirs = sent(turns, by_client=by_client)
        assert len(ours) == len(theirs)
        assert all(a in (b, ord("*")) for a, b in zip(ours, theirs, strict=True))
        assert ours.count(BODY[:30]) == theirs.count(BODY[:30])


@given(conversations(), st.sampled_from([0, 20]))
def test_any_pieces_of_a_body_are_left_out(
    talk: tuple[list[Turn], list[list[int]]], bodies: int
) -> None:
    turns, splits = talk
    found = captured(turns, splits, bodies=bodies)
    heard, told = both(found)
    assert (b"in a body" in heard + told) is False
    assert heard.count(HIDDEN) == sent(turns, by_client=True).count(ASKED)
    assert told.count(b"Set-Cookie: ******") == sent(turns, by_client=False).count(b"Set-Cookie")
    for by_client in (True, False):
        assert length(found, by_client=by_client) == len(sent(turns, by_client=by_client))


@pytest.mark.parametrize("name", TALKS)
def test_one_byte_at_a_time_hides_the_same(name: str) -> None:
    turns = TALKS[name]
    every = [list(range(len(turn.data))) for turn in turns]
    assert both(captured(turns, every, bodies=None)) == both(whole(turns, bodies=None))


def test_a_body_keeps_as_much_as_was_asked_for_over_all_its_pieces() -> None:
    turns = TALKS["a preview that goes on"]
    heads = len(turns[0].data) - len(chunks(BODY[:10], 10))
    for bodies in (0, 5, 15, 100):
        heard, _ = both(whole(turns, bodies=bodies))
        assert len(heard) == heads + bodies + 2 * len(b"0\r\n\r\n")


def test_the_ends_of_a_body_can_be_seen_without_it() -> None:
    heard, _ = both(whole(TALKS["a preview that is enough"]))
    assert heard.endswith(SAID.replace(SECRET, b"******") + b"0; ieof\r\n\r\n")


def test_a_connection_begins_and_ends_once() -> None:
    turns = TALKS["options"] * 3
    flags = [each.flags for each in whole(turns)]
    assert [bool(each & SYN) for each in flags] == [True, True] + [False] * (len(flags) - 2)
    assert [bool(each & FIN) for each in flags[-3:]] == [True, True, False]


BROKEN = {
    "no ICAP": b"GET / HTTP/1.1\r\nCookie: s3cr3t\r\n\r\nbody",
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "half a head": b"RESPMOD icap://h/av/respmod ICAP/1.0\r\nProxy-Authorization: s3cr3",
    "a head without Encapsulated": b"RESPMOD icap://h/a ICAP/1.0\r\nCookie: s3cr3t\r\n\r\nbody",
    "bare LF": b"POST / HTTP/1.1\nHost: x\n\ns3cr3t body\r\n\r\n",
    "bare CR": b"POST / HTTP/1.1\rHost: x\r\rs3cr3t body\r\n\r\n",
    "a blank line that is none": b"POST / HTTP/1.1\r\nHost: x\r\n \r\ns3cr3t body\r\n\r\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_request_is_shown_without_secrets_and_bodies(data: bytes) -> None:
    for places in ([], [30], list(range(len(data)))):
        turns = [Turn(True, data), Turn(False, REFUSED), Turn(True, b"more s3cr3t")]
        found = captured(turns, [places, [], []])
        heard, told = both(found)
        head = re.split(rb"(?>\r\n|\r|\n) *(?>\r\n|\r|\n)", data)[0]
        assert heard[:5] == data[:5]
        assert b"s3cr3" not in heard
        assert b"body" not in heard
        assert b"more" not in heard
        assert len(heard) >= min(len(head), 15) or data.startswith(b"\x16")
        assert told == REFUSED
        assert length(found, by_client=True) == len(data) + len(b"more s3cr3t")


@st.composite
def garbled(draw: st.DrawFn) -> list[Turn]:
    """A conversation in which a few bytes are others, or are missing."""
    turns = []
    for turn in TALKS[draw(st.sampled_from(sorted(TALKS)))]:
        data = bytearray(turn.data)
        for _ in range(draw(st.integers(0, 3)) if turn.by_client else 0):
            at = draw(st.integers(0, len(data) - 1))
            data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
        turns.append(Turn(turn.by_client, bytes(data)))
    return turns


@given(garbled(), st.lists(st.integers(0, 2000), max_size=5))
def test_nothing_that_is_said_is_a_fault_of_ours(turns: list[Turn], places: list[int]) -> None:
    found = captured(turns, [places for _ in turns], bodies=None)  # asserts that it goes on
    assert length(found, by_client=True) <= len(sent(turns, by_client=True))


def test_a_broken_body_is_a_body() -> None:
    turns = [Turn(True, respmod() + b"5\r\nhello\r\nxyz\r\n"), Turn(False, REFUSED)]
    heard, told = both(whole(turns))
    assert (heard.count(b"hello"), heard.count(b"xyz"), told) == (0, 0, REFUSED)
    heard, _ = both(whole(turns, bodies=None))
    assert heard.endswith(b"hello\r\nxyz\r\n")


def test_trailers_hide_secrets_too() -> None:
    trailers = b"0\r\nX-Token: s3cr3t\r\nX-Sum: 5\r\n\r\n"
    turns = [Turn(True, respmod() + chunks(BODY, 99, trailers)), Turn(False, DONE)]
    for at in range(len(turns[0].data) - 99, len(turns[0].data)):
        heard, _ = both(captured(turns, [[at], []], bodies=None))
        assert SECRET not in heard
        assert heard.endswith(b"X-Sum: 5\r\n\r\n")


ENDS = {
    "trailers": b"0\r\nX-Trailer: 1\r\n\r\n",
    "trailers with a secret": b"0\r\nX-Token: s3cr3t\r\nX-Sum: 5\r\n\r\n",
    "an extension": b"0; token=s3cr3t\r\n\r\n",
    "a long extension": b'000;token="s3cr3t;%b"; a\r\n\r\n' % (b"s3cr3t" * 20),
    "both": b"0; token=s3cr3t; ieof\r\nX-Token: s3cr3t\r\n\r\n",
    "a body that looks like an end": b"b\r\n\r\n0\r\nA: b\r\n\r\n0\r\nX: 5\r\n\r\n",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("bodies", [0, 20, None])
def test_a_body_is_left_out_whatever_stands_behind_it(end: bytes, bodies: int | None) -> None:
    asked = respmod()
    turns = [Turn(True, asked + chunks(BODY, 99, end)), Turn(False, DONE)]
    expected = both(whole(turns, bodies=bodies))[0]
    assert SECRET not in expected
    assert expected.count(b"in a body") == (0 if bodies is not None else 9)
    length = len(turns[0].data)
    for at in (*range(len(asked), length - 99, 20), *range(length - 99, length)):
        assert both(captured(turns, [[at], []], bodies=bodies))[0] == expected
    every = [list(range(len(turns[0].data))), []]
    assert both(captured(turns, every, bodies=bodies))[0] == expected


def test_what_ends_a_body_can_be_seen() -> None:
    end = b"0; ieof; token=s3cr3t\r\nX-Sum: 5\r\n\r\n"
    heard = both(whole([Turn(True, respmod() + chunks(BODY, 99, end)), Turn(False, DONE)]))[0]
    assert heard.endswith(b"0; ieof;*************\r\nX-Sum: 5\r\n\r\n")


@pytest.mark.parametrize("places", [[], [-20], [-10], [-2]])
def test_broken_trailers_are_not_shown(places: list[int]) -> None:
    end = b"0\r\nCookie s3cr3t\r\n\r\n"
    turns = [Turn(True, respmod() + chunks(BODY, 99, end)), Turn(False, REFUSED)]
    assert SECRET not in both(captured(turns, [places, []], bodies=None))[0]


NETWORK = {
    "the client": ({"client": "10.1.0.0/16"}, True),
    "another client": ({"client": "10.2.0.0/16"}, False),
    "the proxy, which asks for somebody": ({"client": "10.9.9.9"}, False),
    "the URL": ({"url": "FILES.example/A"}, True),
    "another URL": ({"url": "b.exe"}, False),
    "both": ({"client": "10.1.2.3", "url": "a.exe?b"}, True),
    "one of both": ({"client": "10.1.2.3", "url": "b.exe"}, False),
}


@pytest.mark.parametrize(("wanted", "is_there"), NETWORK.values(), ids=NETWORK.keys())
def test_only_what_was_asked_for_is_written(wanted: dict[str, str], is_there: bool) -> None:
    request = respmod(b"X-Client-IP: 10.1.2.3", b"Preview: 10")
    turns = [
        *TALKS["options"],
        Turn(True, request + chunks(BODY[:10], 10)),
        *TALKS["a preview that goes on"][1:],
        *TALKS["options"],
    ]
    heard, told = both(whole(turns, **wanted))
    assert (heard.count(b"RESPMOD "), told.count(b"100 Continue")) == (is_there, is_there)
    if is_there:  # and nothing else
        assert (heard.count(b" ICAP/1.0\r\n"), told.count(b"ICAP/1.0 ")) == (1, 2)


def test_a_url_is_sought_as_the_text_that_its_raw_bytes_are() -> None:
    name = "Файл.pdf".encode()
    request = respmod(asked=b"GET http://h/%b HTTP/1.1\r\n\r\n" % name) + chunks(BODY, 50)
    for data in (request, b"RESPMOD icap://h/%b ICAP/1.0\r\n\r\n" % name):  # and a broken one
        turns = [Turn(True, data), Turn(False, REFUSED)]
        assert name in both(whole(turns, url="h/файл.PDF"))[0]
        assert whole(turns, url="ф.pdf") == []


def test_without_another_client_it_is_the_proxy() -> None:
    assert both(whole(TALKS["options"], client="10.9.9.0/24")) == (OPTIONS, DONE)
    assert whole(TALKS["options"], url="av") == []


def test_a_broken_request_is_sought_by_the_same_words() -> None:
    data = b"RESPMOD icap://h/a ICAP/1.0\r\nX-Client-IP: 10.1.2.3\r\n\r\n"
    turns = [Turn(True, data), Turn(False, REFUSED)]
    assert both(whole(turns, client="10.1.2.3")) == (data, REFUSED)
    assert whole(turns, client="10.9.9.9") == []
    assert whole(turns, url="elsewhere") == []


def test_a_fault_of_ours_ends_the_capture_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(CaptureRequest(0.0, 1 << 20), keep_query=True)
    tap = Tap(watch, Limits(), lambda: (CLIENT, SERVER, False))
    monkeypatch.setattr("icapd.taps.tap.without_secrets", lambda *_, **__: 1 // 0)
    tap.heard(OPTIONS)
    assert watch.is_fault
    assert "ends the capture" in caplog.text
    tap.said(DONE)
    tap.gone(is_cut=False)
    assert b"OPTIONS" not in watch.take()


def test_a_cut_connection_is_reset_by_who_cut_it() -> None:
    watch = Watch(CaptureRequest(0.0, 1 << 20), keep_query=True)
    tap = Tap(watch, Limits(), lambda: (CLIENT, SERVER, True))
    tap.heard(OPTIONS)
    tap.gone(is_cut=True)
    tap.gone(is_cut=False)
    found = segments(HEAD + watch.take())
    assert [each.flags & RST for each in found] == [0, 0, 0, 0, RST]
    assert found[-1].ports == (1344, 40000)
    assert found[0].options == {1: b"came over TLS, to port 1344"}


def test_heads_that_never_end_take_a_bounded_part_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("icapd.taps.watch._MOST_HELD", 100_000)
    watch = Watch(CaptureRequest(0.0, 1 << 20), keep_query=True)
    half = b"RESPMOD icap://h/av/respmod ICAP/1.0\r\nX: " + b"a" * 30_000
    for _ in range(9):  # who leaves gives it back, and so does who goes on
        taps = [Tap(watch, Limits(), lambda: (CLIENT, SERVER, False)) for _ in range(2)]
        for tap in taps:
            tap.heard(half)
        taps[0].heard(b"\r\nEncapsulated: res-body=0\r\n\r\n")
        taps[1].gone(is_cut=False)
    assert not watch.ended
    for _ in range(4):
        Tap(watch, Limits(), lambda: (CLIENT, SERVER, False)).heard(half)
    assert watch.is_fault
    assert "memory" in watch.ended


def test_size_ends_it_with_whole_packets() -> None:
    watch = Watch(CaptureRequest(0.0, 1500), keep_query=True)
    tap = Tap(watch, Limits(), lambda: (CLIENT, SERVER, False))
    for _ in range(20):
        tap.heard(OPTIONS)
        tap.said(DONE)
    assert "--max-size" in watch.ended
    assert not watch.is_fault
    blocks = watch.take()
    assert 1300 < len(blocks) <= 1500
    assert segments(HEAD + blocks)
