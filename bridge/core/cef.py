"""Records as CEF, for a SIEM.

Source: "Implementing ArcSight Common Event Format" (CEF:0) and its dictionary of keys. Keys, in
the order in which they stand (should a collector cut lines, what matters most is left):

rt time, dvchost this host, externalId case, outcome, act decision, fileHash sha256, cat door,
fsize size, cn1 waited_ms, reason rule, cs1 threat, cs2 technology, cs3 mode, cs4 scan_id, cs5 md5,
cs6 source, flexString1 late, src client_ip (c6a2 for IPv6), flexString2 proxy, requestMethod
method, sourceServiceName service or folder, fname name, suser user or by, filePath where the file
is, oldFilePath where it was before it was moved, dhost the host of the url, request url, msg the
note and whatever else the context holds.

KATA's own messages say `fName`, which is no dictionary name; `fname` is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from bridge.core.model import DELETED_BY_HAND, RELEASED_BY_HAND, Decision, OutcomeKind
from bridge.core.printable import printable

MAX_BYTES = 32_768
MIN_BYTES = 2048
_SHORT = 128  # bytes of a value that is never longer, unless something is wrong
_CUT = "…"

_EVENTS = {
    OutcomeKind.NOT_DETECTED: ("Nothing detected", 0),
    OutcomeKind.DETECT: ("Threat detected", 8),
    OutcomeKind.ERROR: ("Not judged: error", 6),
    OutcomeKind.TIMEOUT: ("Not judged: no verdict in time", 6),
    OutcomeKind.UNAVAILABLE: ("Not judged: KATA unavailable", 6),
    OutcomeKind.OVERSIZE: ("Not judged: too large", 4),
    OutcomeKind.EXCLUDED: ("Not judged: excluded", 2),
    OutcomeKind.PENDING: ("Verdict pending", 3),
}
# what a person does with a file in quarantine is no new threat, so it has a signature of its own
_BY_HAND = {
    RELEASED_BY_HAND: ("released", "Released from quarantine by hand"),
    DELETED_BY_HAND: ("deleted", "Deleted from quarantine by hand"),
}
_UNKNOWN = ("Not judged: unknown outcome", 6)
_DELETED = 3  # the severity of a file that a person deletes
_LET_THROUGH = 10  # the severity of a threat that was not kept back
_SYSLOG = {_LET_THROUGH: 1, 8: 4, 6: 3, 0: 6}  # alert, warning, error, informational; else notice
_NOTICE = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAPPED = {
    *("service", "proxy", "client_ip", "user", "method", "url", "folder", "path", "moved_to"),
    "by",
}


class _Field(NamedTuple):
    key: str
    value: str  # not yet escaped
    is_long: bool


def format_cef(
    record: Mapping[str, object], *, version: str, host: str, max_bytes: int = MAX_BYTES
) -> str:
    """One record (see `bridge.core.records`) as a line of CEF, without a line end.

    At most `max_bytes` (2,048 or more) in UTF-8: the longest of the long values are cut for that,
    which a `…` at their end shows. Control signs other than line ends, and lone surrogates, become
    text (`\\x1b`). ValueError where `max_bytes` is too small.
    """
    if max_bytes < MIN_BYTES:
        raise ValueError(f"{max_bytes} bytes are too few for a line of CEF")
    header = _header(record, version)
    fields = list(_fields(record, host))
    names = _size(header) + sum(len(each.key) + len("= ") for each in fields)
    sizes = [(each.is_long, _size(_escape(each.value))) for each in fields]
    short = sum(min(size, _SHORT) for is_long, size in sizes if not is_long)
    limit = _limit([size for is_long, size in sizes if is_long], max_bytes - names - short)
    return header + " ".join(
        f"{each.key}={_cut(each.value, limit if each.is_long else _SHORT)}" for each in fields
    )


def syslog_severity(record: Mapping[str, object]) -> int:
    """The severity by RFC 5424, 6.2.1.

    1 (alert) for a threat that was let through, 4 (warning) for one that was not, 3 (error) where
    nobody judged, 6 (informational) for nothing detected, else 5 (notice).
    """
    return _SYSLOG.get(_event(record)[1], _NOTICE)


def _event(record: Mapping[str, object]) -> tuple[str, int]:
    """The name of the event and its severity, 0 to 10."""
    outcome = _text(record.get("outcome"))
    if outcome not in _EVENTS:
        return _UNKNOWN
    name, severity = _EVENTS[OutcomeKind(outcome)]
    kept_back = record.get("decision") in (Decision.BLOCK, Decision.HOLD)
    if outcome == OutcomeKind.DETECT and not kept_back:
        severity = _LET_THROUGH
    by_hand = _BY_HAND.get(_text(record.get("rule")))
    if by_hand is None:
        return name, severity
    return by_hand[1], _DELETED if kept_back else severity


def _header(record: Mapping[str, object], version: str) -> str:
    name, severity = _event(record)
    late = record.get("late") is True
    what, _ = _BY_HAND.get(_text(record.get("rule")), (_text(record.get("outcome")), ""))
    signature = f"{'late_' if late else ''}{what or 'unknown'}"
    fields = [version, signature, f"{name} late" if late else name]
    inner = "|".join(_cut(each, _SHORT, _HEADER_ESCAPES) for each in fields)
    return f"CEF:0|katabridge|katabridge|{inner}|{severity}|"


def _fields(record: Mapping[str, object], host: str) -> Iterator[_Field]:
    """All fields that have a value, in their order."""
    context = record.get("context")
    context = context if isinstance(context, Mapping) else {}
    for is_long, pairs in (
        (False, _short_pairs(record, host)),
        (True, _labelled_pairs(record)),
        (True, _context_pairs(record, context)),
    ):
        for key, value in pairs:
            text = _text(value)
            if text:
                yield _Field(key, text, is_long and not key.endswith("Label"))


def _short_pairs(record: Mapping[str, object], host: str) -> Iterator[tuple[str, object]]:
    yield "rt", _milliseconds(record.get("time"))
    yield "dvchost", host
    yield "externalId", record.get("case")
    yield "outcome", record.get("outcome")
    yield "act", record.get("decision")
    yield "fileHash", record.get("sha256")
    yield "cat", record.get("door")
    yield "fsize", record.get("size")
    yield from _labelled("cn1", "Waited ms", record.get("waited_ms"))


def _labelled_pairs(record: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    yield "reason", record.get("rule") or record.get("detail")
    yield from _labelled("cs1", "Threat", record.get("threat"))
    yield from _labelled("cs2", "Technology", record.get("technology"))
    yield from _labelled("cs3", "Mode", record.get("mode"))
    yield from _labelled("cs4", "Scan ID", record.get("scan_id"))
    yield from _labelled("cs5", "MD5", record.get("md5"))
    yield from _labelled("cs6", "Verdict source", record.get("source"))
    yield from _labelled("flexString1", "Late", "true" if record.get("late") is True else None)


def _context_pairs(
    record: Mapping[str, object], context: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    yield from _client(_text(context.get("client_ip")))
    yield from _labelled("flexString2", "Proxy", context.get("proxy"))
    yield "requestMethod", context.get("method")
    yield "sourceServiceName", context.get("service") or context.get("folder")
    yield "fname", record.get("name")
    yield "suser", context.get("user") or context.get("by")
    yield "filePath", context.get("moved_to") or context.get("path")
    yield "oldFilePath", context.get("path") if context.get("moved_to") else None
    yield "dhost", _url_host(_text(context.get("url")))
    yield "request", context.get("url")
    rest = {key: _text(value) for key, value in context.items() if key not in _MAPPED}
    yield "msg", "; ".join(f"{key}: {value}" for key, value in rest.items() if value)


def _labelled(key: str, label: str, value: object) -> Iterator[tuple[str, object]]:
    if _text(value):
        yield key, value
        yield f"{key}Label", label


def _client(address: str) -> Iterator[tuple[str, object]]:
    """CEF:0 has IPv4 addresses only in `src`."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return
    if version == 4:
        yield "src", address
    else:
        yield from _labelled("c6a2", "Source IPv6 Address", address)


