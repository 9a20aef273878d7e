"""Finds what looks like a secret, whoever's: credentials in URLs, headers, and private keys."""

from __future__ import annotations

import re

from bridge.core.secrets.needles import REMOVED

_STRONG = (
    r"(?:token|passw(?:or)?d|passphrase|pwd|secret|api[_-]?key|credentials?|private[_-]?key|jwt)"
)
_WEAK = r"(?:key|sig|signature|code|auth|pass|session|session[_-]?id|sid)"

_SPACE = r"(?:[ +]|%20)"
_KIND = rf"(?:[A-Z0-9]+{_SPACE})*PRIVATE{_SPACE}KEY-----"
_NEXT = r"\n\{|-----BEGIN"  # the next record, or key: not of this one
_KEY = re.compile(
    rf"-----BEGIN{_SPACE}{_KIND}"
    rf"(?:(?:(?!{_NEXT})[\s\S]){{0,20000}}?-----END{_SPACE}{_KIND}"
    r"|[A-Za-z0-9+/=\s\\:,%-]*)"
)
_KEY_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]*")
_USERINFO = re.compile(r"(:(?:\\*/){2})[^\s/?#\"'<>\\]*@")
_USERINFO_ENCODED = re.compile(
    r"(%(?:25)*3A(?:%(?:25)*2F){2})(?:(?!%(?:25)*(?:2F|3F|23))[^\s/?#&\"'<>\\])*%(?:25)*40", re.I
)
_QUERY = re.compile(
    r"([?&;]|%(?:25)*(?:3F|26)|\\u0026)"
    rf"((?:[\w.\[\]-]{{0,40}}?(?:{_STRONG}|{_WEAK}))(?:\[\]|%5B%5D)?)"
    r"(=|%(?:25)*3D)((?:\\.|[^&\s\"\\#])*)",
    re.I,
)
_NAMED = re.compile(
    rf"({_STRONG})(\\*[\"']?[ \t]*[=:][ \t]*)"
    r"(?:(\\*\")(?:\\.|[^\"\\\r\n])*|(')[^'\r\n]*|[^\s,;&\"'{}\[\]]+)",
    re.I,
)
_SCHEME = re.compile(
    r"\b(Bearer|Basic|Negotiate|NTLM|Digest)((?:[ +]|%20)+)"
    r"(?=[A-Za-z0-9+/._~-]*[0-9A-Z=])[A-Za-z0-9+/=._~-]{8,}"
)
_HEADER = re.compile(
    r"(?<![A-Za-z0-9])((?:proxy-|x-)?authorization|(?:set-)?cookie2?|api-key|"
    r"x-[a-z-]{0,40}(?:token|key|secret|password|signature)[a-z-]{0,20})"
    r"\\*[\"']?[ \t]*:[ \t]*\\*[\"']?",
    re.I,
)
# in each text that the pattern of that name fits, in small letters
_IN_HEADERS = ("authorization", "cookie", "api-key", "x-")
_IN_SCHEMES = ("bearer", "basic", "negotiate", "ntlm", "digest")
_IN_NAMES = ("token", "passw", "passphrase", "pwd", "secret", "api", "credential", "key", "jwt")
_END_OF_STRING = re.compile(r"(?<!\\)(?:\\\\)*\"|[\r\n]|\Z")
_END_OF_LINE = re.compile(r"[\r\n]|\Z")


def without_patterns(text: str) -> str:
    """`text` with each such value as `[removed]`; names and hosts stay."""
    text = _KEY.sub(REMOVED, text)
    text = _KEY_IN_BASE64.sub(REMOVED, text)
    small = text.lower()
    if any(word in small for word in _IN_HEADERS):  # a look is quicker than a pattern
        text = _headers(text)
    if any(word in small for word in _IN_SCHEMES):
        text = _SCHEME.sub(rf"\1\2{REMOVED}", text)
    text = _USERINFO.sub(rf"\1{REMOVED}@", text)
    text = _USERINFO_ENCODED.sub(rf"\1{REMOVED}%40", text)
    text = _QUERY.sub(rf"\1\2\3{REMOVED}", text)
    if any(word in small for word in _IN_NAMES):
        text = _NAMED.sub(rf"\1\2\3\4{REMOVED}", text)
    return text


def _headers(text: str) -> str:
    """A header goes to the end of its line, or of the string of JSON that holds it."""
    parts, at, line = [], 0, 0
    while match := _HEADER.search(text, at):
        line = max(line, text.rfind("\n", at, match.start()) + 1)
        in_json = text[line : line + 1] in ("{", "[")
        end = (_END_OF_STRING if in_json else _END_OF_LINE).search(text, match.end())
        parts += [text[at : match.end()], REMOVED]
        at = len(text) if end is None else end.end() - len(end[0].lstrip("\\"))
    return "".join([*parts, text[at:]])
