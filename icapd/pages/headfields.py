"""The HTTP head of a page, and the ICAP fields beside it. Pure."""

from __future__ import annotations

from http import HTTPStatus

from bridge.core import OutcomeKind
from icapd.pages.facts import Facts
from icapd.protocol import clean_value
from icapd.protocol.http import format_response

# No frame-ancestors: a download in a hidden frame would never get past its wait page.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'"
)


def status_words(status: int) -> str:
    """The reason phrase of a status (RFC 9110 15), or an empty string."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def http_head(
    status: int, kind: str, language: str, *, length: int | None, retry_after: int | None
) -> bytes:
    """The head of an answer of ours. `length`: of its body, None while its end is not known."""
    fields = [
        ("Content-Type", kind),
        ("Content-Language", language),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", _POLICY),
    ]
    if length is not None:
        fields.append(("Content-Length", str(length)))
    if retry_after is not None:
        fields.append(("Retry-After", str(retry_after)))
    return format_response(status, status_words(status), fields)


def icap_fields(facts: Facts, reason: str) -> list[tuple[str, str]]:
    """What ICAP clients act on, in English (rspamd needs X-Infection-Found's last semicolon)."""
    fields = [("X-Response-Info", "blocked")]
    if facts.kind is OutcomeKind.DETECT:
        threat = clean_value((facts.threat or "Detected by KATA").replace(";", ","))
        fields += [
            ("X-Infection-Found", f"Type=0; Resolution=2; Threat={threat};"),
            ("X-Virus-ID", threat),
        ]
    else:
        fields.append(("X-Block-Reason", clean_value(reason)))
    return fields
