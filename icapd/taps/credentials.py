"""Takes out of URLs, and of other values of fields, what lets somebody in: asterisks stand for it.

Whatever is looked for may be escaped as in URLs, and that more than once. Each pattern looks at a
sign a bounded number of times, for these values are a stranger's.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bridge.core import is_secret_name

_SIGN = re.compile(rb"(?<![\r\n])[^\r\n]|(?<=[\r\n])[^\r\n \t]")  # a blank folds a line
_COLON, _AT, _EQUALS = rb"(?::|%(?:25)*3A)", rb"(?:@|%(?:25)*40)", rb"(?:=|%(?:25)*3D|\\{1,4}u003D)"
_SLASH = rb"(?:[/\\]|%(?:25)*(?:2F|5C))"
_AUTHORITY_END = rb"(?:[/?#\\]|%(?:25)*(?:2F|3F|23|5C))"
_QUOTE = rb"(?:\\{0,4}[\"']|%(?:25)*2[27])"
_BLANK = rb"(?:[ \t+]|%(?:25)*20)"
# nobody escapes these without a reason
_LETTER = re.compile(rb"%(?:25)*(?:[46][1-9A-F]|[57][0-9A])", re.I)
_ESCAPE = re.compile(rb"%(?:25)*([0-9A-F]{2})", re.I)

_USER_INFO = re.compile(rb"(%b{2})((?:(?!%b).)*)(?=%b)" % (_SLASH, _AUTHORITY_END, _AT), re.I)
_ANY_AT = re.compile(_AT, re.I)
# `user:` with a password that may hold slashes; but a port may stand there, and `/@name` behind it
_PAIR = re.compile(
    rb"(?:\A|[/=(,;?&\\\"'<]|%%(?:25)*(?:2F|3D|26|3F|5C))"
    rb"((?:(?!%%(?:25)*3A)[^/?#&=@:(,;\\\"'<])*%b(?!%b{2})"
    rb"(?:(?![0-9]{1,5}(?:%b|\Z))|(?=[0-9]{1,5}/[^?#@]{0,200}[^/?#@]@)))"
    % (_COLON, _SLASH, _AUTHORITY_END),
    re.I,
)
_RUN = re.compile(rb"[^\s]+")
_ABSOLUTE = re.compile(rb"(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]")
_STRONG = b"|".join(
    b"(?<=%b)" % each
    for each in (b"cred", b"pass", b"password", b"pw", b"pwd", b"secret", b"token")
)
_IS = re.compile(rb"[ \t]{0,8}%b|(?:%b|%b)[ \t]{0,8}%b" % (_EQUALS, _QUOTE, _STRONG, _COLON), re.I)
_SIGNS_OF_PARAMETERS = (b"=", b":", b"\\u")
_MOST_OF_NAME = 80  # bytes before that
_NAME = re.compile(rb"[^&?#;,\s]*\Z")
_SCHEMES = (b"basic", b"bearer", b"digest", b"dpop", b"negotiate", b"ntlm")
_SCHEME = re.compile(
    rb"(\b(?:Basic|Bearer|Digest|DPoP|Negotiate|NTLM)%b{1,8})(?=[^\s&]{6})([^&]*)" % _BLANK, re.I
)
_JWT = re.compile(rb"()(eyJ[A-Za-z0-9_.=-]{16,})")
_QUERY = re.compile(rb"([?#]|%(?:25)*(?:3F|23))([^\s\"<>]+)", re.I)
_TARGETS_QUERY = re.compile(rb"([?#;]|%(?:25)*(?:3F|23))(.+)", re.I)


def stars(value: bytes) -> bytes:
    """As many asterisks; the ends of lines stay."""
    if b"\n" in value or b"\r" in value:
        return _SIGN.sub(b"*", value)
    return b"*" * len(value)


def without_credentials(value: bytes, *, keep_query: bool = True, is_target: bool = False) -> bytes:
    """A value of one line without credentials, and without `keep_query` without queries of URLs.

    `is_target`: it is what a request line asks for, blanks among it.
    """
    if not keep_query:
        value = _hidden(_TARGETS_QUERY if is_target else _QUERY, value)
    has_escapes = b"%" in value  # a look is quicker than a pattern
    if b"@" in value or has_escapes:
        value = _without_passwords(value, is_target)
    if has_escapes or any(sign in value for sign in _SIGNS_OF_PARAMETERS):
        value = _without_parameters(value)
    small = value.lower()
    if any(word in small for word in _SCHEMES):
        value = _hidden(_SCHEME, value)
    return _hidden(_JWT, value) if b"eyJ" in value else value


def _without_parameters(value: bytes) -> bytes:
    """What says that something is a value comes first: it is rarer than names."""
    parts, at = [], 0
    while match := _IS.search(value, at):
        begin, end = match.span()
        name = _NAME.search(value[max(at, begin - _MOST_OF_NAME) : begin])
        is_secret = name is not None and _is_secret(name[0])
        stop = value.find(b"&", end) if is_secret else end
        stop = len(value) if stop < 0 else stop
        parts += [value[at:end], stars(value[end:stop]) if is_secret else b""]
        at = stop
    return b"".join([*parts, value[at:]])


@lru_cache(maxsize=1000)
def _is_secret(name: bytes) -> bool:
    """Whether that before a value says that it lets somebody in; in doubt it does."""
    if _LETTER.search(name):
        return True
    plain = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode("ascii")), name)
    return is_secret_name(plain.decode("latin-1"))


def _without_passwords(value: bytes, is_target: bool) -> bytes:
    if _ANY_AT.search(value) is None:
        return value
    value = _hidden(_USER_INFO, value)
    if not is_target:
        return _RUN.sub(lambda run: _without_pair(run[0]), value)
    if _ABSOLUTE.match(value) is None:
        size = len(re.split(rb"[/?#\\]", value, maxsplit=1)[0])
        value = _stars_to_last_at(value[:size], 0) + value[size:]
    return _without_pair(value)


def _without_pair(run: bytes) -> bytes:
    pair = _PAIR.search(run)
    return run if pair is None else _stars_to_last_at(run, pair.start(1))


def _stars_to_last_at(run: bytes, begin: int) -> bytes:
    last = begin
    for at in _ANY_AT.finditer(run, begin):
        last = at.start()
    return run[:begin] + stars(run[begin:last]) + run[last:]


def _hidden(pattern: re.Pattern[bytes], value: bytes) -> bytes:
    """The second group of each match is not to be seen."""
    return pattern.sub(lambda match: match[1] + stars(match[2]), value)
