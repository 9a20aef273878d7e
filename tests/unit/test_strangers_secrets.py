"""Capture and file for support take the same secrets of strangers out of URLs, however escaped."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from bridge.core import scrub
from icapd.taps.secrets import without_secrets

SECRET = "s3cr3tVALUE"
NAMES = [
    *("password", "passwd", "pass", "pwd", "pw", "userPw", "passphrase", "passkey", "psk"),
    *("cred", "creds", "client_cred", "credentials", "token", "access_token", "api_key", "key"),
    *("auth", "assertion", "SAMLResponse", "wresult", "jwt", "oidc", "ticket", "nonce", "hmac"),
    *("sig", "X-Amz-Signature", "code", "pin", "otp", "totp", "mfa", "sid", "sess", "session"),
    *("sessionid", "jsessionid", "csrf", "xsrf", "secret", "client_secret", "cookie", "bearer"),
]
PLAIN = ["page", "q", "monkey", "keyword", "encoding", "spinner", "credit", "compass", "assess"]


def some_escaped(name: str) -> str:
    return f"{name[:1]}%{ord(name[1]):02x}{name[2:]}"


FORMS = {
    "plain": "?a=b&{}={}",
    "behind a semicolon": "?a=b;{}={}",
    "in a fragment": "#{}={}",
    "in brackets": "?user[{}]={}",
    "in escaped brackets": "?user%5B{}%5D={}",
    "in JSON": '?j={{"a":1,"{}":"{}"}}',
    "behind an escaped sign": "?r=http%3A%2F%2Fh%2F%3F{}%3D{}",
    "behind another": "?r=a%3D1%26{}%3D{}",
    "a value of a value": "?q=a%3D{}%3D{}",
}
JSON = '{{"a": 1, "{}": "{}"}}'


def shapes(name: str) -> list[str]:
    plain = [form.format(name, SECRET) for form in FORMS.values()]
    found = [*plain, f"?{some_escaped(name)}={SECRET}"]
    found += [f"?{''.join(f'%{ord(sign):02X}' for sign in name)}={SECRET}"]
    found += [f"?{quote(some_escaped(name))}={SECRET}"]
    inner = JSON.format(name, SECRET)
    for text in (inner, inner.replace(" ", ""), inner.replace('"', "'")):
        once = quote(text, safe="")
        found += [f"?j={once}", f"?j={quote(text)}", f"?j={quote(once, safe='')}"]
        found += [f"?j={once.replace('%20', '+')}"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_both_find_it(name: str) -> None:
    for shape in shapes(name):
        url = f"http://h.example/a{shape}"
        texts = [json.dumps({"context": {"url": url, "b": "c"}})]
        # a bare quote may be of JSON of ours: there only names that are no words elsewhere count
        texts += [] if '"' in url else [url, f"GET {url} 200"]
        for text in texts:
            assert SECRET not in scrub(text), text
            assert "h.example" in scrub(text)
            assert scrub(scrub(text)) == scrub(text)
        for head in (f"GET {url} HTTP/1.1\r\n\r\n", f"GET / HTTP/1.1\r\nReferer: {url}\r\n\r\n"):
            hidden = without_secrets(head.encode())
            assert SECRET.encode() not in hidden, head
            assert len(hidden) == len(head)
            assert b"h.example" in hidden


@pytest.mark.parametrize("name", PLAIN)
def test_both_leave_what_is_none(name: str) -> None:
    for form in FORMS.values():
        url = f"http://h.example/a{form.format(name, 'value')}"
        head = f"GET {url} HTTP/1.1\r\n\r\n".encode()
        assert scrub(url) == url
        assert without_secrets(head) == head


@pytest.mark.parametrize(
    "sign", ["%22a", "%2522", "?a%5B", "%22a%22+", "%25", "%3D", "&p%77", "\\"]
)
def test_a_long_text_costs_no_more_than_its_length(sign: str) -> None:
    """A pattern that looks at a sign again and again would take minutes here."""
    text = sign * ((128 << 10) // len(sign))
    assert len(scrub(text)) <= len(text)
