"""Tries to slip past URL rules. The judges are three parsers that are not ours.

A rule may fit a URL only if every reader agrees on its host and path: a strict one (RFC 3986,
urllib), one that mends what it gets (WHATWG, written down here in short), and urllib3.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote, urlsplit

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from urllib3.util import parse_url as urllib3_parse

from bridge.core.exclusions import Exclusions, Facts, Rule, parse_url

HOST = "updates.example"
BY_HOST = Exclusions([Rule(host=HOST)])
BY_PATH = Exclusions([Rule(host=HOST, path="/pub/**")])
BY_ONE_FOLDER = Exclusions([Rule(host=HOST, path="/pub/*")])
BELOW = Exclusions([Rule(host=f"*.{HOST}")])
HTTPS = Exclusions([Rule(host=HOST, scheme="https")])
ALL = [BY_HOST, BY_PATH, BY_ONE_FOLDER, BELOW, HTTPS]


def fits(exclusions: Exclusions, url: str) -> bool:
    return exclusions.match(Facts("a.bin", url=url)) is not None


def browser_host(url: str) -> str:
    """The host as a browser sees it: blanks dropped, backslashes turned, the last @ counts."""
    text = re.sub(r"[\t\r\n]", "", url.strip("".join(map(chr, range(0x21))))).replace("\\", "/")
    match = re.match(r"(?:[a-z][a-z0-9+.-]*):/*([^/?#]*)", text, re.IGNORECASE)
    host = (match[1] if match else "").rpartition("@")[2]
    return unquote(re.sub(r":[0-9]*$", "", host)).lower().removesuffix(".")


def readers_hosts(url: str) -> set[str]:
    """The host of a URL by three readers; what one of them refuses is the host ``."""
    hosts = {browser_host(url)}
    for read in (strict_host, lenient_host):
        try:
            hosts.add(read(url).lower().removesuffix("."))
        except ValueError:  # urllib3's LocationParseError is one
            hosts.add("")
    return hosts


def strict_host(url: str) -> str:
    return urlsplit(url).hostname or ""


def lenient_host(url: str) -> str:
    return urllib3_parse(url).host or ""


def served_paths(url: str) -> set[str]:
    """What servers may make of the path, decoding not at all, once or twice."""
    path = urlsplit(url).path
    readings = {path, unquote(path), unquote(unquote(path))}
    readings |= {re.sub(r";[^/]*", "", reading) for reading in readings}
    readings |= {reading.replace("\\", "/") for reading in readings}
    readings |= {re.sub(r"/+", "/", reading) for reading in readings}
    return {posixpath.normpath(reading) for reading in readings}


PIECES = [
    *(HOST, "evil.example", "UPDATES.Example", "updates", ".example", "xn--pdates-1ra.example"),
    *("http", "https", "ftp", "HTTPS", ":", "//", "/", "\\", "@", "?", "#", ".", "..", ";", "%"),
    *("%2e", "%2E%2e", "%2f", "%5c", "%00", "%40", "%23", "%3f", "%252e", "%75", "%zz"),
    *("\t", "\n", "\r", " ", "\0", "\u3002", "\uff0f", "\u0430", "\u212a", "\u017f", "\u00ad"),
    *("pub", "/pub/", "a.bin", "*", "user", ":pw", ":80", ":443", ":8080", ":", ":0", ":99999"),
    *("[", "]", "[::1]", "127.0.0.1", "0x7f.1", "2130706433", "&x=", "https://updates.example/"),
]
CHAINS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
AFTER_SCHEME = st.builds("{}{}".format, st.sampled_from(["https://", "http://", "ftp://"]), CHAINS)
# A URL that would fit, with something put into it: most of these are near misses.
SPOILT = st.builds(
    lambda url, at, piece: url[: at % (len(url) + 1)] + piece + url[at % (len(url) + 1) :],
    st.sampled_from(
        [
            f"https://{HOST}/pub/a.bin",
            f"http://{HOST}",
            f"https://{HOST}/pub/x/../y?q",
            f"https://a.{HOST}/",
        ]
    ),
    st.integers(0, 60),
    st.lists(st.sampled_from(PIECES), max_size=3).map("".join),
)
URLS = st.one_of(CHAINS, AFTER_SCHEME, SPOILT, st.text(max_size=60))


@given(URLS)
@example(f"https://{HOST}\\@evil.example/")
@example(f"https://evil.example\\@{HOST}/")
@example(f"https://{HOST}?@evil.example")
@example(f"https://{HOST}#@evil.example/")
@example(f"https://{HOST}%2f@evil.example/")
@example(f"https:evil.example//{HOST}/")
@example(f"https:///{HOST}/")
@example(f"//{HOST}/")
@example(f"https://\tevil.example/@{HOST}/")
@example("https://updates.ex\u0430mple/")
def test_a_rule_fits_only_where_every_reader_sees_its_host(url: str) -> None:
    if fits(BY_HOST, url):
        assert readers_hosts(url) == {HOST}
    if fits(BELOW, url):
        assert all(host.endswith(f".{HOST}") for host in readers_hosts(url))


@given(URLS)
@example(f"https://{HOST}/pub/%2e%2e/secret")
@example(f"https://{HOST}/pub/..%2fsecret")
@example(f"https://{HOST}/pub/%252e%252e/secret")
@example(f"https://{HOST}/pub/..;x/secret")
@example(f"https://{HOST}/pub/%2e%2e;x/secret")
@example(f"https://{HOST}/pub/..%5csecret")
@example(f"https://{HOST}/pub//../secret")
@example(f"https://{HOST}/secret?/pub/a")
@example(f"https://{HOST}/secret#/pub/a")
@example(f"https://{HOST}/secret;/pub/a")
def test_a_path_rule_fits_only_what_every_server_finds_below_it(url: str) -> None:
    for rule in (BY_PATH, BY_ONE_FOLDER):
        if fits(rule, url):
            assert all(path == "/pub" or path.startswith("/pub/") for path in served_paths(url))


@given(URLS)
def test_a_scheme_rule_fits_only_its_scheme_and_port(url: str) -> None:
    if fits(HTTPS, url):
        assert urlsplit(url).scheme == "https"
        assert urlsplit(url).port in (None, 443)


@given(st.one_of(URLS, st.text(), st.text(alphabet=st.characters(categories=["Cs", "Cc", "Nd"]))))
def test_no_input_raises(url: str) -> None:
    for exclusions in ALL:
        fits(exclusions, url)


OTHER = st.from_regex(r"[a-z0-9]{1,12}(\.[a-z0-9]{1,12}){0,3}", fullmatch=True)
TEXT_OF_RULE = st.sampled_from(
    [HOST, f"https://{HOST}/pub/a", f"//{HOST}/", f"@{HOST}", f".{HOST}"]
)


@given(OTHER, TEXT_OF_RULE, st.sampled_from(["?", "#", "/", "/?u=", "/pub/", "/#", ";", ".", ":"]))
def test_the_text_of_a_rule_elsewhere_in_a_url_is_no_host(host: str, text: str, sign: str) -> None:
    assume(host != HOST and not host.endswith(f".{HOST}"))
    assume(sign[0] in "?#/" or not text.startswith("@"))  # `other;@host` does lead to the host
    for url in (
        f"https://{host}{sign}{text}",
        f"https://{text}@{host}/",
        f"https://{text}:x@{host}/",
    ):
        assert not fits(BY_HOST, url)
        assert not fits(BY_PATH, url)


def in_any_case(text: str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from([sign.lower(), sign.upper()]) for sign in text)).map("".join)


def with_escapes(text: str) -> st.SearchStrategy[str]:
    """Unreserved signs as they are, or escaped in either case."""
    ways = [
        [sign] if sign == "/" else [sign, f"%{ord(sign):02x}", f"%{ord(sign):02X}"] for sign in text
    ]
    return st.tuples(*(st.sampled_from(way) for way in ways)).map("".join)


DETOURS = st.sampled_from(["", ".", "x/..", "./x/.././y/..", "%2e", "x/%2E%2e", "x/y/../.."])


@given(
    scheme=in_any_case("https"),
    user=st.sampled_from(["", "user@", "user:p%40ss@", ":@"]),
    host=in_any_case(HOST),
    dot=st.sampled_from(["", "."]),
    port=st.sampled_from(["", ":", ":443"]),
    first=DETOURS,
    second=DETOURS,
    names=st.tuples(with_escapes("pub"), with_escapes("a-b_c.d~e")),
    rest=st.sampled_from(["", "?", "?x=/../y&z=%", "#/../", "?a@b@c#d"]),
)
def test_a_harmless_respelling_still_fits(  # noqa: PLR0917
    scheme: str,
    user: str,
    host: str,
    dot: str,
    port: str,
    first: str,
    second: str,
    names: tuple[str, str],
    rest: str,
) -> None:
    path = "/".join(part for part in ("", first, names[0], second, names[1]) if part)
    url = f"{scheme}://{user}{host}{dot}{port}/{path}{rest}"
    for exclusions in (BY_HOST, BY_PATH, BY_ONE_FOLDER, HTTPS):
        assert fits(exclusions, url), url


@given(st.lists(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), min_size=1, max_size=4))
def test_a_wildcard_takes_whole_labels_on_the_left(labels: list[str]) -> None:
    left = ".".join(labels)
    assert fits(BELOW, f"https://{left}.{HOST}/")
    assert not fits(BELOW, f"https://{left}{HOST}/")
    assert not fits(BELOW, f"https://{HOST}.{left}/")
    assert not fits(BELOW, f"https://{HOST}/")


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # most odd URLs are not read
@given(URLS)
def test_a_url_that_was_read_is_read_the_same_again(url: str) -> None:
    found = parse_url(url)
    assume(found is not None)
    assert found is not None
    path = "/".join(found.segments)
    spelled = re.sub("[\ue000-\ue0ff]", lambda sign: f"%{ord(sign[0]) - 0xE000:02X}", path)
    again = f"{found.scheme}://{found.host}:{found.port}/{spelled}"
    assert parse_url(again) == found