def _url_host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _milliseconds(time: object) -> int | None:
    """Milliseconds since the epoch of an ISO 8601 time with a zone."""
    try:
        moment = datetime.fromisoformat(_text(time))
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(milliseconds=1) if moment.tzinfo else None


def _text(value: object) -> str:
    return "" if value is None else str(value)


# -- escapes and cuts --------------------------------------------------------------------------

_ESCAPES = {"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"}
_HEADER_ESCAPES = {"\\": "\\\\", "|": "\\|", "\n": " ", "\r": " "}  # which takes one line only


def _signs(value: str, escapes: Mapping[str, str]) -> Iterator[str]:
    """What becomes of each sign. A text that stands for a sign is escaped as well."""
    for sign in value:
        known = escapes.get(sign)
        if known is not None:
            yield known
        else:
            yield sign if sign.isprintable() else printable(sign).replace("\\", "\\\\")


def _escape(value: str, escapes: Mapping[str, str] = _ESCAPES) -> str:
    if value.isprintable() and not any(sign in value for sign in escapes):
        return value
    return "".join(_signs(value, escapes))


def _cut(value: str, limit: int, escapes: Mapping[str, str] = _ESCAPES) -> str:
    """The escaped value in at most `limit` bytes; no sign and no escape is cut in half."""
    whole = _escape(value, escapes)
    if _size(whole) <= limit:
        return whole
    left = limit - _size(_CUT)
    kept = []
    for sign in _signs(value, escapes):
        left -= _size(sign)
        if left < 0:
            break
        kept.append(sign)
    return "".join([*kept, _CUT]) if limit >= _size(_CUT) else ""


def _limit(sizes: Sequence[int], budget: int) -> int:
    """The largest size to which all must be cut so that they fit; short ones leave their rest."""
    for done, size in enumerate(sorted(sizes)):
        share = max(0, budget) // (len(sizes) - done)
        if size > share:
            return share
        budget -= size
    return max(sizes, default=0)


def _size(text: str) -> int:
    return len(text.encode())
