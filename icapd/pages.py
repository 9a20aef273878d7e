"""Pages that a user sees instead of an object."""

from __future__ import annotations

import html
from dataclasses import dataclass

from bridge.core import Case, Decision, Item, Outcome, OutcomeKind
from icapd.protocol import clean_value
from icapd.protocol.http import format_response

RETRY_AFTER_SECONDS = 10

_REASONS = {
    OutcomeKind.DETECT: "Kaspersky KATA found a threat in this object.",
    OutcomeKind.ERROR: "This object could not be judged.",
    OutcomeKind.TIMEOUT: "Kaspersky KATA gave no verdict on this object in time.",
    OutcomeKind.OVERSIZE: "This object is larger than what is scanned here.",
    OutcomeKind.EXCLUDED: "A rule stops this object.",
    OutcomeKind.UNAVAILABLE: "This object could not be scanned now.",
    OutcomeKind.PENDING: "This object is still being scanned. Try again in a moment.",
    OutcomeKind.NOT_DETECTED: "A rule stops this object.",
}
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 12vh auto; }}
body {{ padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; border-left: .4rem solid {colour}; padding-left: .8rem; }}
dt {{ font-weight: 600; }} dd {{ margin: 0 0 .6rem; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{reason}</p>
<dl>{rows}</dl>
<p>If you need help, tell your administrator the case number.</p>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP response of our own, and the ICAP fields that say why."""

    head: bytes
    body: bytes
    icap_fields: list[tuple[str, str]]


def make_page(case: Case, item: Item | None, outcome: Outcome, decision: Decision) -> Page:
    """The page for a case that is not passed: 403 for a block, 503 for `hold`."""
    held = decision is Decision.HOLD
    title = "Please wait" if held else "Access blocked"
    rows = [("Object", case.name)]
    if outcome.threat:
        rows.append(("Threat", outcome.threat))
    if item is not None:
        rows.append(("Size", f"{item.size} bytes"))
        rows.append(("SHA-256", item.sha256))
    rows.append(("Case", case.id))
    body = _PAGE.format(
        title=title,
        colour="#d97706" if held else "#c0262d",
        reason=html.escape(_REASONS[outcome.kind]),
        rows="".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in rows),
    ).encode("utf-8", "replace")
    fields = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if held:
        fields.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
    status, reason = (503, "Service Unavailable") if held else (403, "Forbidden")
    return Page(format_response(status, reason, fields), body, _icap_fields(outcome))


def _icap_fields(outcome: Outcome) -> list[tuple[str, str]]:
    """What ICAP clients act on (rspamd needs the last semicolon of X-Infection-Found)."""
    fields = [("X-Response-Info", "blocked")]
    if outcome.kind is OutcomeKind.DETECT:
        threat = clean_value((outcome.threat or "Detected by KATA").replace(";", ","))
        fields += [
            ("X-Infection-Found", f"Type=0; Resolution=2; Threat={threat};"),
            ("X-Virus-ID", threat),
        ]
    else:
        fields.append(("X-Block-Reason", clean_value(_REASONS[outcome.kind])))
    return fields
