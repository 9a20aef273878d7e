"""What lets somebody in is taken out of heads; what else they say stays, where it was."""

from __future__ import annotations

import pytest

from icapd.taps.secrets import without_extensions, without_secrets

SECRET = b"s3cr3t-Value"
START = b"GET / HTTP/1.1\r\n"
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
    b"X-Passphrase: %b",
    b"X-Pass: %b",
    b"X-TOTP: %b",
    b"X-Assertion: %b",
    b"X-Amzn-Oidc-Data: %b",
    b"x_sid: %b",
    b"Cookie: a=1;\r\n b=%b",
    b"Cookie: a=1;\r\n\tb=2\r\n\tc=%b",
    b"Authorization: Basic\r%b",
    b"Authorization: Basic\n %b",
    b"Authorization\r\n : Basic %b",
    b" Authorization: %b",
    b"X-Other: a\rAuthorization: %b",
    b"X-Other: a\r\n %b",
    b"\x0bAuthorization: %b",
    b"\x0cCookie: %b",
    b"Authorization\x0b: %b",
    b"Cook\x00ie: %b",
    b"Authorization x: %b",
    b"Coo\r\nkie: %b",
    b"\tCoo\r\nkie: %b",
    b"Auth\xc2\xadorization: %b",
    b"X\x85: %b",
    b": %b",
    b"no line of a head %b",
    b"Location: http://user:%b@files.example/a",
    b"Referer: https://%b@files.example/a",
    b"Link: <//u:%b@h/>; rel=x",
    b"Referer: http://u:a/%b@x/",
    b"Referer: http://u:a?%b@x/",
    b"Referer: http:/u:%b@x/",
    b"Referer: http:\\\\u:%b@x/",
    b"Referer: http:u:%b@x/",
    b"Referer: http://h/r=http%%3A%%2F%%2Fu%%3A%b%%40h",
    b"Referer: http://h/?r=http%%253A%%252F%%252Fu%%253A%b%%2540h",
    b"Referer: http://u%%3A%b@h",
    b"Referer: http://h/r?u=http:%%2F%%2Fu:a/%b%%40h/",
    b"Referer: http://u:12/%b@x/",
    b"Referer: http://h/a?token=%b",
    b"Referer: http://h/a;token:%b",
    b"Referer: http://h/?q=password:%b",
    b"X-Info: token\\u003d%b",
    b"Referer: http://h/a?b=c&access_token=%b&d=e",
    b"Referer: http://h/a?SAMLResponse=%b",
    b"Referer: http://h/a?code=%b&state=x",
    b"Referer: http://h/a?sv=1&sig=%b",
    b"Referer: http://h/a?user[password]=%b",
    b"Referer: http://h/a?user%%5Bpassword%%5D=%b",
    b"Referer: http://h/a?pass%%77ord=%b",
    b"Referer: http://h/a?otp[]=%b",
    b"Referer: http://h/a;jsessionid=%b?b=c",
    b"Referer: http://h/a#access_token=%b",
    b"Referer: http://h/a?r=http%%3A%%2F%%2Fh%%3Fticket%%3D%b",
    b'X-Info: {"password": "%b"}',
    b"X-Info: %%7B%%22password%%22%%3A%%22%b",
    b"X-Info: password = %b",
    b"X-Forwarded-Access: Bearer %b",
    b"X-Other: eyJhbGciOiJIUzI1NiJ9.%b",
]
TARGETS = [
    b"http://user:%b@files.example/a",
    b"http://user:a@%b@files.example/a",
    b"http://user:'\"%b@files.example/a",
    b"http://u:a/%b@x/",
    b"http://u:a b%b@x/",
    b"u:%b@h/",
    b"u:a/%b@h/",
    b"%b@h/",
    b"user:%b@files.example:443",
    b"/a?b=c&password=my %b",
    b"/a?b=c&password=%b&d",
    b"/a;jsessionid=%b/c",
    b"/redirect?r=http%%3A%%2F%%2Fu%%3A%b%%40h",
]


