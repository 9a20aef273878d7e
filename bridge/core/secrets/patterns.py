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
_KEY = re.compile(
    rf"-----BEGIN{_SPACE}{_KIND}"
    rf"(?:(?:(?!\n\{{)[\s\S]){{0,20000}}?-----END{_SPACE}{_KIND}"  # not into the next record
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
    rf"({_STRONG})(\\*[\"']?\s*[=:]\s*)"
    r"(?:(\\*\")(?:\\.|[^\"\\])*|(')[^'\r\n]*|[^\s,;&\"'{}\[\]]+)",
    re.I,
)
_SCHEME = re.compile(
    r"\b(Bearer|Basic|Negotiate|NTLM|Digest)((?:[ +]|%20)+)"
    r"(?=[A-Za-z0-9+/._~-]*[0-9A-Z=])[A-Za-z0-9+/=._~-]{8,}"
)
_HEADER = re.compile(
    r"(?<![A-Za-z0-9])((?:proxy-|x-)?authorization|(?:set-)?cookie2?|api-key|"
    r"x-[a-z-]{0,40}(?:token|key|secret|password|signature)[a-z-]{0,20})"
    r"(\\*[\"']?\s*:\s*\\*[\"']?)([^\r\n]*)",
    re.I,
)
_END_OF_STRING = re.compile(r"(?<!\\)(?:\\\\)*\"")


def without_patterns(text: str) -> str:
    """`text` with each such value as `[removed]`; names and hosts stay."""
    text = _KEY.sub(REMOVED, text)
    text = _KEY_IN_BASE64.sub(REMOVED, text)
    text = _headers(text)
    text = _SCHEME.sub(rf"\1\2{REMOVED}", text)
    text = _USERINFO.sub(rf"\1{REMOVED}@", text)
    text = _USERINFO_ENCODED.sub(rf"\1{REMOVED}%40", text)
    text = _QUERY.sub(rf"\1\2\3{REMOVED}", text)
    return _NAMED.sub(rf"\1\2\3\4{REMOVED}", text)


def _headers(text: str) -> str:
    """A header goes to the end of its line, or of the string of JSON that holds it."""

    def removed(match: re.Match[str]) -> str:
        start = text.rfind("\n", 0, match.start()) + 1
        return _header(match, in_json=text[start : start + 1] in ("{", "["))

    return _HEADER.sub(removed, text)


def _header(match: re.Match[str], *, in_json: bool) -> str:
    end = _END_OF_STRING.search(match[3]) if in_json else None
    rest = match[3][end.end() - 1 :] if end else ""
    rest = _HEADER.sub(lambda inner: _header(inner, in_json=True), rest)
    return f"{match[1]}{match[2]}{REMOVED}{rest}"
