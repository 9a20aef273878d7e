"""One request with the HTTP message that it is about, and what can be read off their heads."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.core import Case, Door, Item, LogSettings, Mode, Outcome, OutcomeKind, Source
from icapd.context import client_ip, log_url, object_name, origin_of, user_name
from icapd.names import UNNAMED
from icapd.protocol import HttpHead, Request

_NO_BODY_STATUS = (204, 205, 304)
_WHOLE = re.compile(r"bytes 0-(\d{1,15})/(\d{1,15})")
RANGE_FIELDS = ("Range", "If-Range")


@dataclass(frozen=True, slots=True)
class Message:
    """`carrying` is the HTTP head that the body belongs to: of the response in RESPMOD."""

    request: Request
    http_request: HttpHead
    carrying: HttpHead

    @classmethod
    def of(cls, request: Request) -> Message:
        """Take a REQMOD or RESPMOD apart."""
        asked = HttpHead(request.request_head)
        is_response = request.method == "RESPMOD"
        return cls(request, asked, HttpHead(request.response_head) if is_response else asked)

    @property
    def is_response(self) -> bool:
        """Whether a response is judged, not a request."""
        return self.request.method == "RESPMOD"

    @property
    def has_body(self) -> bool:
        """Whether a body comes, if perhaps an empty one."""
        return self.request.encapsulated.has_body

    def new_case(self, service: str, mode: Mode, proxy: str) -> Case:
        """A case that nothing is known of yet but its door."""
        return Case(Door.ICAP, mode, UNNAMED, {"service": service, "proxy": proxy})

    def describe(self, case: Case, logs: LogSettings, *, origin: bool) -> None:
        """Tell the case who the user is and what is asked for; with `origin` for rules, too."""
        head, carrying = self.http_request, self.carrying
        case.name = object_name(head, carrying)
        case.size = carrying.content_length
        case.context |= {
            "client_ip": client_ip(self.request.fields),
            "user": user_name(self.request.fields),
            "method": head.method or None,
            "url": log_url(head.url, logs.urls == "full") or None,
        }
        if origin:
            case.origin = origin_of(head, carrying, case.context["client_ip"], case.name)

    @property
    def body_withheld(self) -> bool:
        """Whether the head announces a body that the proxy did not send (UserGate's default)."""
        carrying = self.carrying
        if self.is_response:
            status = carrying.status
            if status is not None and (status in _NO_BODY_STATUS or status < 200):
                return False
            if self.http_request.method in ("HEAD", "CONNECT"):
                return False
            # without a length a body ends with its connection: a proxy may have unchunked it
            if status is not None and not 300 <= status < 400 and carrying.content_length is None:
                return True
        return carrying.announces_body

    @property
    def asks_for_a_range(self) -> bool:
        """Whether a request asks for a part (RFC 9110 14.2)."""
        return not self.is_response and self.carrying.field("range") is not None

    @property
    def is_part(self) -> bool:
        """Whether a response is a part of something (RFC 9110 15.3.7), and not all of it."""
        if not self.is_response or self.carrying.status != 206:
            return False
        match = _WHOLE.fullmatch((self.carrying.joined("content-range") or "").strip())
        return match is None or int(match[1]) + 1 != int(match[2])

    def short_body(self, item: Item) -> str | None:
        """Squid ends a body in good order even when the origin broke off."""
        length = self.carrying.content_length
        if length is None or item.size >= length:
            return None
        return f"judged on a part: {item.size} of {length} bytes arrived"


PART = Outcome(
    OutcomeKind.ERROR,
    Source.RULE,
    "a part of an object (HTTP 206), which cannot be judged by itself (icap.ranges)",
    rule="range",
)
