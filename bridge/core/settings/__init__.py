"""The settings, typed. Names are the keys of the configuration file; times are in seconds,
sizes in bytes.

A value that belongs to katabridge but that this version does not act on yet is refused
(`fields.only`), because a protection that is configured and does not happen is worse than none.
"""

from bridge.core.settings.folders import FolderSettings
from bridge.core.settings.icap import (
    IcapLimits,
    IcapSettings,
    IcapTimes,
    IcapTlsSettings,
    ServiceSettings,
)
from bridge.core.settings.kata import KataSettings, SubmitSettings
from bridge.core.settings.logs import LogSettings, StatusSettings, SyslogSettings
from bridge.core.settings.stores import SpoolSettings, VerdictSettings
from bridge.core.settings.whole import NOT_YET, Settings

__all__ = [
    "NOT_YET",
    "FolderSettings",
    "IcapLimits",
    "IcapSettings",
    "IcapTimes",
    "IcapTlsSettings",
    "KataSettings",
    "LogSettings",
    "ServiceSettings",
    "Settings",
    "SpoolSettings",
    "StatusSettings",
    "SubmitSettings",
    "SyslogSettings",
    "VerdictSettings",
]
