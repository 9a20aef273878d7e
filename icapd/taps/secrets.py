"""Takes secrets out of heads, each sign of them replaced by an asterisk: nothing changes its place.

In doubt a value is a secret.
"""

from __future__ import annotations

import re

# a name that holds one of these carries what lets somebody in
_SECRET_NAMES = re.compile(
    rb"auth|bearer|cookie|credential|csrf|jwt|key|passw|pwd|saml|secret|session|signature|ticket"
    rb"|token|xsrf|\b(?:otp|sid)\b",
    re.IGNORECASE,
)
# who asks, and not what proves it
_USER_NAMES = frozenset({b"x-authenticated-user", b"x-authenticated-groups"})
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_NAME = re.compile(rb"[ \t]*([^\s:]+)[ \t]*:[ \t]*")
_USER_INFO = re.compile(rb"(?<=//)[^\s/?#]+(?=@)")
_AUTHORITY = re.compile(rb"(?<=\A[A-Za-z]{7} )[^\s/?#]+(?=@)")  # of CONNECT, without slashes
_QUERY = re.compile(rb"(?<=\?)[^\s\"<>]+")
_LAST_WORD = re.compile(rb" (?:HTTP|ICAP)/[0-9.]*\Z")


def without_secrets(heads: bytes, *, keep_query: bool = True) -> bytes:
    """Heads, whole or not, without what must not be seen; of the same length.

    Without `keep_query` the queries of URLs are taken out, too.
    """
    hidden, is_secret, ended = [], False, True
    for line in _LINE.findall(heads):
        text = line.rstrip(b"\r\n")
        # a folded line, and what follows a bare CR, may go on with a value
        if ended and not text.startswith((b" ", b"\t")):
            is_secret, masked = _hide(text, keep_query)
        elif is_secret:
            value = text.lstrip(b" \t")
            masked = text[: len(text) - len(value)] + _stars(value)
        else:
            more, masked = _hide(text, keep_query)
            is_secret = is_secret or (more and not ended)
        ended = line.endswith(b"\n")
        hidden.append(masked + line[len(text) :])
    return b"".join(hidden)


def _hide(line: bytes, keep_query: bool) -> tuple[bool, bytes]:
    """Whether the line's value is a secret, and the line without secrets."""
    name = _NAME.match(line)
    if name is not None and _is_secret(name[1]):
        return True, line[: name.end()] + _stars(line[name.end() :])
    line = _USER_INFO.sub(_starred, _AUTHORITY.sub(_starred, line))
    return False, line if keep_query else _without_query(line)


def _is_secret(name: bytes) -> bool:
    return _SECRET_NAMES.search(name) is not None and name.lower() not in _USER_NAMES


def _without_query(line: bytes) -> bytes:
    version = _LAST_WORD.search(line)
    if version is None:
        return _QUERY.sub(_starred, line)
    # a start line: its URL may hold blanks
    before, mark, query = line[: version.start()].partition(b"?")
    return before + mark + _stars(query) + version[0]


def _starred(match: re.Match[bytes]) -> bytes:
    return _stars(match[0])


def _stars(value: bytes) -> bytes:
    return b"*" * len(value)
