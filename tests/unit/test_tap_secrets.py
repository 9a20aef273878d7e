"""What lets somebody in is taken out of heads; what else they say stays, where it was."""

from __future__ import annotations

import pytest

from icapd.taps.secrets import without_secrets

SECRET = b"s3cr3t-Value"
LINES = [
    b"Authorization: Basic %b",
    b"proxy-authorization:%b",
    b"PROXY-AUTHORIZATION \t: NTLM %b",
    b"Cookie: a=1; sid=%b",
    b"Set-Cookie: sid=%b; Path=/",
    b"WWW-Authenticate: NTLM %b",
    b"Proxy-Authenticate: Negotiate %b",
    b"Authentication-Info: nextnonce=%b",
    b"X-Api-Key: %b",
    b"apikey: %b",
    b"Ocp-Apim-Subscription-Key: %b",
    b"X-Auth-Token: %b",
    b"X-CSRF-Token: %b",
    b"X-Amz-Security-Token: %b",
    b"X-Session-Id: %b",
    b"X-Vault-Password: %b",
    b"X-Client-Secret: %b",
    b"Cookie: a=1;\r\n b=%b",
    b"Cookie: a=1;\r\n\tb=2\r\n\tc=%b",
    b"Authorization: Basic\r%b",
    b"Authorization: Basic\n %b",
    b" Authorization: %b",
    b"X-Other: a\rAuthorization: %b",
    b"Location: http://user:%b@files.example/a",
    b"Referer: https://%b@files.example/a",
    b"Link: <//u:%b@h/>; rel=x",
    b"GET http://user:%b@files.example/a HTTP/1.1",
    b"GET http://user:a@%b@files.example/a HTTP/1.1",
    b"GET http://user:'\"%b@files.example/a HTTP/1.1",
    b"CONNECT user:%b@files.example:443 HTTP/1.1",
    b"RESPMOD icap://user:%b@proxy/av/respmod ICAP/1.0",
]


@pytest.mark.parametrize("line", LINES, ids=[each.decode() for each in LINES])
def test_a_secret_becomes_as_many_asterisks(line: bytes) -> None:
    before, after = b"Host: h\r\n", b"\r\nX-Client-Username: ivanov\r\n\r\n"
    heads = before + line % SECRET + after
    hidden = without_secrets(heads)
    assert SECRET not in hidden
    assert len(hidden) == len(heads)
    assert hidden.startswith(before)
    assert hidden.endswith(after)
    assert hidden.count(b"\r\n") == heads.count(b"\r\n")


SAID = [
    b"X-Client-Username: ivanov",
    b"X-Authenticated-User: V2luTlQ6Ly9ET01BSU4vaXZhbm92",
    b"X-Authenticated-Groups: TERBUDovL2Rj",
    b"X-Client-IP: 10.1.2.3",
    b"Preview: 4096",
    b"Keep-Alive: timeout=5",
    b"GET http://files.example/@user/a?b=c@d HTTP/1.1",
    b"Encapsulated: req-hdr=0, res-hdr=137, res-body=296",
    b"HTTP/1.1 200 OK",
]


@pytest.mark.parametrize("line", SAID, ids=[each.decode() for each in SAID])
def test_what_is_no_secret_stays(line: bytes) -> None:
    heads = b"Cookie: a=b\r\n" + line + b"\r\n\r\n"
    assert without_secrets(heads) == b"Cookie: ***\r\n" + line + b"\r\n\r\n"


QUERIES = [
    (b"GET /a?key=q HTTP/1.1", b"GET /a?***** HTTP/1.1"),
    (b"GET http://h/a?k= q?r HTTP/1.1", b"GET http://h/a?****** HTTP/1.1"),
    (b"GET /a?key=q", b"GET /a?*****"),
    (b"OPTIONS icap://h/av?a=b ICAP/1.0", b"OPTIONS icap://h/av?*** ICAP/1.0"),
    (b"Referer: http://h/a?key=q#x", b"Referer: http://h/a?*******"),
    (b'Refresh: 5; url="/a?b=c;d,e"', b'Refresh: 5; url="/a?*******"'),
]


@pytest.mark.parametrize(("line", "hidden"), QUERIES)
def test_queries_go_where_logs_do_not_have_them(line: bytes, hidden: bytes) -> None:
    assert without_secrets(line + b"\r\n\r\n", keep_query=False) == hidden + b"\r\n\r\n"
    assert without_secrets(line + b"\r\n\r\n") == line + b"\r\n\r\n"
