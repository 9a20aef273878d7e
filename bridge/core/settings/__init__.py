"""The settings, typed. Names are the keys of the configuration file; times are in seconds,
sizes in bytes.

A value that belongs to katabridge but that this version does not act on yet is refused
(`fields.only`), because a protection that is configured and does not happen is worse than none.
"""

from bridge.core.settings.folders import FolderSettings
from bridge.core.settings.icap import (
    ContentSettings,
    IcapLimits,
    IcapSettings,
    IcapTimes,
    IcapTlsSettings,
    PageSettings,
    ServiceSettings,
    TrickleSettings,
    VisitSettings,
)
from bridge.core.settings.kata import KataSettings, SubmitSettings
from bridge.core.settings.logs import LogSettings, NotifySettings, StatusSettings, SyslogSettings
from bridge.core.settings.stores import SpoolSettings, VerdictSettings
from bridge.core.settings.whole import Settings

__all__ = [
    "ContentSettings",
    "FolderSettings",
    "IcapLimits",
    "IcapSettings",
    "IcapTimes",
    "IcapTlsSettings",
    "KataSettings",
    "LogSettings",
    "NotifySettings",
    "PageSettings",
    "ServiceSettings",
    "Settings",
    "SpoolSettings",
    "StatusSettings",
    "SubmitSettings",
    "SyslogSettings",
    "TrickleSettings",
    "VerdictSettings",
    "VisitSettings",
]
