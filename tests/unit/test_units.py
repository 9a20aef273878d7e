"""Values with units, as the configuration writes them."""

from __future__ import annotations

import pytest

from bridge.core.units import (
    Address,
    parse_address,
    parse_central_node,
    parse_duration,
    parse_fingerprint,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("2s", 2), ("1.5s", 1.5), ("10m", 600), ("24h", 86400), ("7d", 604800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["60", 60, "s", "-1s", "1 s", "1S", "1y", "", None, "1s2m"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="not a time with a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("4KiB", 4096), ("100MiB", 104857600), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["100", 100, "100MB", "1.5GiB", "-1MiB", "MiB", None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="not a size with a unit"):
        parse_size(text)


def test_addresses() -> None:
    assert parse_address("0.0.0.0:1344") == Address("0.0.0.0", 1344)
    assert parse_address("[::1]:1344") == Address("::1", 1344)
    assert str(parse_address("[::1]:1344")) == "[::1]:1344"


@pytest.mark.parametrize("text", ["1344", "localhost:1344", "127.0.0.1", "127.0.0.1:99999", 1344])
def test_what_is_no_address(text: object) -> None:
    with pytest.raises(ValueError, match="not an IP address with a port"):
        parse_address(text)


def test_a_central_node_is_scheme_host_and_port() -> None:
    assert parse_central_node("https://cn.example/") == "https://cn.example"
    assert parse_central_node("https://cn.example:8443") == "https://cn.example:8443"


@pytest.mark.parametrize(
    "text",
    [
        "http://cn.example",
        "cn.example",
        "https://",
        "https://cn/kata",
        "https://a@cn",
        "https://[x::]",
        5,
    ],
)
def test_what_is_no_central_node(text: object) -> None:
    with pytest.raises(ValueError, match="https"):
        parse_central_node(text)


def test_fingerprints_with_and_without_colons() -> None:
    digits = "ab" * 32
    assert parse_fingerprint(f"sha256:{digits}") == digits
    colons = ":".join(["AB"] * 32)
    assert parse_fingerprint(f"sha256:{colons}") == digits


@pytest.mark.parametrize("text", ["ab" * 32, "md5:" + "ab" * 16, "sha256:abc", None])
def test_what_is_no_fingerprint(text: object) -> None:
    with pytest.raises(ValueError, match="not a fingerprint"):
        parse_fingerprint(text)
