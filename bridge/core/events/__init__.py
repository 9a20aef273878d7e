"""Outages: what does not work, since when, and until when; `log-events.log`."""

from bridge.core.events.events import Events
from bridge.core.events.figures import ServiceOutages
from bridge.core.events.levels import Parts, PartsWatch
from bridge.core.events.line import EVENTS, Outage, OutageKind
from bridge.core.events.read import outages

__all__ = [
    "EVENTS",
    "Events",
    "Outage",
    "OutageKind",
    "Parts",
    "PartsWatch",
    "ServiceOutages",
    "outages",
]
