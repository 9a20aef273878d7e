"""The settings, typed. Names are the keys of the configuration file; times are in seconds,
sizes in bytes."""

from bridge.core.settings.folders import FolderSettings
from bridge.core.settings.icap import IcapSettings, ServiceSettings
from bridge.core.settings.icap_parts import (
    ContentSettings,
    IcapLimits,
    IcapTimes,
    IcapTlsSettings,
    PageSettings,
    TrickleSettings,
    VisitSettings,
)
from bridge.core.settings.kata import KataSettings, SubmitSettings
from bridge.core.settings.logs import LogSettings, NotifySettings, StatusSettings, SyslogSettings
from bridge.core.settings.sharing import share
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
    "share",
]
