"""Forms: what everybody reads alike is taken apart, anything else is malformed."""

from __future__ import annotations

import pytest

from icapd.contents.fields import MalformedError, PartHead, boundary, media_types, part_head
from icapd.contents.forms import TAIL, Event, FormReader, TooManyPartsError, closing_end
from icapd.contents.parts import is_text
from icapd.protocol import HttpHead

BOUNDARY = b"----WebKitFormBoundary7MA4YWxk"
FILE = 'form-data; name="f"; filename="a.exe"'


def part(data: bytes, *fields: str) -> bytes:
    lines = fields or (f"Content-Disposition: {FILE}",)
    return "\r\n".join([*lines, "", ""]).encode() + data


def form(*parts: bytes, mark: bytes = BOUNDARY, end: bytes = b"\r\n") -> bytes:
    opened = b"".join(b"--" + mark + b"\r\n" + inner + b"\r\n" for inner in parts)
    return opened + b"--" + mark + b"--" + end


def read(
    body: bytes, step: int = 1 << 16, mark: bytes = BOUNDARY, max_parts: int = 500
) -> list[tuple[PartHead, bytes]]:
    last = len(body) - closing_end(body[-TAIL:], mark) - 1
    reader = FormReader(mark, max_parts)
    events: list[Event] = []
    first = max(step, 200)  # a form's first piece holds its first boundary
    for start, stop in [(0, min(first, last)), *_pieces(first, last, step)]:
        events += reader.feed(body[start:stop])
    return gathered(events + reader.finish())


def _pieces(first: int, last: int, step: int) -> list[tuple[int, int]]:
    return [(at, min(at + step, last)) for at in range(first, last, step)]


def gathered(events: list[Event]) -> list[tuple[PartHead, bytes]]:
    found: list[tuple[PartHead, bytes]] = []
    current: PartHead | None = None
    data = b""
    for event in events:
        if isinstance(event, PartHead):
            current, data = event, b""
        elif event is not None:
            data += event
        else:
            assert current is not None
            found.append((current, data))
    return found


def is_malformed(body: bytes) -> bool:
    """Whether it is, however it is cut."""
    answers = set()
    for step in (1, 5, 64, 1 << 20):
        try:
            read(body, step)
            answers.add(False)
        except MalformedError:
            answers.add(True)
    assert len(answers) == 1
    return answers.pop()


# -- whole forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 50, 1 << 20])
def test_parts_come_in_order_with_their_bytes(step: int) -> None:
    inner = b"\r\n--" + BOUNDARY[:-1] + b"\r\n\r--\n\r\n"  # nearly a boundary
    fields = ['Content-Disposition: form-data; name="t"', "Content-Type: text/plain"]
    found = read(form(part(inner), part(b"x", *fields), part(b"")), step)
    assert found == [
        (PartHead("f", "a.exe"), inner),
        (PartHead("t", None), b"x"),
        (PartHead("f", "a.exe"), b""),
    ]


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n", b" \t\r\n\r\n"])
@pytest.mark.parametrize("start", [b"", b"\r\n", b"\r\n\r\n"])
def test_blanks_around_a_form_are_nothing(start: bytes, end: bytes) -> None:
    body = start + form(part(b"x"), end=end)
    assert not is_malformed(body)
    assert [data for _, data in read(body)] == [b"x"]


def test_a_form_without_parts() -> None:
    assert read(form()) == []
    assert read(b"--b--", mark=b"b") == []


def test_a_form_has_at_most_so_many_parts() -> None:
    assert len(read(form(*[part(b"x")] * 200), max_parts=200)) == 200
    with pytest.raises(TooManyPartsError):
        read(form(*[part(b"x")] * 201), max_parts=200)


def test_too_many_parts_are_noticed_before_all_are_read() -> None:
    reader = FormReader(BOUNDARY, 2)
    with pytest.raises(TooManyPartsError):
        reader.feed(form(*[part(b"x")] * 5000)[:-50])


