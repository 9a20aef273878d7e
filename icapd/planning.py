"""What a message may get before its verdict, by mode, settings and who asks."""

from __future__ import annotations

from bridge.core import Mode
from icapd.early import Plan
from icapd.edits import NEITHER, NOT_RESUMABLE
from icapd.kept_back import KeptBack
from icapd.message import Message
from icapd.service import Service, Services


async def make_plan(
    services: Services, service: Service, message: Message, kept_back: KeptBack
) -> Plan:
    """`kept_back`: who makes the page that may stand for the message."""
    settings, mode = services.settings, service.settings.log_mode
    if mode is Mode.MONITOR:
        return Plan(echo=True)
    if not message.is_response or not message.carrying.raw:
        return Plan()  # an upload is never begun before its verdict
    unjudged_may_pass = services.unjudged_may_pass or mode is Mode.STANDARD
    edit = NEITHER if unjudged_may_pass else NOT_RESUMABLE
    shows_page = settings.on_stall == "page" and await kept_back.may_open_page()
    return Plan(
        may_stall=True,
        edit=edit,
        page=kept_back.open_page if shows_page else None,
        trickle=settings.trickle,
    )
