"""Finds given values in a text: as they are, escaped for URLs, JSON, HTML or by Python, in Base64.

Bytes of a value are those of UTF-8, or of Latin-1 where it has them all.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Collection, Iterable

REMOVED = "[removed]"

_REMOVED_LINE = "[removed: a secret in a form that is not known]"
# each alternative begins with a sign, and not with a group: so all else is skipped fast
_SIMPLE = (
    r"\\(?P<unicode>\\*u[0-9a-fA-F]{4}(?:\\+u[0-9a-fA-F]{4})*)"
    r"|\\(?P<slashes>\\*)"
    r"|%(?P<percent>(?:25)*[0-9a-fA-F]{2}(?:%(?:25)*[0-9a-fA-F]{2})*)"
    r"|&(?P<entity>(?:amp|lt|gt|quot|apos|#[0-9]{1,6}|#x[0-9a-fA-F]{1,5});)"
)
_BYTES = (
    r"\\(?P<bytes>\\*(?:x[0-9a-fA-F]{2}|[0-3][0-7]{2})(?:\\+(?:x[0-9a-fA-F]{2}|[0-3][0-7]{2}))*)"
    r"|\\(?P<wide>\\*U[0-9a-fA-F]{8})|"
)
_ESCAPED = re.compile(_SIMPLE)
_ESCAPED_BYTES = re.compile(_BYTES + _SIMPLE)  # as Python, C and the mount table write them
_HEX = re.compile(r"%(?:25)*([0-9a-fA-F]{2})")
_UNIT = re.compile(r"u([0-9a-fA-F]{4})")
_BYTE = re.compile(r"x([0-9a-fA-F]{2})|([0-7]{3})")
_ESCAPES = re.compile(r"[\\%&]")
_MORE_READINGS = re.compile(r"\\[xU0-3]|%(?:25)*[89A-Fa-f]")
_SIGN = "[A-Za-z0-9+/_-]"  # of Base64, in both of its alphabets
_RUN = rf"(?:{_SIGN}|%(?:25)*2[BbFf]|\\+/|\\+u002[BbFf])*"
_END = r"(?:=|%(?:25)*3[Dd]|\\+u003[Dd])*"
_SKIPPED = (0, 2, 3)  # signs of Base64 that bytes before share in, by how many these are
_LETTERS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}  # behind a backslash
_LATIN = 256
_LEAST_CORE = 4
_LEAST_PLAIN = 3  # less would be found everywhere
_DEEPEST = 5
_KEY_PIECE = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")


def unescaped(text: str) -> str:
    """`text` without the escapes of URLs, JSON and HTML, as deep as they go, and backslashes."""
    return _unescaped(text, _ESCAPED, _plain)


def readings(text: str) -> set[str]:
    """What `text` may be unescaped: as above, and with bytes, which are of UTF-8 or Latin-1."""
    found = {unescaped(text)}
    if _MORE_READINGS.search(text):
        found.add(_unescaped(text, _ESCAPED_BYTES, _plain))
        found.add(_unescaped(text, _ESCAPED_BYTES, _plain_latin))
    return found


def _unescaped(text: str, escapes: re.Pattern[str], plain: Callable[[re.Match[str]], str]) -> str:
    for _ in range(_DEEPEST):
        before = text
        text = escapes.sub(plain, text) if _ESCAPES.search(text) else text
        if text == before:
            break
    return text


def _plain_latin(match: re.Match[str]) -> str:
    if match.lastgroup == "bytes":
        return _bytes_of(match[0]).decode("latin-1")
    if match.lastgroup == "percent":
        return bytes.fromhex("".join(_HEX.findall(match[0]))).decode("latin-1")
    return _plain(match)


def _bytes_of(escapes: str) -> bytes:
    pairs = _BYTE.findall(escapes)
    return bytes(int(digits, 16) if digits else int(octal, 8) for digits, octal in pairs)


def _plain(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match[0]
    if kind == "bytes":
        return _bytes_of(found).decode("utf-8", "replace")
    if kind == "wide":
        return chr(min(int(found[-8:], 16), 0x10FFFF))
    if kind == "unicode":
        units = bytes.fromhex("".join(_UNIT.findall(found)))
        return units.decode("utf-16-be", "replace")
    if kind == "percent":
        return bytes.fromhex("".join(_HEX.findall(found))).decode("utf-8", "replace")
    if kind == "entity":
        return html.unescape(found)
    return ""  # how many there are depends on how often it was escaped


class Needles:
    """Values to be found."""

    def __init__(self, values: Iterable[str]) -> None:
        ordered = sorted(values, key=len, reverse=True)
        # what is a part of our own word would be found for ever
        self._needles = [_Needle(each) for each in ordered if each not in REMOVED]

    def removed_from(self, text: str) -> str:
        """`text` without them."""
        found = _those_in(text, self._needles)
        if not found:
            return text
        text = "\n".join(_cleaned(line, found) for line in text.split("\n"))
        return _cleaned(text, found)  # one may hold a line's end itself


def _cleaned(line: str, needles: list[_Needle]) -> str:
    found = _those_in(line, needles)
    for needle in found:
        line = needle.removed_from(line)
    if found and _those_in(line, found):  # an escape that nobody thought of
        return _REMOVED_LINE
    return line


def _those_in(text: str, needles: list[_Needle]) -> list[_Needle]:
    plain = "\n".join(readings(text))
    standard = plain.replace("-", "+").replace("_", "/")
    return [needle for needle in needles if needle.is_in(text, plain, standard)]


class _Needle:
    def __init__(self, value: str) -> None:
        self._value = value
        plain = readings(value) | readings(value.replace(" ", "+"))
        plain |= readings(value.translate(str.maketrans("\n\r\t\b\f", "nrtbf")))
        self._plain = {each for each in plain if len(each) >= _LEAST_PLAIN}
        encoded = {core for data in _encoded(value) for core in _cores(data)}
        self._cores = sorted(core for core in encoded if len(core) >= _LEAST_CORE)
        self._patterns: list[re.Pattern[str]] = []

    def is_in(self, text: str, plain: str, standard: str) -> bool:
        """`plain`: the text's readings; `standard`: that in the alphabet of RFC 4648, section 4."""
        if self._value in text or any(each in plain for each in self._plain):
            return True
        return any(core in standard for core in self._cores)

    def removed_from(self, line: str) -> str:
        self._patterns = self._patterns or list(self._compiled())
        for pattern in self._patterns:
            line = pattern.sub(REMOVED, line)
        return line

    def _compiled(self) -> Iterable[re.Pattern[str]]:
        exact = "".join(_any_form(sign) for sign in self._value)
        if _KEY_PIECE.fullmatch(self._value):  # what is beside it in a line is of the key, too
            yield _around(_base64_pattern(self._value.rstrip("=")))
        yield re.compile(exact)
        for core in map(_base64_pattern, self._cores):
            yield _around(core)
            yield re.compile(core)