def test_names_of_files_come_as_utf8_and_as_anything_else() -> None:
    wire = f"Content-Disposition: {FILE}".replace("a.exe", "имя.exe")
    heads = [wire.encode() + b"\r\n\r\nx", wire.encode("cp1251") + b"\r\n\r\nx"]
    found = [head.filename for head, _ in read(form(*heads))]
    assert found == ["имя.exe", "èìÿ.exe"]


# -- boundary tricks -----------------------------------------------------------------------------

MARK = b"--" + BOUNDARY
TRICKS = {
    "no closing boundary": form(part(b"x"))[: -len(b"--\r\n")] + b"\r\n",
    "nearly a closing boundary": form(part(b"x"))[:-3] + b"X",
    "cut within a part": form(part(b"x" * 100))[:150],
    "bytes before": b"preamble\r\n" + form(part(b"x")),
    "a blank before on the line": b" " + form(part(b"x")),
    "bytes after": form(part(b"x")) + b"epilogue",
    "a second form after": form(part(b"x")) + form(part(b"y")),
    "a part after the end": form(part(b"x")) + b"\r\n" + MARK + b"\r\n" + part(b"y") + MARK + b"--",
    "bytes after, and an end": form(part(b"x")) + b"evil\r\n" + MARK + b"--\r\n",
    "two ends": form(part(b"x")) + MARK + b"--\r\n",
    "lf before a boundary": form(part(b"safe\n" + MARK + b"\n" + part(b"evil"))),
    "a boundary amid a line": form(part(b"safe" + MARK + b"\r\n" + part(b"evil"))),
    "a boundary amid a line, closed": form(part(b"safe\n" + MARK + b"--\nevil")),
    "cr before a boundary": form(part(b"safe\r" + MARK + b"\r" + part(b"evil"))),
    "a longer boundary": form(part(b"safe\r\n" + MARK + b"x\r\nevil")),
    "a boundary with blanks": form(part(b"safe\r\n" + MARK + b"  \r\n" + part(b"evil"))),
    "a dash more": form(part(b"safe\r\n-" + MARK + b"\r\n" + part(b"evil"))),
    "a boundary in a head": form(part(b"x", f"Content-Disposition: {FILE}", f"X: {MARK!r}")),
    "lf for all line ends": form(part(b"x")).replace(b"\r\n", b"\n"),
    "lf at the end of a head": form(part(b"x").replace(b"\r\n\r\n", b"\n\n")),
    "lf within a head": form(
        part(b"x", "X-A: b\nContent-Type: text/plain", f"Content-Disposition: {FILE}")
    ),
    "lf before a field": form(b"\n" + part(b"x")),
    "a blank after a name": form(part(b"x", f"Content-Disposition : {FILE}")),
    "vt before a field": form(part(b"x", f"Content-Disposition: {FILE}", "\x0bX: y")),
    "a nul in a field": form(part(b"x", f"Content-Disposition: {FILE}", "X: \0")),
    "no blank line": MARK
    + b"\r\n"
    + f"Content-Disposition: {FILE}".encode()
    + b"\r\n"
    + MARK
    + b"--",
    "another form inside": form(part(form(part(b"evil")))),
    "no head": form(b"\r\nx"),
    "no disposition": form(part(b"x", "Content-Type: text/plain")),
    "not a form's": form(part(b"x", 'Content-Disposition: attachment; filename="a"')),
    "a folded field": form(
        part(b"x", 'Content-Disposition: form-data; name="f";', ' filename="a"')
    ),
    "too many fields": form(part(b"x", f"Content-Disposition: {FILE}", *["X: y"] * 20)),
    "a part's false length": form(part(b"x", f"Content-Disposition: {FILE}", "Content-Length: 2")),
    "nothing but the mark": MARK,
    "nothing of a form": b"MZ" + bytes(300),
}


