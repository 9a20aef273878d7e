"""Who asked: the form and language of an answer of ours that they can use. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from icapd.protocol import HttpHead

_LANGUAGES_AT_MOST = 20
_PAGES = ("document", "iframe", "frame")


class Wants(Enum):
    """The form of an answer."""

    HTML = "html"
    JSON = "json"
    XML = "xml"
    SOAP = "soap"


@dataclass(frozen=True, slots=True)
class Reader:
    """What is known of who reads an answer.

    `languages`: primary subtags in lower case, the best first (RFC 9110 12.5.4). `navigation`: a
    person in front of a browser, who can be shown a page that reloads itself. `soap12`: with
    Wants.SOAP, whether it is SOAP 1.2 and not 1.1.
    """

    wants: Wants
    languages: tuple[str, ...]
    navigation: bool
    soap12: bool = False

    @classmethod
    def of(cls, request_head: HttpHead) -> Reader:
        """By the fields of a request. Whatever stands in them, this does not raise."""
        accepted = [name for name, _ in _weighed(request_head.joined("accept"))]
        sent = _media_type(request_head.field("content-type"))
        soap12 = "application/soap+xml" in (*accepted, sent)
        return cls(
            _wants(request_head, accepted, sent, soap12=soap12),
            _languages(request_head.joined("accept-language")),
            "text/html" in accepted and _navigates(request_head),
            soap12,
        )


def _wants(head: HttpHead, accepted: list[str], sent: str, *, soap12: bool) -> Wants:
    said = [*accepted, sent]
    if "text/html" in accepted:
        return Wants.HTML
    if any(map(_is_json, said)):
        return Wants.JSON
    if soap12 or head.field("soapaction") is not None:
        return Wants.SOAP
    if any(map(_is_xml, said)):
        return Wants.XML
    return Wants.HTML


def _is_json(name: str) -> bool:
    return name.endswith(("/json", "+json"))


def _is_xml(name: str) -> bool:
    """Whether it is XML as data: browsers accept image/svg+xml with every image."""
    of_data = name.startswith(("application/", "text/")) and name != "application/xhtml+xml"
    return of_data and name.endswith(("/xml", "+xml"))


def _languages(field: str | None) -> tuple[str, ...]:
    best = sorted(_weighed(field), key=lambda each: -each[1])
    primary = (name.partition("-")[0] for name, _ in best)
    plain = (name for name in primary if name.isascii() and name.isalpha() and len(name) <= 8)
    return tuple(dict.fromkeys(plain))[:_LANGUAGES_AT_MOST]


def _navigates(head: HttpHead) -> bool:
    """Whether the answer becomes what a browser's window or frame shows (Fetch Metadata)."""
    purpose = " ".join(
        head.joined(name) or "" for name in ("purpose", "x-purpose", "sec-purpose", "x-moz")
    ).lower()
    return (
        head.method == "GET"
        and (head.field("x-requested-with") or "").lower() != "xmlhttprequest"
        and (head.field("sec-fetch-mode") or "navigate").lower() == "navigate"
        and (head.field("sec-fetch-dest") or "document").lower() in _PAGES
        and "prefetch" not in purpose
        and "prerender" not in purpose
        and "preview" not in purpose
        and head.field("range") is None
    )


def _weighed(field: str | None) -> Iterator[tuple[str, float]]:
    """(name in lower case, q) of each member of a field as Accept, but those with q=0."""
    for member in (field or "").split(","):
        name, *parameters = member.lower().split(";")
        q = _q(parameters)
        if name.strip() and q > 0:
            yield name.strip(), q


def _q(parameters: list[str]) -> float:
    """The weight (RFC 9110 12.4.2); 1 where none can be read."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                q = float(value)
            except ValueError:
                return 1.0
            return q if 0 <= q <= 1 else 1.0
    return 1.0


def _media_type(field: str | None) -> str:
    return (field or "").partition(";")[0].strip().lower()