def _around(core: str) -> re.Pattern[str]:
    """The whole token: a rest of it would tell a rest of what it holds."""
    return re.compile(rf"(?<!{_SIGN}){_RUN}{core}{_RUN}{_END}")


def _encoded(value: str) -> set[bytes]:
    """The bytes that it may be."""
    found = {value.encode("utf-8", "surrogatepass")}
    if not value.isascii() and all(ord(sign) < _LATIN for sign in value):
        found.add(value.encode("latin-1"))
    return found


def _cores(value: bytes) -> Collection[str]:
    """What Base64 makes of a value, wherever in the encoded bytes it stands."""
    found = []
    for before, skipped in enumerate(_SKIPPED):
        encoded = base64.b64encode(b"\0" * before + value).decode("ascii")
        found.append(encoded[skipped : (before + len(value)) * 8 // 6])
    return found


def _any_form(sign: str) -> str:
    """A pattern for one sign, plain or escaped."""
    every = sorted(_encoded(sign))
    percent = ("".join(f"%(?:25)*{byte:02x}" for byte in data) for data in every)
    escaped = "|".join(
        "".join(rf"\\+(?:x{byte:02x}|{byte:03o})" for byte in data)
        for data in {*every, *([bytes([ord(sign)])] if ord(sign) < _LATIN else [])}
    )
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    unicode = "".join(rf"\\+u{units[at : at + 4]}" for at in range(0, len(units), 4))
    plain = rf"\\*{re.escape(sign)}" if sign in "\"'/" else re.escape(sign)
    forms = [r"\\+" if sign == "\\" else plain, f"(?i:{'|'.join(percent)})", f"(?i:{unicode})"]
    forms += [f"(?i:{escaped})", rf"(?i:\\+U{ord(sign):08x})"]
    forms += [rf"&#0*{ord(sign)};", rf"(?i:&#x0*{ord(sign):x};)"]
    forms += [r"\+"] if sign == " " else []
    forms += [rf"\\+{_LETTERS[sign]}"] if sign in _LETTERS else []
    if sign in "&<>\"'":
        forms += [re.escape(html.escape(sign))]
    return f"(?:{'|'.join(forms)})"


def _base64_pattern(core: str) -> str:
    forms = {"+": r"(?:[+-]|%(?:25)*2[Bb])", "/": r"(?:\\*/|_|%(?:25)*2[Ff]|\\+u002[Ff])"}
    return "".join(forms.get(sign, sign) for sign in core)