@pytest.mark.parametrize("body", TRICKS.values(), ids=list(TRICKS))
def test_what_somebody_might_read_otherwise_is_malformed(body: bytes) -> None:
    assert is_malformed(body)


def test_other_boundaries_inside_are_bytes_of_a_file() -> None:
    inner = form(part(b"evil"), mark=b"inner")
    assert read(form(part(inner))) == [(PartHead("f", "a.exe"), inner)]


def test_a_boundary_of_dashes_is_counted_once() -> None:
    mark = b"-------"
    assert len(read(form(part(b"x"), part(b"y"), mark=mark), mark=mark)) == 2


# -- heads of parts ------------------------------------------------------------------------------

DISPOSITION = "Content-Disposition"


@pytest.mark.parametrize(
    ("value", "field", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ("form-data; name=a", "a", None),
        ('form-data; name="a"; filename="b.txt"', "a", "b.txt"),
        ('form-data; name="a"; filename=""', "a", ""),
        ("Form-Data;name=a;FileName=b.txt", "a", "b.txt"),
        ('form-data; name="a"; filename="C:\\x\\y.txt"', "a", "C:\\x\\y.txt"),
        ('form-data; name="a"; filename="say %22hi%22.txt"', "a", 'say "hi".txt'),
        ('form-data; name="a"; filename="a;b=c.txt"', "a", "a;b=c.txt"),
        ('form-data; name="a"; filename="имя.txt"', "a", "имя.txt"),
        ("form-data; name=a; filename*=utf-8''%D0%B8.txt", "a", "и.txt"),
        ("form-data; name=a; filename=b.txt; filename*=utf-8''b.txt", "a", "b.txt"),
        ("form-data; name=a; filename=\"=?utf-8?B?0Lg=?=\"; filename*=utf-8''%D0%B8", "a", "и"),
        ('form-data; name="a"; filename="b"; size=5', "a", "b"),
        ('form-data; name="a"; filename="=?utf-8?B?0Lg=?=.txt"', "a", "и.txt"),
        ('form-data; name="a"; filename="=?utf-8?B?0?=.txt"', "a", "=?utf-8?B?0?=.txt"),
        ('form-data; name="a"; filename="say \\"hi\\".txt"', "a", 'say "hi".txt'),
        ('form-data; filename="\\"C:\\\\x\\y.txt"; name="a"', "a", '"C:\\x\\y.txt'),
    ],
)
def test_a_disposition_as_clients_send_it(value: str, field: str, filename: str | None) -> None:
    wire = value.encode().decode("latin-1")
    assert part_head([(DISPOSITION, wire)]) == PartHead(field, filename)


def test_a_name_that_is_not_utf8_is_still_a_file() -> None:
    wire = 'form-data; name="a"; filename="имя.txt"'.encode("cp1251").decode("latin-1")
    filename = part_head([(DISPOSITION, wire)]).filename
    assert filename is not None
    assert filename.endswith(".txt")


@pytest.mark.parametrize(
    "value",
    [
        "form-data",
        'form-data; filename="a"',
        'attachment; name="a"',
        'form-data; name="a"; name="b"',
        'form-data; name="a"; filename="b"; filename="c"',
        'form-data; name="a"; filename="b"; FILENAME="c"',
        "form-data; name=a; filename=b; filename*=utf-8''c",
        "form-data; name=a; filename*=utf-8''%FF",
        "form-data; name=a; filename*=koi8-r''a",
        "form-data; name=a; filename*=b",
        "form-data; name=a; filename*0=b; filename*1=c",
        'form-data; name="a"; filename="b\\"; filename=\\"c"',
        'form-data; name="a\\"; filename="b"',
        'form-data; name="a\\"b"; filename="c"',
        'form-data; name="a"; filename="b\\"',
        'form-data; name="a"; filename="b\\\\"',
        'form-data; name="a"; filename="b\\"c\\"',
        'form-data; name="a"; filename="b\\";c"',
        'form-data; name="a"; filename="b\\"c"d"',
        'form-data; name="a"; filename="b\\"c"; filename="d"',
        'form-data; name="a"; filename="b',
        "form-data; name=a; filename=b c",
        'form-data; name="a" filename="b"',
        'form-data; name = "a"',
        'form-data; name="a";; filename="b"',
        'form-data; name="a"; filename="b\x00.exe"',
        "form-data; name=a\nfilename=b",
    ],
)
def test_a_disposition_that_is_read_in_two_ways(value: str) -> None:
    with pytest.raises(MalformedError):
        part_head([(DISPOSITION, value)])


