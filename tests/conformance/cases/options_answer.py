"""Each field of the answer to OPTIONS (RFC 3507 4.10.2)."""

from __future__ import annotations

from tests.conformance import checks
from tests.conformance.build import (
    MUST,
    PRACTICE,
    SHOULD,
    case,
    options,
    served,
)
from tests.conformance.model import Case, Check, Level


def _field(name: str, section: str, level: Level, requirement: str, check: Check) -> Case:
    return case(f"options-{name}", section, level, requirement, options(expect=served(check)))


CASES = (
    _field(
        "answered",
        "4.10",
        MUST,
        "OPTIONS of a service is answered with 200.",
        checks.is_status(200),
    ),
    _field(
        "methods", "4.10.2", MUST, "The answer names the service's methods.", checks.methods_known
    ),
    _field(
        "methods-without-options",
        "4.10.2",
        MUST,
        "OPTIONS itself is not among the methods.",
        checks.methods_without_options,
    ),
    _field(
        "one-method", "6.4", SHOULD, "One URI offers one way of modification.", checks.one_method
    ),
    _field(
        "istag", "4.7", MUST, "The answer has one ISTag, quoted, of at most 32 bytes.", checks.istag
    ),
    _field(
        "ttl",
        "4.10.2",
        MUST,
        "Options-TTL, if sent, is a number of seconds.",
        checks.number("options-ttl"),
    ),
    _field(
        "max-connections",
        "4.10.2",
        MUST,
        "Max-Connections, if sent, is a number.",
        checks.number("max-connections"),
    ),
    _field(
        "preview",
        "4.10.2",
        MUST,
        "Preview, if sent, is a number of bytes.",
        checks.number("preview"),
    ),
    _field(
        "one-default-transfer",
        "4.10.2",
        MUST,
        "If file types are given by Transfer fields, exactly one has the wildcard.",
        checks.one_default_transfer,
    ),
    _field(
        "transfers-disjoint",
        "4.10.2",
        MUST,
        "No file type is in two Transfer fields.",
        checks.transfers_disjoint,
    ),
    _field(
        "transfer-preview",
        "practice",
        PRACTICE,
        "Preview comes with Transfer-Preview: Squid sends no previews otherwise.",
        checks.transfer_preview_with_preview,
    ),
    _field(
        "allow-numbers",
        "practice",
        PRACTICE,
        "Allow lists numbers only unless trailers were offered: g3proxy reads each as one.",
        checks.allow_numbers,
    ),
    _field(
        "date-format",
        "4.10.2",
        MUST,
        "Date, if sent, is a date as HTTP/1.1 writes it.",
        checks.date_format,
    ),
    _field(
        "date-now",
        "practice",
        PRACTICE,
        "Date is not older than Options-TTL: Squid takes such a server for down.",
        checks.date_now,
    ),
    _field(
        "encapsulated",
        "errata 4.1",
        MUST,
        "The answer says null-body=0 or opt-body=0, or has no body and says nothing.",
        checks.options_encapsulated,
    ),
    _field(
        "body-type",
        "4.10.2",
        MUST,
        "Opt-body-type comes with an opt-body and only then.",
        checks.opt_body_type,
    ),
)
