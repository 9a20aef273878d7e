"""Encapsulated HTTP heads, user, client and name: read with tolerance."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.exclusions import Exclusions, Facts, Rule
from icapd.context import client_ip, log_url, object_name, origin_of, user_name
from icapd.names import disposition_name, file_name
from icapd.protocol import Encapsulated, HttpHead, Request


def head(text: str) -> HttpHead:
    return HttpHead(text.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n")


def test_a_request_head() -> None:
    get = head("GET /a/b?c=d HTTP/1.1\nHost: h.example:8080\nX: 1")
    assert (get.method, get.target, get.status) == ("GET", "/a/b?c=d", None)
    assert get.url == "http://h.example:8080/a/b?c=d"
    assert get.field("x") == "1"
    assert get.field("y") is None


def test_a_response_head() -> None:
    ok = head("HTTP/1.1 206 Partial Content\nContent-Length: 10\nETag: x")
    assert (ok.method, ok.status, ok.content_length) == ("", 206, 10)
    assert ok.announces_body


@pytest.mark.parametrize(
    ("text", "announces"),
    [
        ("HTTP/1.1 200 OK\nContent-Length: 0", False),
        ("HTTP/1.1 200 OK", False),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", True),
        ("HTTP/1.1 200 OK\nContent-Length: many", True),
    ],
)
def test_whether_a_body_is_announced(text: str, announces: bool) -> None:
    assert head(text).announces_body is announces


def test_fields_go_with_their_folded_lines_and_nothing_else_changes() -> None:
    raw = head("HTTP/1.1 200 OK\nETag: a\n b\nX-odd :  y \nLast-Modified: m\nZ: 1")
    assert raw.edited(("etag", "LAST-MODIFIED")) == (
        b"HTTP/1.1 200 OK\r\nX-odd :  y \r\nZ: 1\r\n\r\n"
    )


@given(st.binary(max_size=200))
def test_no_head_is_too_odd(raw: bytes) -> None:
    odd = HttpHead(raw)
    assert isinstance((odd.method, odd.url, odd.status, odd.content_length), tuple)
    assert odd.field("host") is None or isinstance(odd.field("host"), str)
    assert odd.edited(("host",)).endswith(b"\r\n\r\n")
    assert object_name(odd, odd)


def raw(text: str, encoding: str = "utf-8") -> str:
    """What bytes of that encoding are when they are read as latin-1."""
    return text.encode(encoding).decode("latin-1")


def request(**fields: str) -> Request:
    lower = {name.replace("_", "-"): value for name, value in fields.items()}
    return Request("RESPMOD", "icap://h/", lower, Encapsulated())


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("ivanov", "ivanov"),
        (b64("ivanov"), "ivanov"),
        (b64("иванов"), "иванов"),
        (b64("WinNT://CORP/ivanov"), "CORP/ivanov"),
        ("Local://ivanov", "ivanov"),
        ("anna", "anna"),  # valid Base64 of bytes that are no text
        ("john.smith@corp.example", "john.smith@corp.example"),
        (raw("WinNT://ДОМЕН/иванов"), "ДОМЕН/иванов"),
        (raw("müller", "latin-1"), "müller"),
    ],
)
def test_users_plain_and_base64(value: str, user: str) -> None:
    assert user_name(request(x_client_username=value).fields) == user
    assert user_name(request(x_authenticated_user=value).fields) == user


def test_who_is_not_named_is_none() -> None:
    assert user_name(request().fields) is None
    assert client_ip(request().fields) is None


def test_a_client_address_is_an_address_or_none() -> None:
    assert client_ip(request(x_client_ip="10.1.2.3").fields) == "10.1.2.3"
    assert client_ip(request(x_client_ip="<script>").fields) is None
    assert client_ip(request(x_client_ip="0" * 1000 + "10.1.2.3").fields) is None
    assert client_ip(request(x_client_ip=" fe80::1 ").fields) == "fe80::1"


@pytest.mark.parametrize(
    ("target", "disposition", "name"),
    [
        ("/a/report.pdf?x=/y.exe", None, "report.pdf"),
        ("/a/%D1%84%D0%B0%D0%B9%D0%BB.zip", None, "файл.zip"),
        ("/", None, "unnamed"),
        ("/a", 'attachment; filename="b.exe"', "b.exe"),
        ("/a", "attachment; filename*=UTF-8''%D1%84.txt", "ф.txt"),
        ("/a", 'attachment; filename="../../etc/passwd"', "passwd"),
        ("/a", 'attachment; filename="C:\\\\x\\\\y.doc"', "y.doc"),
        ("/a", "attachment", "a"),
        ("/a", raw('attachment; filename="Отчёт-cd.pdf"'), "Отчёт-cd.pdf"),
        ("/a", raw("attachment; filename=отчёт.doc х"), "отчёт.doc х"),  # ends in the byte 0x85
        ("/a", raw('attachment; filename="grün.pdf"', "latin-1"), "grün.pdf"),
        (raw("/файл/Отчёт.pdf"), None, "Отчёт.pdf"),
        (raw("/файл/Отч%D1%91т.pdf?q"), None, "Отчёт.pdf"),
        (raw("/файл/") + raw("grün.pdf", "latin-1"), None, "grün.pdf"),
        ("/%C3%83%C2%A4.pdf", None, "Ã¤.pdf"),
        ("/a", "attachment; filename=\"___.txt\"; filename*=UTF-8''%D1%84.txt", "ф.txt"),
        ("/a", "attachment; filename*=UTF-8''%D1%84.txt; filename=\"___.txt\"", "ф.txt"),
        ("/a", "attachment; filename*=windows-1251''%D4.txt", "Ф.txt"),
        ("/a", "attachment; filename*=utf-8''%D4.txt", "Ô.txt"),
        ("/a", "attachment; filename*=punycode''b-%D1%84.txt", "b-ф.txt"),
        ("/a", "attachment; filename*=unicode_escape''%5Cud800.txt", "ud800.txt"),
        ("/a", "attachment; filename*=''%D1%84.txt", "ф.txt"),
        ("/a", "attachment; filename*=iso-8859-12''%D4.txt", "Ô.txt"),  # there is none
        ("/a", 'attachment; filename="=?iso-8859-12?q?=D4?="', "=?iso-8859-12?q?=D4?="),
        ("/a", raw("attachment; filename*=UTF-8''ф.txt"), "ф.txt"),
        ("/a", "attachment; filename*0*=UTF-8''%D1%84; filename*1=.txt", "ф.txt"),
        ("/a", 'attachment; filename="%D1%84 1+1.txt"', "ф 1+1.txt"),
        ("/a", 'attachment; filename="..%2f%D1%84.txt"', "ф.txt"),
        ("/a", 'attachment; filename="100%.txt"', "100%.txt"),
        ("/a", 'attachment; filename="%D4.txt"', "%D4.txt"),
        ("/a", 'attachment; filename="=?UTF-8?B?0Lg=?=.docx"', "и.docx"),
        ("/a", 'attachment; filename="=?utf-8?q?=D0=B8_?=\t=?utf-8?q?x=D0=B8?="', "и xи"),
        ("/a", 'attachment; filename="x =?utf-8?b?0A==?= =?UTF-8?b?uA==?="', "x и"),
        ("/a", 'attachment; filename="=?utf-8?b?Li4v0Lg=?="', "и"),
        ("/a", 'attachment; filename="=?utf-8?b?0?=.x"', "=?utf-8?b?0?=.x"),
        ("/a", 'attachment; filename="=?rot13?q?a?="', "=?rot13?q?a?="),
        ("/a", 'attachment; filename="a\\"b.docx"', 'a"b.docx'),
        ("/a", 'attachment; filename="C:\\new\\y.doc"', "y.doc"),
        ("/a", 'attachment; filename=""', "a"),
        ("/a", 'attachment;\n filename="b.exe"', "b.exe"),
        ("/a", 'attachment; filename="x/.."', "unnamed"),
        ("/a", 'attachment; filename="."', "unnamed"),
        ("/a/..", None, "unnamed"),
        ("/a/%2e%2E", None, "unnamed"),
    ],
)
def test_names(target: str, disposition: str | None, name: str) -> None:
    fields = f"\nContent-Disposition: {disposition}" if disposition else ""
    carrying = head(f"HTTP/1.1 200 OK{fields}")
    assert object_name(head(f"GET {target} HTTP/1.1\nHost: h"), carrying) == name


def test_urls_for_the_log() -> None:
    assert log_url("http://u:secret@h/p?q=1#f", True) == "http://h/p?q=1"
    assert log_url("http://h/p?q=1", False) == "http://h/p"
    assert log_url("http://[bad", True) == "http://[bad"
    assert log_url("http://u:p@w@[bad/a?b", True) == "http://***@[bad/a?b"
    assert log_url("http://u:p@w@[bad/a?b", False) == "http://***@[bad/a"
    assert log_url(raw("http://u:p@h/файл?q=ё"), True) == "http://h/файл?q=ё"
    assert log_url(raw("http://h/файл?q=ё"), False) == "http://h/файл"
    assert log_url(raw("http://h/grün", "latin-1"), True) == "http://h/grün"
    assert log_url(raw("http://u:p@h\uff0f/a"), True) == "http://h\uff0f/a"  # a slash to some


@pytest.mark.parametrize("keeps_query", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        "u:s3cret@h:443",
        "http:/u:s3cret@h/a",
        "http:\\\\u:s3cret@h/a",
        "http://u:s3/cret@h/x",
        "http://u:s3?cret@h/x",
        "http://u:s3#cret@h/x",
        "http://u:s3[cret/@h/a",
        "http://[x/u:s3cret@h/",
        "//u:s3cret@h/x",
    ],
)
def test_no_password_of_an_odd_url_is_logged(url: str, keeps_query: bool) -> None:
    found = log_url(url, keeps_query)
    assert "s3" not in found
    assert "cret" not in found


@pytest.mark.parametrize("url", ["/@scope/a", "http://h/@scope/a@2", "http://[::1]:80/a@b"])
def test_what_is_no_password_stays_in_the_log(url: str) -> None:
    assert log_url(url, True) == url


def test_a_long_name_keeps_its_ending() -> None:
    name = object_name(head(f"GET /{'a' * 300}.pdf.exe HTTP/1.1"), head("HTTP/1.1 200 OK"))
    assert len(name) == 255
    assert name.endswith("a.pdf.exe")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_raw_bytes_fit_no_rule(encoding: str) -> None:
    ok, rules = head("HTTP/1.1 200 OK"), Exclusions([Rule(name="*.iso"), Rule(host="ä.example")])

    def excluded(url: str, carrying: HttpHead = ok) -> bool:
        asked = head(f"GET {url} HTTP/1.1")
        origin = origin_of(asked, carrying, None, object_name(asked, carrying))
        return rules.match(Facts(origin.name or "", url=origin.url)) is not None

    assert excluded("http://h/%C3%A4.iso")
    assert excluded(raw("http://h/ä/a.iso", encoding))
    assert not excluded(raw("http://h/ä.iso", encoding))
    assert not excluded(raw("http://ä.example/a", "utf-8"))
    named = head(
        raw('HTTP/1.1 200 OK\nContent-Disposition: attachment; filename="ä.iso"', encoding)
    )
    assert not excluded("http://h/a", named)


@pytest.mark.parametrize(
    ("value", "target", "name"),
    [
        ('attachment; filename="a.iso"', "/b%2fc", "a.iso"),
        ('attachment; filename="a.exe%20.iso"', "/b", None),
        ('attachment; filename="=?utf-8?q?a?=.iso"', "/b", None),
        ("attachment; filename=a.iso; filename*=UTF-8''a.iso", "/b", None),
        ("attachment", "/b.iso", "b.iso"),
        ("attachment", "/b.exe%2f.iso", None),
        ("attachment; filename=", "/b.iso", None),
        ("attachment; name=a.exe", "/b.iso", None),
        ("attachment;\n filename=a.exe", "/b.iso", None),
        (f"attachment; filename={'a' * 9000}.exe", "/b.iso", None),
        (f"attachment; filename={'a' * 251}.iso.exe", "/b", None),
        (f'attachment; filename="{"a" * 251}.iso.exe"', "/b", None),
        ("attachment", f"/{'a' * 251}.iso.exe", None),
        ("inline;filename=a.iso", "/b", "a.iso"),
        ("Attachment; Filename=a.iso ", "/b", "a.iso"),
        ("attachment; filename=a.exe x.iso", "/b", None),
        ("attachment; filename=a.exe, x.iso", "/b", None),
        ("attachment; filename=a.exe filename=b.iso", "/b", None),
        ('attachment; filename="a.exe" x.iso', "/b", None),
        ('attachment; filename="a.exe"x="b.iso"', "/b", None),
        ('attachment; filename="a.exe" filename="b.iso"', "/b", None),
        ("attachment, f", "/b.iso", None),
        ("filename=a.iso", "/b", None),
    ],
)
def test_a_name_that_some_read_otherwise_is_none_for_rules(
    value: str, target: str, name: str | None
) -> None:
    asked = head(f"GET http://h{target} HTTP/1.1")
    carrying = head(f"HTTP/1.1 200 OK\nContent-Disposition: {value}")
    assert origin_of(asked, carrying, None, object_name(asked, carrying)).name == name


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=x", "Multipart/Form-Data", "text/plain, multipart/form-data"],
)
@pytest.mark.parametrize("disposition", ["", "Content-Disposition: inline; filename=a.iso\n"])
def test_a_form_has_no_name_for_rules(content_type: str, disposition: str) -> None:
    """The URL names who takes it, and its files have names of their own."""
    asked = head(f"POST http://h/a.iso HTTP/1.1\nContent-Type: {content_type}\n{disposition}")
    assert object_name(asked, asked) == "a.iso"
    assert origin_of(asked, asked, None, object_name(asked, asked)).name is None


@given(st.text(st.sampled_from("=?utf-8bq*%' \t\"\\;filename/.ф\xff\ud800\r\n\0"), max_size=60))
def test_every_name_can_be_written(text: str) -> None:
    value = text.encode("utf-8", "replace").decode("latin-1")
    name = disposition_name(f"attachment; filename{value}")
    assert file_name(name).encode("utf-8")


def test_a_disposition_that_takes_long_to_read_names_nothing() -> None:
    encoded = "%F0%9F%93%8E" * 255
    long = f"attachment; filename={'_' * 255}; filename*=UTF-8''{encoded}"
    assert disposition_name(long) == "\U0001f4ce" * 255
    assert not disposition_name(long + " " * 8192)
    for beyond in (";" * 100, '";' + ";a=b" * 100):
        assert not disposition_name("attachment; filename=a.txt" + beyond)


def test_a_head_keeps_the_bytes_of_its_names() -> None:
    lines = 'Content-Disposition: attachment; filename="Отчёт.pdf"\r\n\r\n'.encode()
    assert HttpHead(b"HTTP/1.1 200 OK\r\nETag: a\r\n" + lines).edited(("etag",)) == (
        b"HTTP/1.1 200 OK\r\n" + lines
    )
