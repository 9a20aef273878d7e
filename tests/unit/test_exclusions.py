"""Exclusions: what fits passes unscanned, so every doubt is no match."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.core.exclusions import TYPES_RULE, Exclusions, Facts, Rule, Types, left_out
from bridge.core.formats import Format, Group

DIGEST = hashlib.sha256(b"x").hexdigest()
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
URL = "https://updates.example/pub/a.bin"


def never() -> Any:
    raise AssertionError("nothing asked for this")


def matches(rule: dict[str, Any], **facts: Any) -> bool:
    return Exclusions([Rule(**rule)]).match(Facts(**{"name": "file.bin"} | facts)) is not None


CRITERIA: list[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]] = [
    (
        {"name": "*.iso"},
        {"name": "a.iso"},
        [{"name": name} for name in ("a.ISO", "a.iso.exe", "iso", "", "a\n.iso", "a\udc80.iso")],
    ),
    ({"name": "report-?.[x]"}, {"name": "report-1.[x]"}, [{"name": "report-1.x"}]),
    (
        {"content_type": "Image/*"},
        {"content_type": " image/PNG ; q=1"},
        [
            {"content_type": value}
            for value in (None, "", "text/html; image/png", "image/png, text/html", "image/a b")
        ],
    ),
    (
        {"user_agent": "Updater/*"},
        {"user_agent": "Updater/2 (x)"},
        [{"user_agent": value} for value in (None, "updater/2", "Updater/2\r\nx", "x Updater/2")],
    ),
    (
        {"format": "png"},
        {"head": lambda: PNG},
        [{"head": None}, {"head": lambda: PNG + b"<script>"}, {"head": lambda: b"MZ"}],
    ),
    ({"format": "image"}, {"head": lambda: PNG}, [{"head": lambda: b"%PDF-1"}]),
    ({"format": "unknown"}, {"head": lambda: b"text"}, [{"head": lambda: b"MZ"}]),
    ({"sha256": DIGEST.upper()}, {"sha256": DIGEST}, [{"sha256": None}, {"sha256": "0" * 64}]),
    ({"md5": MD5.upper()}, {"md5": MD5}, [{"md5": None}, {"md5": "0" * 32}]),
    ({"md5": MD5}, {"md5": lambda: MD5}, [{"md5": lambda: ""}]),
    ({"larger_than": "1KiB"}, {"size": 1025}, [{"size": 1024}, {"size": None}]),
    ({"smaller_than": "1KiB"}, {"size": 1023}, [{"size": 1024}, {"size": None}]),
    (
        {"source": "10.0.0.0/8"},
        {"source": "::ffff:10.1.2.3"},
        [
            {"source": value}
            for value in (None, "", "11.0.0.1", "010.0.0.1", "10.1", "a", "::a00:1", "10.0.0.1 ")
        ],
    ),
    (
        {"source": ["192.0.2.1", "2001:db8::/32"]},
        {"source": "2001:DB8::1"},
        [{"source": "192.0.2.2"}, {"source": "2001:db9::1"}],
    ),
]


@pytest.mark.parametrize(
    ("rule", "fits", "others"), CRITERIA, ids=[f"{i}-{c[0]}" for i, c in enumerate(CRITERIA)]
)
def test_each_criterion(
    rule: dict[str, Any], fits: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    assert matches(rule, **fits)
    for facts in others:
        assert not matches(rule, **facts), facts


HOSTS = [
    ("updates.example", "updates.example", True),
    ("Updates.EXAMPLE.", "updates.example", True),
    ("updates.example", "UPDATES.example.", True),
    ("updates.example", "updates.example..", False),
    ("updates.example", ".updates.example", False),
    ("updates.example", "a.updates.example", False),
    ("updates.example", "updates.example.evil.example", False),
    ("updates.example", "updatesxexample", False),
    ("*.example.com", "a.example.com", True),
    ("*.example.com", "a.b.example.com", True),
    ("*.example.com", "example.com", False),
    ("*.example.com", "evilexample.com", False),
    ("*.example.com", ".example.com", False),
    ("*.example.com", "a.example.com.evil.example", False),
    ("bücher.example", "xn--bcher-kva.example", True),
    ("bücher.example", "BüCHER.example", True),
    ("xn--bcher-kva.example", "bücher.example", True),
    ("apple.example", "\u0430pple.example", False),
    ("kelvin.example", "\u212aelvin.example", False),
    ("updates.example", "ｕpdates.example", False),
    ("updates.example", "updates\u3002example", False),
    ("updates.example", "updates\u00ad.example", False),
    ("updates.example", "up%64ates.example", False),
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "127.1", False),
    ("127.0.0.1", "0x7f.1", False),
    ("127.0.0.1", "0x7f000001", False),
    ("127.0.0.1", "2130706433", False),
    ("127.0.0.1", "0177.0.0.1", False),
    ("127.0.0.1", "127.0.0.01", False),
    ("127.0.0.1", "[::ffff:127.0.0.1]", False),
    ("[2001:db8::1]", "[2001:0DB8:0::0001]", True),
    ("[2001:db8::1]", "[2001:db8::2]", False),
    ("[fe80::1]", "[fe80::1%25eth0]", False),
]


@pytest.mark.parametrize(("rule", "host", "fits"), HOSTS)
def test_hosts(rule: str, host: str, fits: bool) -> None:
    assert matches({"host": rule}, url=f"https://{host}/x") is fits


PATHS = [
    ("/pub/*", "/pub/a.bin", True),
    ("/pub/*", "/pub/", True),
    ("/pub/*", "/pub", False),
    ("/pub/*", "/pub/a/b", False),
    ("/pub/*", "/PUB/a", False),
    ("/pub/*", "//pub/a", False),
    ("/pub/*", "/x/../pub/./a", True),
    ("/pub/*", "/%70ub/a", True),
    ("/pub/*", "/pub/../a", False),
    ("/pub/*", "/pub/%2e%2E/a", False),
    ("/pub/*", "/pub/.%2e/a", False),
    ("/pub/*", "/pub/..", False),
    ("/pub/*", "/pub/x/..", True),
    ("/pub", "/pub/.", False),
    ("/pub", "/pub/%2E", False),
    ("/pub/*", "/pub/%2e%2e", False),
    ("/pub/*", "/pub/..%2fetc", False),
    ("/pub/*", "/pub%2fa", False),
    ("/pub/*", "/pub/a%5cb", False),
    ("/pub/*", "/pub/%00a", False),
    ("/pub/*", "/pub/%252e%252e", False),
    ("/pub/*", "/pub/..;a=b/x", False),
    ("/pub/*", "/pub/a%", False),
    ("/pub/*", "/pub/a%zz", False),
    ("/pub/*", "/pub/é", False),
    ("/pub/*", "/x?/pub/a", False),
    ("/pub/*", "/x#/pub/a", False),
    ("/pub/*", "/x;/pub/a", False),
    ("/pub/*", "?/pub/a", False),
    ("/pub/*", "", False),
    ("/pub/*", "/pub/a?x=/../y", True),
    ("/pub/*", "/../pub/a", False),
    ("/pub/**", "/pub/a", True),
    ("/pub/**", "/pub/a/b/c", True),
    ("/pub/**", "/pub/", True),
    ("/pub/**", "/pub", False),
    ("/pub/**", "/public/a", False),
    ("/pub/**", "/pub/a/../../b", False),
    ("/pub/**", "/pub//../b", False),
    ("/*/a-*.exe", "/x/a-1.exe", True),
    ("/*/a-*.exe", "/x/y/a-1.exe", False),
    ("/*/a-*.exe", "/x/a-1/b.exe", False),
    ("/*0.exe", "/%20.exe", False),
    ("/a%20b", "/a%20b", True),
    ("/a%c3%a9", "/a%C3%A9", True),
    ("/é", "/%C3%A9", True),
    ("/a b", "/a%20b", True),
    ("/a b", "/a b", False),
    ("/a,b", "/a%2Cb", False),
    ("/%2A", "/x", False),
    ("/", "", True),
    ("/", "/", True),
    ("/", "/a", False),
]


@pytest.mark.parametrize(("rule", "path", "fits"), PATHS)
def test_paths(rule: str, path: str, fits: bool) -> None:
    found = matches({"host": "updates.example", "path": rule}, url=f"https://updates.example{path}")
    assert found is fits


def test_a_port_that_the_rule_does_not_name_must_be_the_schemes_own() -> None:
    for url in (
        "https://updates.example:443/",
        "https://updates.example:/",
        "HTTPS://updates.example",
    ):
        assert matches({"host": "updates.example", "scheme": "https"}, url=url)
    for port in ("8443", "80", "0443", "0", "65536", "443x", "-1", "443:443"):
        assert not matches({"host": "updates.example"}, url=f"https://updates.example:{port}/")
    assert matches({"host": "updates.example", "port": 8443}, url="https://updates.example:8443/")
    assert not matches({"host": "updates.example", "port": 8443}, url="https://updates.example/")


def test_schemes_are_told_apart() -> None:
    rule = {"host": "updates.example", "scheme": "https"}
    for url in ("http://updates.example/", "ftp://updates.example/", "ws://updates.example/"):
        assert not matches(rule, url=url)
    assert matches({"host": "updates.example"}, url="ftp://updates.example:21/")


UNSURE = [
    *("", "/", "/pub/a.bin", "updates.example/pub/a.bin", "//updates.example/pub/a.bin"),
    *("updates.example:443", "https:updates.example/x", "https:/updates.example/x"),
    *("https:///updates.example/x", "https:\\\\updates.example/x", "https://updates.example\\x"),
    *("https://updates.example\\@evil.example/", "https://evil.example\\@updates.example/"),
    *("https://a@b@updates.example/", "https://updates.example@evil.example/"),
    *("https://updates.example?@evil.example/", "https://updates.example#@evil.example/"),
    *("https://updates.example:pw@evil.example/", "https://evil.example/@updates.example/"),
    *(" https://updates.example/", "https://updates.example/ ", "https://updates.example/\t"),
    *(
        f"https://updates.example/x{rest}"
        for rest in ("?a\\b", "?a b", "?\t", "#\n", "?\x85", "?\ud800")
    ),
    *("ht\ntps://updates.example/", "https://up\tdates.example/", "https://updates.example\0/"),
    *("https://updates.example%00.evil.example/", "https://updates.example%2f.evil.example/"),
    *("https://[updates.example]/", "https://[::1/", "https://::1/", "https://updates.example]/"),
    *("httpſ://updates.example/", "https://updates.example/" + "a" * 9000, "https://@/"),
    *("https://user name@updates.example/", "https://%zz@updates.example/", "x" * 100000),
    "https://" + "a." * 200 + "updates.example/",
]


@pytest.mark.parametrize("url", UNSURE)
def test_a_url_that_readers_take_apart_differently_fits_no_rule(url: str) -> None:
    for host in ("updates.example", "*.updates.example"):
        assert not matches({"host": host}, url=url)


def test_a_user_name_takes_no_part() -> None:
    assert matches({"host": "updates.example"}, url="https://user:p%40ss@updates.example/x")


def test_all_criteria_of_a_rule_must_fit() -> None:
    rule = {"host": "updates.example", "name": "*.bin", "smaller_than": "1MiB"}
    assert matches(rule, url=URL, size=5)
    assert not matches(rule, url=URL, size=2 << 20)
    assert not matches(rule, url="https://other.example/pub/a.bin", size=5)
    assert not matches(rule, url=URL, size=5, name="a.exe")


def test_the_first_enabled_rule_that_fits_names_the_match() -> None:
    rules = [
        Rule(name="*.bin", enabled=False),
        Rule(host="other.example"),
        Rule(
            host="updates.example",
            path="/pub/*",
            scheme="https",
            source=["10.0.0.1", "10.2.0.0/16"],
        ),
        Rule(name="*.bin", label="images of the lab"),
    ]
    exclusions = Exclusions(rules)
    assert exclusions.match(Facts("a.bin", url=URL, source="10.0.0.1")) == (
        "exclusions[2]: scheme=https host=updates.example path=/pub/* source="
        "10.0.0.1/32,10.2.0.0/16"
    )
    assert exclusions.match(Facts("a.bin", url=URL)) == "images of the lab"
    assert exclusions.match(Facts("a.exe", url=URL)) is None


def test_without_an_enabled_rule_there_is_nothing_to_ask() -> None:
    for rules in ([], [Rule(name="*.bin", enabled=False)]):
        exclusions = Exclusions(rules)
        assert not exclusions
        assert not exclusions.needs_body
        assert exclusions.match(Facts("a.bin", md5=never, head=never)) is None
    assert Exclusions([Rule(name="*.bin")])


def test_costly_facts_are_made_once_and_only_where_a_rule_gets_so_far() -> None:
    asked: list[str] = []

    def head() -> bytes:
        asked.append("head")
        return PNG

    def md5() -> str:
        asked.append("md5")
        return MD5

    costly = {"format": "png", "md5": "0" * 32}
    rules = [
        Rule(name="*.bin"),
        Rule(source="10.0.0.0/8", **costly),
        Rule(host="a.example", **costly),
    ]
    assert Exclusions(rules).match(Facts("a.exe", head=head, md5=md5)) is None
    assert asked == []
    rules = [Rule(format="gif"), Rule(**costly), Rule(**costly)]
    assert Exclusions(rules).match(Facts("a.exe", head=head, md5=md5)) is None
    assert asked == ["head", "md5"]


def test_a_fault_while_reading_the_body_is_no_match_and_not_hidden() -> None:
    def head() -> bytes:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        matches({"format": "png"}, head=head)


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ({"name": "*.iso"}, False),
        ({"host": "a.example", "source": "10.0.0.1"}, False),
        ({"content_type": "image/*", "user_agent": "a*"}, False),
        ({"host": "a.example", "larger_than": "1KiB"}, True),
        ({"smaller_than": "1KiB"}, True),
        ({"md5": MD5}, True),
        ({"sha256": DIGEST}, True),
        ({"format": "png"}, True),
    ],
)
def test_whether_only_the_body_can_tell(rule: dict[str, Any], needed: bool) -> None:
    assert Exclusions([Rule(**rule)]).needs_body is needed
    assert not Exclusions([Rule(**rule, enabled=False)]).needs_body


@pytest.mark.parametrize(
    ("rule", "forgeable"),
    [
        ({"name": "*.iso"}, True),
        ({"content_type": "image/*", "user_agent": "a*"}, True),
        ({"larger_than": "1GiB"}, True),
        ({"md5": MD5}, True),
        ({"format": "unknown"}, True),
        ({"format": "text", "name": "*.txt"}, True),
        ({"host": "a.example", "path": "/x"}, True),
        ({"host": "a.example", "scheme": "http"}, True),
        ({"host": "a.example", "scheme": "https", "name": "*.iso"}, False),
        ({"host": "a.example", "source": "10.0.0.1"}, False),
        ({"sha256": DIGEST}, False),
        ({"format": "image", "name": "*.png"}, False),
        ({"format": "iso"}, False),
    ],
)
def test_rules_that_a_stranger_can_meet_are_known(rule: dict[str, Any], forgeable: bool) -> None:
    assert Rule(**rule).stands_on_forgeable_criteria is forgeable


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "no criterion"),
    ({"enabled": True, "label": "all"}, "no criterion"),
    ({"path": "/pub/*"}, "path needs host"),
    ({"scheme": "https", "source": "10.0.0.1"}, "scheme needs host"),
    ({"port": 80}, "port needs host"),
    ({"nmae": "*.iso"}, "Extra inputs"),
    ({"name": "*"}, "fits nearly everything"),
    ({"name": "*.*"}, "fits nearly everything"),
    ({"content_type": "*/*"}, "fits nearly everything"),
    ({"user_agent": "?*"}, "fits nearly everything"),
    ({"name": ""}, "no mask"),
    ({"name": "a.iso "}, "no mask"),
    ({"name": "a\n"}, "no mask"),
    ({"format": "jepg"}, "the nearest is jpeg"),
    ({"format": "whatever"}, "groups are executable"),
    ({"md5": "abc"}, "32 hex digits"),
    ({"md5": 12345678901234567890123456789012}, "in quotes"),
    ({"sha256": MD5}, "64 hex digits"),
    ({"scheme": "gopher", "host": "a"}, "Input should be 'http', 'https' or 'ftp'"),
    ({"host": "*"}, "wildcard"),
    ({"host": "*.*.example"}, "wildcard"),
    ({"host": "a.*.example"}, "wildcard"),
    ({"host": "a*.example"}, "wildcard"),
    ({"host": "*example.com"}, "wildcard"),
    ({"host": "*."}, "not a host name"),
    ({"host": ""}, "not a host name"),
    ({"host": "https://a.example"}, "not a host name"),
    ({"host": "a.example:443"}, "not a host name"),
    ({"host": "a.example/x"}, "not a host name"),
    ({"host": "::1"}, "not a host name"),
    ({"host": "0x7f.1"}, "not a host name"),
    ({"host": "10.0.0"}, "not a host name"),
    ({"host": "a b"}, "not a host name"),
    ({"host": "Österreich.example"}, "in lower case"),
    ({"host": "[fe80::1%eth0]"}, "not a host name"),
    ({"host": "*.10.0.0.1"}, "takes no wildcard"),
    ({"host": "*.[::1]"}, "takes no wildcard"),
    ({"host": "a", "path": "pub"}, "begin with /"),
    ({"host": "a", "path": "/pub/**/x"}, "only at the end"),
    ({"host": "a", "path": "/pub**"}, "only at the end"),
    *(
        ({"host": "a", "path": path}, "not a plain path")
        for path in ("/a?b", "/a#b", "/a\\b", "/../a", "/a/..", "/a%2fb", "/a%", "/[a]")
    ),
    ({"host": "a", "port": 0}, "greater than or equal to 1"),
    ({"host": "a", "port": "80"}, "valid integer"),
    ({"source": "0.0.0.0/0"}, "every address"),
    ({"source": "10.0.0.1/8"}, "not an address or network"),
    ({"source": 10}, "not an address or network"),
    ({"source": []}, "empty"),
    ({"source": ["10.0.0.1", "x"]}, "not an address or network"),
    ({"larger_than": "0B"}, "fits everything"),
    ({"smaller_than": "0B"}, "no size is between"),
    ({"larger_than": "1KiB", "smaller_than": "1025B"}, "no size is between"),
    ({"larger_than": 5}, "not a size with a unit"),
    ({"name": "a", "enabled": "yes"}, "valid boolean"),
    ({"name": "a", "label": " "}, "no label"),
    ({"name": "a", "label": "a\nb"}, "no label"),
]


@pytest.mark.parametrize(("rule", "words"), REFUSED, ids=[str(rule) for rule, _ in REFUSED])
def test_a_rule_that_cannot_be_meant_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Rule.model_validate(rule)
    assert words in str(caught.value)


def test_a_list_of_types_leaves_out_what_it_does_not_name() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Types)
    some = adapter.validate_python(["executable", "unknown"])
    assert left_out(some, Format("pe", Group.EXECUTABLE)) is None
    assert left_out(some, Format("text", Group.UNKNOWN)) is None
    assert left_out(some, Format("png", Group.IMAGE)) == TYPES_RULE
    assert left_out(adapter.validate_python(["image"]), Format("text", Group.UNKNOWN)) == TYPES_RULE
    for group in Group:
        assert left_out(adapter.validate_python("all"), Format("x", group)) is None


@pytest.mark.parametrize("value", [[], "image", None, ["all"], ["images"], [["image"]], {}])
def test_what_is_no_list_of_types(value: object) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Types)
    with pytest.raises(ValidationError, match="group"):
        adapter.validate_python(value)
