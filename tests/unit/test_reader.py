"""Who gets a page, who a document, and in which language."""

from __future__ import annotations

import random

import pytest

from icapd.pages import Reader, Wants
from icapd.protocol import HttpHead

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def reader(*fields: str, start: str = "GET /a HTTP/1.1") -> Reader:
    return Reader.of(HttpHead("\r\n".join([start, *fields, "", ""]).encode("latin-1")))


@pytest.mark.parametrize(
    ("fields", "wants"),
    [
        ([], Wants.HTML),
        (["Accept: */*"], Wants.HTML),
        ([f"Accept: {BROWSER}"], Wants.HTML),
        ([f"Accept: {BROWSER}", "Content-Type: application/json"], Wants.HTML),
        (["Accept: application/json, text/html;q=0.1"], Wants.HTML),
        (["Accept: application/json, text/html;q=0"], Wants.JSON),
        (["Accept: application/json, text/plain, */*"], Wants.JSON),
        (["Accept: APPLICATION/Vnd.API+JSON"], Wants.JSON),
        (["Accept: application/json;q=0.0"], Wants.HTML),
        (["Accept: */*", "Content-Type: application/json; charset=utf-8"], Wants.JSON),
        (["Accept: application/xml, application/json;q=0.1"], Wants.JSON),
        (["Accept: text/xml"], Wants.XML),
        (["Accept: application/rss+xml"], Wants.XML),
        (["Content-Type: application/xml"], Wants.XML),
        (["Accept: application/xhtml+xml"], Wants.HTML),
        (["Accept: image/avif,image/svg+xml,image/*,*/*;q=0.8"], Wants.HTML),
        (["Content-Type: text/xml", 'SOAPAction: ""'], Wants.SOAP),
        (["Content-Type: text/xml", "SOAPAction:"], Wants.SOAP),
        (["Content-Type: application/soap+xml; action=x"], Wants.SOAP),
        (["Accept: application/soap+xml"], Wants.SOAP),
        (["Accept: text/html;q=nonsense"], Wants.HTML),
        (["Accept: application/json;q=7"], Wants.JSON),
        (["Accept: application/json;q=nan"], Wants.JSON),
    ],
)
def test_the_form_of_an_answer(fields: list[str], wants: Wants) -> None:
    assert reader(*fields).wants is wants


def test_which_soap() -> None:
    assert reader("Content-Type: application/soap+xml").soap12
    assert not reader("Content-Type: text/xml", "SOAPAction: x").soap12


@pytest.mark.parametrize(
    ("field", "languages"),
    [
        ("ru-RU,ru;q=0.9,en;q=0.8", ("ru", "en")),
        ("en;q=0.1, de-AT;q=0.7, fr", ("fr", "de", "en")),
        ("en, ru", ("en", "ru")),
        ("ru;q=0, en", ("en",)),
        ("*", ()),
        ("zh-Hant-TW", ("zh",)),
        ("EN-us ; Q=0.5 , ru ; q=0.6", ("ru", "en")),
        ("../../etc/passwd, e1, \u00e4\u00e4, -, ;q=1, en", ("en",)),
        ("", ()),
    ],
)
def test_languages_the_best_first(field: str, languages: tuple[str, ...]) -> None:
    assert reader(f"Accept-Language: {field}").languages == languages


def test_a_list_of_languages_without_end_has_one() -> None:
    many = ",".join(f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh")
    assert len(reader(f"Accept-Language: {many}").languages) == 20


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
        ["Sec-Fetch-Dest: frame"],
        ["X-Requested-With: com.example.browser"],
    ],
)
def test_a_navigation(fields: list[str]) -> None:
    assert reader(f"Accept: {BROWSER}", *fields).navigation


@pytest.mark.parametrize(
    "field",
    [
        "X-Requested-With: xmlhttprequest",
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Dest: empty",
        "Sec-Fetch-Dest: image",
        "Sec-Fetch-Dest: embed",
        "Purpose: prefetch",
        "Sec-Purpose: prefetch;prerender",
        "Sec-Purpose: prerender",
        "X-Moz: prefetch",
        "X-Purpose: preview",
        "Range: bytes=0-1",
    ],
)
def test_what_nobody_looks_at_is_no_navigation(field: str) -> None:
    assert not reader(f"Accept: {BROWSER}", field).navigation


def test_only_a_get_that_takes_html_is_a_navigation() -> None:
    assert not reader(f"Accept: {BROWSER}", start="POST /a HTTP/1.1").navigation
    assert not reader(f"Accept: {BROWSER}", start="HTTP/1.1 200 OK").navigation
    assert not reader("Accept: */*").navigation
    assert not reader("Accept: text/html;q=0, */*").navigation
    assert not reader().navigation


def test_nothing_makes_it_raise() -> None:
    rng = random.Random(1)
    names = [b"Accept", b"Accept-Language", b"Content-Type", b"Sec-Fetch-Mode", b"SOAPAction"]
    signs = b'az/+;,=q01.*"\\ \t\x00\xff\xa0:-' + b"\r\n"
    for _ in range(2000):
        fields = [
            rng.choice(names) + b":" + bytes(rng.choices(signs, k=rng.randrange(30)))
            for _ in range(rng.randrange(4))
        ]
        head = rng.choice([b"GET / HTTP/1.1", b"", b"\xff", b"GET"])
        assert Reader.of(HttpHead(b"\r\n".join([head, *fields, b"", b""]))).wants in Wants