def hidden_in(before: bytes, line: bytes, after: bytes) -> bytes:
    """What becomes of the line, which holds the secret."""
    heads = before + line % SECRET + after
    hidden = without_secrets(heads)
    assert SECRET not in hidden
    assert len(hidden) == len(heads)
    assert all(a in (b, ord("*")) for a, b in zip(hidden, heads, strict=True))
    assert hidden.endswith(after)
    assert hidden.count(b"\r\n") == heads.count(b"\r\n")
    return hidden[: -len(after)]


@pytest.mark.parametrize("line", LINES, ids=[each.decode("latin-1") for each in LINES])
def test_a_secret_becomes_as_many_asterisks(line: bytes) -> None:
    before, after = START + b"X-Before: h\r\n", b"\r\nX-Client-Username: ivanov\r\n\r\n"
    hidden = hidden_in(before, line + b"\r\nX-After: h", after)
    assert hidden.startswith(START if line.startswith((b" ", b"\t")) else before)


@pytest.mark.parametrize("target", TARGETS, ids=[each.decode() for each in TARGETS])
@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
def test_what_is_asked_for_holds_no_secret(target: bytes, method: bytes) -> None:
    hidden = hidden_in(b"", method + b" " + target, b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert hidden.startswith(method)
    hidden_in(START + b"\r\n", method + b" " + target, b"\r\n\r\n")


NO_HEADS = [
    (b"password: %b", b"\r\n"),
    (b"GET / HTTP/1.1\r\n\r\nlogin: joe\r\nname: %b", b"\r\n"),
    (b"GET / HTTP/1.1\n\n%b", b"\r\n"),
    (b"GET / HTTP/1.1\r\nHost: h\r\n \t\r\nname: %b", b"\r\n"),
    (b"\r\n\r\nname: %b", b"\r\n"),
    (b"GET / HTTP/1.1\r\nReferer: http://u:%b", b""),
    (b"GET http://u:%b", b""),
    (b"GET http://u:%b\rX: a", b"\r\n"),
]


@pytest.mark.parametrize(("heads", "end"), NO_HEADS)
def test_what_is_no_whole_head_is_in_doubt_a_secret(heads: bytes, end: bytes) -> None:
    hidden = without_secrets(heads % SECRET + end)
    assert SECRET not in hidden
    assert len(hidden) == len(heads % SECRET + end)


def test_trailers_have_no_start_line() -> None:
    trailers = b"X-Sum: 5\r\nX-Token: %b\r\n\r\n"
    hidden = without_secrets(trailers % SECRET, is_trailer=True)
    assert hidden == trailers % (b"*" * len(SECRET))


def test_a_last_chunk_keeps_what_icap_has_for_it() -> None:
    assert without_extensions(b"0\r\n\r\n") == b"0\r\n\r\n"
    line = b"0; ieof; use-original-body=57;a=ieof; ieofs;x\r\n"
    assert without_extensions(line) == b"0; ieof; use-original-body=57;******;******;*\r\n"


def test_a_handshake_of_tls_is_seen_as_far_as_it_goes() -> None:
    hello = b"\x16\x03\x01\x00\x0a\x01\x00\x00\x06\x03\x03\r\n\r\n"
    assert without_secrets(hello + SECRET) == hello + b"*" * len(SECRET)


SAID = [
    b"X-Client-Username: ivanov",
    b"X-Client-Username: ivanov@corp.example",
    b"X-Authenticated-User: V2luTlQ6Ly9ET01BSU4vaXZhbm92",
    b"X-Authenticated-Groups: TERBUDovL2Rj",
    b"X-Client-IP: 10.1.2.3",
    b"Preview: 4096",
    b"Keep-Alive: timeout=5",
    b"Host: auth.example:8443",
    b"Date: Mon, 30 Nov 2026 10:11:12 GMT",
    b'Content-Disposition: form-data; name="key"; filename="a.exe"',
    b"Encapsulated: req-hdr=0, res-hdr=137, res-body=296",
    b"Referer: http://files.example:8080/@user/a?b=c@d",
    b"\r\nGET http://files.example/@user/a?b=c@d HTTP/1.1",
    b"\r\nGET http://[::1]:80/a?keyword=x HTTP/1.1",
    b"\r\nHTTP/1.1 200 OK",
]


@pytest.mark.parametrize("line", SAID, ids=[each.decode() for each in SAID])
def test_what_is_no_secret_stays(line: bytes) -> None:
    heads = START + b"Cookie: a=b\r\n" + line + b"\r\n\r\n"
    assert without_secrets(heads) == START + b"Cookie: ***\r\n" + line + b"\r\n\r\n"


@pytest.mark.parametrize(
    "sign",
    [b"a:=", b"//", b"%25", b"%3A", b"token", b"\n ", b"\r", b" HTTP/1.1", b"@:", b"\t", b"a@/"],
)
def test_a_long_head_costs_no_more_than_its_length(
    sign: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern that looks at a sign again and again would take minutes here."""
    size = 128 << 10
    monkeypatch.setattr("icapd.taps.secrets._MOST", size)
    for before in (b"GET /", START + b"X: ", START + b"X"):
        heads = before + sign * (size // len(sign)) + b"\r\n\r\n"
        assert len(without_secrets(heads, keep_query=False)) == len(heads)


def test_what_is_too_long_to_be_looked_at_is_hidden() -> None:
    heads = START + b"X-Long: a\r\n" * 10_000 + b"\r\n"
    hidden = without_secrets(heads)
    assert len(hidden) == len(heads)
    assert hidden.startswith(START + b"X-Long: a\r\n" * 5_000)
    assert hidden.endswith(b"*********\r\n" * 1_000 + b"\r\n")


QUERIES = [
    (b"GET /a?ky=q HTTP/1.1", b"GET /a?**** HTTP/1.1"),
    (b"GET http://h/a?k= q?r HTTP/1.1", b"GET http://h/a?****** HTTP/1.1"),
    (b"GET /a?ky=q", b"GET /a?****"),
    (b"GET /a;v=1/b#c HTTP/1.1", b"GET /a;******* HTTP/1.1"),
    (b"OPTIONS icap://h/av?a=b ICAP/1.0", b"OPTIONS icap://h/av?*** ICAP/1.0"),
    (START + b"Referer: http://h/a?ky=q#x", START + b"Referer: http://h/a?******"),
    (START + b"Referer: http://h/a#x", START + b"Referer: http://h/a#*"),
    (START + b'Refresh: 5; url="/a?b=c;d,e"', START + b'Refresh: 5; url="/a?*******"'),
]


@pytest.mark.parametrize(("line", "hidden"), QUERIES)
def test_queries_go_where_logs_do_not_have_them(line: bytes, hidden: bytes) -> None:
    assert without_secrets(line + b"\r\n\r\n", keep_query=False) == hidden + b"\r\n\r\n"
    assert without_secrets(line + b"\r\n\r\n") == line + b"\r\n\r\n"


@pytest.mark.parametrize(
    "name", ["X-Code", "X-Pw", "X-Passkey", "x_hmac", "X-To|ken", "X-sessionId"]
)
def test_headers_go_by_the_same_names_as_in_the_file_for_support(name: str) -> None:
    line = f"{name}: abc\r\n".encode()
    assert without_secrets(b"GET / HTTP/1.1\r\n" + line).endswith(b": ***\r\n")


DOUBTFUL = """
    smsotp otpcode otpvalue userpin cardpin pinCode accesscode smscode verificationcode phpsid ltsid
    usersess keyb64 keyblob keybytes commonkey daemonkey passid passinfo passimage cardsig urlsig
    dbpw rootpw creditcardcode
"""


@pytest.mark.parametrize("name", DOUBTFUL.split())
def test_in_doubt_a_name_goes_with_a_secret(name: str) -> None:
    head = f"GET /a?x=1&{name}=s3cr3t7777&y=2 HTTP/1.1\r\nX-{name}: s3cr3t7777\r\n\r\n".encode()
    found = without_secrets(head)
    assert b"s3cr3t7777" not in found
    assert b"x=1" in found
    assert b"y=2" in found


@pytest.mark.parametrize("name", ["X-Monkey", "X-Bypass-Cache", "X-Author", "X-Keyword"])
def test_a_part_of_a_word_makes_no_secret(name: str) -> None:
    head = f"GET / HTTP/1.1\r\n{name}: abc\r\n".encode()
    assert without_secrets(head) == head
