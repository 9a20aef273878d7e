"""Finds what looks like a secret, whoever's: credentials in URLs, headers, and private keys."""

from __future__ import annotations

import re

from bridge.core.secrets.names import IN_TEXT, SIGNS_OF_NAMES, is_secret_name
from bridge.core.secrets.needles import REMOVED, unescaped

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
_NAME = r"((?:[\w.\[\]-]|%(?:25)*(?!2[23567C]|3[ABDF]|7B)[0-9A-F]{2}){1,60}+)"  # no sign below
_ESCAPED_QUOTE = r"(?:%(?:25)*2[27]|\\{1,8}\")"
_QUERY = re.compile(
    rf"(?:[?&;#]|%(?:25)*(?:3F|26|3B|23|3D)|\\u0026){_NAME}(?:=|%(?:25)*3D)"
    rf"|{_ESCAPED_QUOTE}{_NAME}{_ESCAPED_QUOTE}{_SPACE}*(?::|%(?:25)*3A)",  # JSON in a URL
    re.I,
)
_VALUE = re.compile(r"(?:\\.|[^&\s\"\\#])*")
_NAMED = re.compile(
    rf"({IN_TEXT})(\\*[\"']?[ \t]*(?:=>|:=|=+|:)[ \t]*)"
    r"(?:(\\*\")(?:\\.|[^\"\\\r\n])*|(')[^'\r\n]*"
    r"|\[\s*+(?:\\*\"(?:\\.|[^\"\\\r\n])*\"?|'[^'\r\n]*'?|[^\]\"'\r\n])*+\]?"
    r"|[^\s,;&\"'{}\[\]]+)",
    re.I,
)
_SCHEME = re.compile(
    r"\b(Bearer|Basic|Negotiate|NTLM|Digest)((?:[ +]|%20)+)"
    r"(?=[A-Za-z0-9+/._~-]*[0-9A-Z=])[A-Za-z0-9+/=._~-]{8,}"
)
_HEADER = re.compile(  # of one word only those that are no word elsewhere
    r"(?<![A-Za-z0-9-])([A-Za-z][A-Za-z0-9]*+(?:-[A-Za-z0-9]++)+|authorization|cookie2?|apikey)"
    r"\\*[\"']?[ \t]*:[ \t]*\\*[\"']?",
    re.I,
)
_IN_SCHEMES = ("bearer", "basic", "negotiate", "ntlm", "digest")
_END_OF_STRING = re.compile(r"(?<!\\)(?:\\\\)*\"|[\r\n]|\Z")
_END_OF_LINE = re.compile(r"[\r\n]|\Z")


def without_patterns(text: str) -> str:
    """`text` with each such value as `[removed]`; names and hosts stay."""
    text = _KEY.sub(REMOVED, text)
    text = _KEY_IN_BASE64.sub(REMOVED, text)
    small = text.lower()
    text = _headers(text)
    if any(word in small for word in _IN_SCHEMES):  # a look is quicker than a pattern
        text = _SCHEME.sub(rf"\1\2{REMOVED}", text)
    text = _USERINFO.sub(rf"\1{REMOVED}@", text)
    text = _USERINFO_ENCODED.sub(rf"\1{REMOVED}%40", text)
    text = _parameters(text)
    if any(word in small for word in SIGNS_OF_NAMES):
        text = _NAMED.sub(rf"\1\2\3\4{REMOVED}", text)
    return text


def _parameters(text: str) -> str:
    parts, at = [], 0
    for match in _QUERY.finditer(text):
        if match.start() >= at and is_secret_name(unescaped(match[1] or match[2])):
            parts += [text[at : match.end()], REMOVED]
            value = _VALUE.match(text, match.end())
            at = match.end() if value is None else value.end()
    return "".join([*parts, text[at:]])


def _headers(text: str) -> str:
    """A header goes to the end of its line, or of the string of JSON that holds it."""
    parts, at, line = [], 0, 0
    for match in _HEADER.finditer(text):
        if match.start() < at or not is_secret_name(match[1]):
            continue
        line = max(line, text.rfind("\n", at, match.start()) + 1)
        in_json = text[line : line + 1] in ("{", "[")
        end = (_END_OF_STRING if in_json else _END_OF_LINE).search(text, match.end())
        parts += [text[at : match.end()], REMOVED]
        at = len(text) if end is None else end.end() - len(end[0].lstrip("\\"))
    return "".join([*parts, text[at:]])
