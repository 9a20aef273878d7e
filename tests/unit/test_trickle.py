"""Of which bodies something is given before the verdict, and how much at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icapd.protocol import HttpHead
from icapd.trickle import MIN_SIZE, allowance, may_trickle

BINARY = b"PK\x03\x04" + bytes(range(256)) * 20


def head(*fields: str) -> HttpHead:
    return HttpHead("\r\n".join(["HTTP/1.1 200 OK", *fields, "", ""]).encode())


@given(st.integers(0, 1 << 40))
def test_at_most_a_tenth_and_64_kib_and_nothing_of_small_bodies(size: int) -> None:
    allowed = allowance(size)
    assert 0 <= allowed <= min(64 << 10, size / 10)
    assert bool(allowed) is (size >= 256 << 10)


def test_the_bounds_are_reached() -> None:
    assert allowance(MIN_SIZE - 1) == 0
    assert allowance(300_000) == 30_000
    assert allowance(10 << 20) == 64 << 10


@pytest.mark.parametrize("kind", ["application/zip", "application/octet-stream", "video/mp4; a=b"])
def test_a_binary_body_may_be_given_in_part(kind: str) -> None:
    assert may_trickle(head(f"Content-Type: {kind}"), BINARY)


@pytest.mark.parametrize(
    "kind",
    [
        *("text/html", "TEXT/HTML; charset=utf-8", "text/plain", "application/xhtml+xml"),
        *("application/javascript", "text/javascript", "application/x-ecmascript", "text/css"),
        *("image/svg+xml", "application/json", "application/wasm", "text/x-powershell"),
    ],
)
def test_nothing_that_a_browser_acts_on_by_its_type(kind: str) -> None:
    assert not may_trickle(head(f"Content-Type: {kind}"), BINARY)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Content-Type:"],
        ["Content-Type: */*"],
        ["Content-Type: unknown/unknown"],
        ["Content-Type: application/unknown"],
        ["Content-Type: image/png; a=b", "Content-Type: text/html"],
        ["Content-Type: application/zip", "Content-Type: application/zip"],
        ["Content-Type:\r\n text/html"],
        ["X: y\nContent-Type: text/html", "Content-Type: image/png"],
        ["Content-Type: image/png, text/html"],
        ["Content-Type: multipart/x-mixed-replace; boundary=a"],
        ["Content-Type: message/rfc822"],
        ["Content-Type: application/zip", "Content-Encoding:\r\n gzip"],
    ],
    ids=str,
)
def test_nothing_whose_type_a_client_may_read_otherwise(fields: list[str]) -> None:
    assert not may_trickle(head(*fields), BINARY)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><script>alert(1)</script>\0" + b" " * 5000,
        b"#!/bin/sh\nrm -rf /\n\0" + b" " * 5000,
        b"<?php system($_GET['c']); ?>\0" + b" " * 5000,
        b"Invoke-Expression 'a'\r\n" * 500,
        b"var a = 1;\n" * 500,
        "Invoke-Expression 'a'\r\n".encode("utf-16") * 500,
        "Invoke-Expression 'a'\r\n".encode("utf-16-le") * 500,
        b"\0\0 <script>alert(1)</script>\0" + b" " * 5000,
    ],
    ids=[
        *("html", "shell", "php", "powershell", "javascript", "utf-16", "utf-16 without a mark"),
        "html behind signs that a browser skips",
    ],
)
def test_no_html_and_no_script_by_content_whatever_the_type_says(body: bytes) -> None:
    assert not may_trickle(head("Content-Type: application/octet-stream"), body)


def test_what_is_not_recognised_but_is_no_text_may_be_given() -> None:
    kind = "Content-Type: application/octet-stream"
    assert may_trickle(head(kind), b"#kata state=detect delay=10\n" + bytes(range(256)) * 20)


def test_nothing_that_is_encoded() -> None:
    kind = "Content-Type: application/zip"
    assert may_trickle(head(kind), BINARY)
    assert not may_trickle(head(kind, "Content-Encoding: gzip"), BINARY)
