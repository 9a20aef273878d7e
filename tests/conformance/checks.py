"""What OPTIONS answers and ICAP heads must hold, as checks that cases name."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

from tests.conformance.model import Check
from tests.conformance.strict import Answer

_HTTP_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
_TRANSFERS = ("transfer-preview", "transfer-ignore", "transfer-complete")
_DEFAULT_TTL = 3600


def is_status(*statuses: int) -> Check:
    """The answer has one of these."""

    def check(answer: Answer, _: Sequence[Answer]) -> str | None:
        return None if answer.status in statuses else f"status {answer.status}"

    return check


def has(name: str) -> Check:
    """The field is there and not empty."""

    def check(answer: Answer, _: Sequence[Answer]) -> str | None:
        return None if any(answer.values(name)) else f"no {name}"

    return check


def lacks(name: str) -> Check:
    """The field is not there."""

    def check(answer: Answer, _: Sequence[Answer]) -> str | None:
        return f"{name} is there" if answer.values(name) else None

    return check


def number(name: str) -> Check:
    """If the field is there, it is a plain number."""

    def check(answer: Answer, _: Sequence[Answer]) -> str | None:
        wrong = [v for v in answer.values(name) if not (v.isascii() and v.isdigit())]
        return f"{name}: {wrong[0]}" if wrong else None

    return check


def methods_known(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Methods names REQMOD or RESPMOD, and nothing unknown."""
    methods = answer.items("methods")
    known = {"REQMOD", "RESPMOD", "OPTIONS"}
    return None if methods and set(methods) <= known else f"Methods: {methods}"


def methods_without_options(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Methods does not name OPTIONS."""
    return "Methods lists OPTIONS" if "OPTIONS" in answer.items("methods") else None


def one_method(answer: Answer, _: Sequence[Answer]) -> str | None:
    """The service offers one modification method."""
    methods = set(answer.items("methods")) - {"OPTIONS"}
    return None if len(methods) == 1 else f"Methods: {sorted(methods)}"


def istag(answer: Answer, _: Sequence[Answer]) -> str | None:
    """ISTag is there once, quoted, of 1 to 32 bytes."""
    tags = answer.values("istag")
    good = len(tags) == 1 and re.fullmatch(r'"[^"]{1,32}"', tags[0])
    return None if good else f"ISTag: {tags}"


def same_istag(answer: Answer, earlier: Sequence[Answer]) -> str | None:
    """The same ISTag as all before."""
    tags = {tuple(a.values("istag")) for a in [*earlier, answer]}
    return None if len(tags) == 1 else "ISTag differs between answers"


def one_default_transfer(answer: Answer, _: Sequence[Answer]) -> str | None:
    """If a Transfer field is sent, exactly one holds `*`."""
    sent = [name for name in _TRANSFERS if answer.values(name)]
    stars = [name for name in sent if "*" in answer.items(name)]
    return f"{len(stars)} Transfer fields with *" if sent and len(stars) != 1 else None


def transfers_disjoint(answer: Answer, _: Sequence[Answer]) -> str | None:
    """No file type is in two Transfer fields."""
    types = [item for name in _TRANSFERS for item in answer.items(name)]
    twice = {item for item in types if types.count(item) > 1}
    return f"in two Transfer fields: {sorted(twice)}" if twice else None


def transfer_preview_with_preview(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Who offers previews says for what."""
    offered = bool(answer.values("preview"))
    return (
        "Preview without Transfer-Preview" if offered and not answer.values(_TRANSFERS[0]) else None
    )


def allow_numbers(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Allow lists status codes only."""
    odd = [item for item in answer.items("allow") if not item.isdigit()]
    return f"Allow: {odd}" if odd else None


def date_format(answer: Answer, _: Sequence[Answer]) -> str | None:
    """If Date is there, it is an HTTP date of today's form."""
    odd = [value for value in answer.values("date") if not _HTTP_DATE.fullmatch(value)]
    return f"Date: {odd[0]}" if odd else None


def date_now(answer: Answer, _: Sequence[Answer]) -> str | None:
    """If Date is there, it is not older than Options-TTL, nor ahead by as much."""
    ttl = next((int(v) for v in answer.values("options-ttl") if v.isdigit()), _DEFAULT_TTL)
    for value in answer.values("date"):
        try:
            age = time.time() - parsedate_to_datetime(value).timestamp()
        except ValueError:
            return f"Date: {value}"
        if abs(age) > ttl:
            return f"Date is {age:.0f} s off"
    return None


def options_encapsulated(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Encapsulated is `null-body=0` or `opt-body=0`, or is not there."""
    right = (None, (("null-body", 0),), (("opt-body", 0),))
    return None if answer.entries in right else f"Encapsulated: {answer.values('encapsulated')}"


def opt_body_type(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Opt-body-type is there exactly with an opt-body."""
    has_type, has_body = bool(answer.values("opt-body-type")), answer.body is not None
    return None if has_type == has_body else "Opt-body-type and opt-body do not go together"


def encapsulated_last(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Encapsulated is the last field, in its usual spelling."""
    name = answer.fields[-1][0] if answer.fields else ""
    return None if name == "Encapsulated" else f"the last field is {name}"


def null_body(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Encapsulated is there and says that nothing is encapsulated."""
    good = answer.entries == (("null-body", 0),)
    return None if good else f"Encapsulated: {answer.values('encapsulated')}"


def says_close(answer: Answer, _: Sequence[Answer]) -> str | None:
    """Connection: close."""
    return None if answer.closes else "the connection ends without Connection: close"


def only_on(status: int, inner: Check) -> Check:
    """The check, where the answer has this status."""

    def check(answer: Answer, earlier: Sequence[Answer]) -> str | None:
        return inner(answer, earlier) if answer.status == status else None

    return check
