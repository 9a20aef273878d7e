"""What requests that came whole ask for, read step by step for all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bridge.core import Case, Core, Door, Mode, Origin
from icapd.channel import Channel
from icapd.context import client_ip, origin_of, user_name
from icapd.glance import Glance, glance
from icapd.protocol import HttpHead, Limits, Whole, path_of, read_whole
from icapd.service import Refusal, Service, Services


class Came(NamedTuple):
    """Bytes that came on a connection."""

    channel: Channel
    data: bytes


class Asked(NamedTuple):
    """A request that may go this way: its service, what its heads say, and its case."""

    whole: Whole
    service: Service
    seen: Glance
    case: Case


class Reading:
    """Reads the ordinary ones; what is not ordinary is left out."""

    def __init__(self, core: Core, services: Services, limits: Limits) -> None:
        self._services = services
        self._limits = limits
        self._wants_origin = core.wants_origin
        self._keeps_query = core.settings.logs.urls == "full"

    def read(self, came: Sequence[Came]) -> list[tuple[Channel, Asked, bytes]]:
        """The ordinary ones, each with all its bytes."""
        limits = self._limits
        read = [
            (channel, whole, data)
            for channel, data in came
            if channel.may_go_express and (whole := read_whole(data, limits)) is not None
        ]
        ordinary = [
            (channel, whole, seen, data)
            for channel, whole, data in read
            if (seen := glance(whole)) is not None
        ]
        asking = [
            (channel, whole, service, sight, data)
            for channel, whole, sight, data in ordinary
            if (service := self._find(whole)) is not None
        ]
        return [
            (channel, Asked(whole, at, sight, self._case(channel, at, whole, sight)), data)
            for channel, whole, at, sight, data in asking
        ]

    def _find(self, whole: Whole) -> Service | None:
        try:
            service = self._services.find(whole.method, path_of(whole.uri))
        except Refusal:
            return None
        return None if service.settings.log_mode is Mode.MONITOR else service

    def _case(self, channel: Channel, service: Service, whole: Whole, seen: Glance) -> Case:
        context: dict[str, str | None] = {
            "service": service.path,
            "proxy": channel.peer,
            "client_ip": client_ip(whole.fields),
            "user": user_name(whole.fields),
            "method": seen.method,
            "url": seen.url if self._keeps_query else seen.url.partition("?")[0],
        }
        case = Case(Door.ICAP, service.settings.log_mode, seen.name, context)
        case.size = seen.length
        if self._wants_origin:
            case.origin = _origin(whole, seen, case)
        return case


def _origin(whole: Whole, seen: Glance, case: Case) -> Origin:
    asked = HttpHead(whole.heads[: whole.request_head])
    is_response = whole.method == "RESPMOD"
    carrying = HttpHead(whole.heads[whole.request_head :]) if is_response else asked
    return origin_of(asked, carrying, case.context["client_ip"], seen.name)
