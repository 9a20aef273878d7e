"""The scrubber: values in every form, and what looks like a secret of anybody's."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from bridge.core import REMOVED, is_secret_name, printable, scrub, secrets_of_settings
from bridge.core.secrets import key_lines, store_secrets, url_secrets, webhook_secrets
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site

R = REMOVED
ODD = "pä$s/w\"o'r\\d&+1 <end>%41"
PLAIN = "0123456789abcdef0123"


def base64_of(value: str) -> list[str]:
    """A value as a part of what is encoded, at each alignment, in both alphabets."""
    found = []
    for before in ("", "u", "us", "use:"):
        data = f"{before}{value}:behind".encode()
        found += [base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()]
    return found


def python_forms(value: str) -> list[str]:
    """As Python, our own `printable`, C and the mount table write it."""
    data = value.encode()
    found = [
        repr(value)[1:-1],
        repr(data)[2:-1],
        ascii(value)[1:-1],
        value.encode("ascii", "backslashreplace").decode(),
        printable(value),
        "".join(f"\\x{byte:02x}" for byte in data),
        "".join(f"\\{byte:03o}" for byte in data),
        "".join(f"\\U{ord(sign):08x}" for sign in value),
        json.dumps(repr(data))[3:-2],
    ]
    if all(ord(sign) < 256 for sign in value):
        latin = value.encode("latin-1")
        found += [repr(latin)[2:-1], quote(value, safe="", encoding="latin-1")]
        found += ["".join(f"\\{byte:03o}" for byte in latin), base64.b64encode(latin).decode()]
    return found


def forms(value: str) -> list[str]:
    once = json.dumps(value)[1:-1]
    twice = json.dumps(once)[1:-1]
    whole = "".join(f"%{byte:02X}" for byte in value.encode())
    return [
        value,
        once,
        twice,
        json.dumps(value, ensure_ascii=False)[1:-1],
        "".join(f"\\u{unit}" for unit in value.encode("utf-16-be").hex(" ", 2).split()),
        quote(value, safe=""),
        quote_plus(value),
        quote(value),
        quote(quote(value, safe=""), safe=""),
        whole,
        whole.lower(),
        html.escape(value),
        json.dumps(quote(value))[1:-1],
        *python_forms(value),
        "".join(f"&#{ord(sign)};" for sign in value),
        "".join(f"&#x{ord(sign):X};" for sign in value),
        *base64_of(value),
        *(quote(each, safe="") for each in base64_of(value)),
        *(each.replace("/", "\\/") for each in base64_of(value)),
    ]


@pytest.mark.parametrize(
    "value", [ODD, PLAIN, "abcd", "-----", "a+b/c=", "two\nlines\u2028x", "pässwort1", "Ã¤x😀"]
)
def test_a_value_is_taken_out_in_every_form(value: str) -> None:
    for form in forms(value):
        text = scrub(f"2026 before {form} behind\nnext", {value})
        assert text == f"2026 before {REMOVED} behind\nnext", form


def test_a_password_that_is_our_own_word_ends_nothing() -> None:
    assert scrub(f"a {PLAIN} removed b", {"removed", PLAIN}) == f"a {REMOVED} removed b"


def test_what_is_near_it_stays() -> None:
    text = '{"a":"x %20 \\" y","b":"' + PLAIN[:-1] + '"}\n' + base64.b64encode(b"other").decode()
    assert scrub(text, {PLAIN, ODD}) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("at redis://user:pw@h:1/0 x", f"at redis://{REMOVED}@h:1/0 x"),
        ("at http://u:p@ss@h/a?b x", f"at http://{REMOVED}@h/a?b x"),
        (r"at http:\/\/u:p@h\/a x", rf"at http:\/\/{REMOVED}@h\/a x"),
        ("?u=http%3A%2F%2Fu%3Ap%40h%2F", f"?u=http%3A%2F%2F{REMOVED}%40h%2F"),
        ("http://h/a@b", "http://h/a@b"),
        ("http://h/?mail=a@b", "http://h/?mail=a@b"),
        ("http://h/p?a=1&token=xyz&b=2#f", f"http://h/p?a=1&token={REMOVED}&b=2#f"),
        ("http://h/p?access_token=x;code=y z", f"http://h/p?access_token={REMOVED} z"),
        ("http://h/p?X-Amz-Signature=1f&k=1", f"http://h/p?X-Amz-Signature={REMOVED}&k=1"),
        ("http://h/p?u=a%3Ftoken%3Dxyz", f"http://h/p?u=a%3Ftoken%3D{REMOVED}"),
        ('"http://h/?api_key=x\\"y"', f'"http://h/?api_key={REMOVED}"'),
        ("http://h/monkeys?page=2&sort=key", "http://h/monkeys?page=2&sort=key"),
        ("Authorization: Basic dXNlcjpwdw==\nnext", f"Authorization: {REMOVED}\nnext"),
        ('got cookie: a="b"; c=d', f"got cookie: {REMOVED}"),
        ('{"a":"Cookie: b=\\"c\\"; d","e":1}', f'{{"a":"Cookie: {REMOVED}","e":1}}'),
        (
            '{"Authorization":"x","Set-Cookie":"y"}',
            f'{{"Authorization":"{REMOVED}","Set-Cookie":"{REMOVED}"}}',
        ),
        ("with Bearer abc.DEF-123 at", f"with Bearer {REMOVED} at"),
        ("Basic verification failed", "Basic verification failed"),
        ("password=hunter2 and more", f"password={REMOVED} and more"),
        ('{"client_secret": "two words", "n": 1}', f'{{"client_secret": "{REMOVED}", "n": 1}}'),
        ("http://h/?SAMLResponse=PHN&ticket=ST-1", f"http://h/?SAMLResponse={R}&ticket={R}"),
        ("http://h/?otp=1&csrf=2&pin=3&pw=4&n=5", f"http://h/?otp={R}&csrf={R}&pin={R}&pw={R}&n=5"),
        ("/?assertion=a&client_assertion=b", f"/?assertion={R}&client_assertion={R}"),
        ("http://h/a;jsessionid=0A1B/b", f"http://h/a;jsessionid={R}"),
        ("http://h/#access_token=0A1B&n=1", f"http://h/#access_token={R}&n=1"),
        ("http://h/#top?n=1", "http://h/#top?n=1"),
        ("X-Auth: two words\nnext", f"X-Auth: {R}\nnext"),
        ("x-passphrase: two words", f"x-passphrase: {R}"),
        ("X-Pass:a", f"X-Pass:{R}"),
        ("X-TOTP: 123 456", f"X-TOTP: {R}"),
        ("X-Assertion: a", f"X-Assertion: {R}"),
        ('{"X-Amzn-Oidc-Data":"a","b":1}', f'{{"X-Amzn-Oidc-Data":"{R}","b":1}}'),
        ("Ocp-Apim-Subscription-Key: ab", f"Ocp-Apim-Subscription-Key: {R}"),
        ("X-Client-IP: 10.1.2.3", "X-Client-IP: 10.1.2.3"),
        ("X-Authenticated-User: ab", "X-Authenticated-User: ab"),
        ('{"password": ["a]b", "c"], "n": 1}', f'{{"password": {R}, "n": 1}}'),
        ('{"tokens": 5, "password":["a"]}', f'{{"tokens": 5, "password":{R}}}'),
        ("password: ['a b', c] x", f"password: {R} x"),
        ("password => hunter2 x", f"password => {R} x"),
        ("'password' => 'hunter 2', x", f"'password' => '{R}', x"),
        ("password := a; pwd == b", f"password := {R}; pwd == {R}"),
        ("otp=123456 robotp=1", f"otp={R} robotp=1"),
        ('{"token_set":true}', '{"token_set":true}'),
        (
            'katabridge_kata_requests_total{call="submit",code="200"} 1',
            'katabridge_kata_requests_total{call="submit",code="200"} 1',
        ),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, left: str) -> None:
    assert scrub(text) == left
    assert scrub(left) == left


def test_private_keys_are_taken_out_whole_or_cut(tmp_path: Path) -> None:
    put_certificate(tmp_path / "c.pem", tmp_path / "c.key")
    pem = (tmp_path / "c.key").read_text()
    certificate = (tmp_path / "c.pem").read_text()
    for form in (
        pem,
        json.dumps(pem),
        quote(pem),
        pem[:600],
        base64.b64encode(pem.encode()).decode(),
    ):
        left = scrub(f"before {form}")
        assert left.startswith(f"before {REMOVED}") or left.startswith(f'before "{REMOVED}')
        assert len(left) < 40, left
    assert scrub(certificate) == certificate


def test_no_line_of_our_key_is_left_without_its_marks(tmp_path: Path) -> None:
    put_certificate(tmp_path / "c.pem", tmp_path / "c.key")
    pem = (tmp_path / "c.key").read_text()
    values = frozenset(key_lines(pem))
    lines = pem.splitlines()[1:-1]
    whole = "".join(lines)
    wrapped = [whole[at : at + 76] for at in range(0, len(whole), 76)]
    doubly = [base64.b64encode(line.encode()).decode() for line in lines[:-1]]
    for line in (*lines, *wrapped[:-1], *doubly, whole, quote(whole, safe="")):
        assert scrub(f"debug: {line} end", values) == f"debug: {REMOVED} end", line


def test_the_secrets_of_a_configuration(site: Site) -> None:
    site.changes = {
        "status": {"token": PLAIN},
        "verdicts": {"store": "redis://u:p%40ss-word@127.0.0.1:1/0"},
        "notify": {"url": "https://u:hookpass@h/services/T0000/AbCdEf123456?sig=QuerySecret1"},
    }
    found = secrets_of_settings(site.settings())
    named = {PLAIN, "p%40ss-word", "p@ss-word", "hookpass", "AbCdEf123456", "QuerySecret1"}
    assert named <= found
    key = (site.directory / "client.key").read_text()
    assert set(key_lines(key)) <= found
    assert not any(each in "var/lib/katabridge.services" for each in found)


def test_passwords_in_urls_that_are_not_well_written() -> None:
    assert set(store_secrets("redis://:p/w@x@h:1/0")) == {"p/w@x"}
    assert set(store_secrets("redis://h:1/0?password=a%20b")) == {"a%20b", "a b"}
    assert set(url_secrets("https://u:p%C3%A4@h/x")) == {"p%C3%A4", "pä"}
    assert set(url_secrets("https://onlytoken@h/x")) == {"onlytoken"}
    assert set(url_secrets("https://u:a/p@w?@h/x")) == {"a/p@w?"}
    assert set(url_secrets("u:pw@h")) == {"pw"}
    assert not set(url_secrets("https://h/x?y=z"))
    assert not set(webhook_secrets("https://hooks.example/katabridge"))
    assert "aB3dE5gH" in set(webhook_secrets("https://hooks.example/v1/aB3dE5gH"))


def test_names_that_go_with_secrets() -> None:
    for name in (
        *("ticket", "SAMLResponse", "otp", "csrf", "assertion", "client_assertion", "pin", "pw"),
        *("X-Auth", "X-Passphrase", "X-Pass", "X-TOTP", "X-Assertion", "X-Amzn-Oidc-Data"),
        *("jsessionid", "PHPSESSID", "access_token", "apiKey", "apikey", "user[password]"),
        *("Ocp-Apim-Subscription-Key", "sid", "code", "userPin", "Cookie", "set-cookie2"),
        *("X-HMAC", "X-MFA", "X-PSK", "X-Passkey", "X-Masterkey", "hotp", "pass2", "X-Passport"),
    ):
        assert is_secret_name(name), name
    for name in (
        *("monkey", "compass", "spinner", "page", "encoding", "x-client-ip"),
        *(
            "X-Authenticated-User",
            "keyboard",
            "sidebar",
            "Content-Type",
            "signal",
            "author",
            "authority",
            "X-Bypass-Cache",
            "keyword",
            "footprint",
        ),
    ):
        assert not is_secret_name(name), name