@pytest.mark.parametrize(
    "fields",
    [
        [(DISPOSITION, FILE)],
        [("Content-Type", "text/plain"), ("Content-Type", "text/html")],
        [("Content-Type", "text/plain"), ("Content-Type", "text/plain")],
        [("Content-Transfer-Encoding", "base64")],
        [("Content-Transfer-Encoding", "quoted-printable")],
        [("Content-Transfer-Encoding", "binary"), ("Content-Transfer-Encoding", "binary")],
        [("X-Else", "a\rb")],
    ],
)
def test_fields_beside_it_that_are_read_in_two_ways(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(MalformedError):
        part_head([(DISPOSITION, FILE), *fields])


@pytest.mark.parametrize("transfer", ["7bit", "8bit", "BINARY"])
def test_transfer_encodings_that_change_nothing(transfer: str) -> None:
    assert part_head([(DISPOSITION, FILE), ("Content-Transfer-Encoding", transfer)])


def test_parts_of_a_part_are_malformed_where_they_are_no_file() -> None:
    mixed = ("Content-Type", "Multipart/Mixed; boundary=inner")
    with pytest.raises(MalformedError):
        part_head([(DISPOSITION, "form-data; name=a"), mixed])
    assert part_head([(DISPOSITION, FILE), mixed]) == PartHead("f", "a.exe")


# -- Content-Type --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b"', b"a b"),
        ("multipart/form-data;boundary=----=_Part_1/2:3?", b"----=_Part_1/2:3?"),
        ("multipart/form-data; boundary=abc;", b"abc"),
        ("multipart/form-data; boundary=" + "x" * 70, b"x" * 70),
    ],
)
def test_a_boundary(value: str, found: bytes) -> None:
    assert boundary(value) == found


@pytest.mark.parametrize(
    "value",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a; BOUNDARY=a",
        "multipart/form-data; boundary=a; boundary*=utf-8''b",
        "multipart/form-data; boundary*0=a; boundary*1=b",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=a, text/plain",
        'multipart/form-data; boundary="a\\"b"',
        'multipart/form-data; boundary="a',
        'multipart/form-data; boundary="a "',
        "multipart/form-data; boundary = a",
        "multipart/form-data boundary=a",
        "multipart/form-data; boundary=\xff",
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/mixed; boundary=a",
    ],
)
def test_a_boundary_that_is_read_in_two_ways(value: str) -> None:
    with pytest.raises(MalformedError):
        boundary(value)


def test_all_types_of_a_head_are_seen() -> None:
    head = HttpHead(b"POST / HTTP/1.1\r\nContent-Type: Text/Plain ;x\r\ncontent-type:a/b\r\n\r\n")
    assert media_types(head) == ["text/plain", "a/b"]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"hello\r\n\tthere", True),
        ("имя\u00a0и \U0001f469\u200d\U0001f4bb".encode(), True),
        (b"a\0b", False),
        (b"\x1b[0m", False),
        (b"\x7f", False),
        ("\u0085".encode(), False),
        ("имя".encode("cp1251"), False),
        (b"PK\x03\x04", False),
    ],
)
def test_what_a_text_field_may_hold(data: bytes, answer: bool) -> None:
    assert is_text(data) is answer
