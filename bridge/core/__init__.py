"""The submission core: what both doors judge, decide and record by.

Doors import this package by its name only.
"""

from bridge.core.config import ConfigError, load_config
from bridge.core.daemon import read_settings, run_daemon, start_log
from bridge.core.engine import Core
from bridge.core.flight import oversize, unavailable
from bridge.core.kata.enrolment import fingerprint, make_certificate
from bridge.core.linelog import LineLog
from bridge.core.model import (
    Case,
    Decision,
    Door,
    Item,
    Mode,
    Origin,
    Outcome,
    OutcomeKind,
    Source,
)
from bridge.core.opening import StartError
from bridge.core.printable import printable
from bridge.core.settings import FolderSettings, IcapSettings, ServiceSettings, Settings
from bridge.core.spool import Body, BodyWriter, Spool, SpoolError
from bridge.core.units import Address, parse_address

__all__ = [
    "Address",
    "Body",
    "BodyWriter",
    "Case",
    "ConfigError",
    "Core",
    "Decision",
    "Door",
    "FolderSettings",
    "IcapSettings",
    "Item",
    "LineLog",
    "Mode",
    "Origin",
    "Outcome",
    "OutcomeKind",
    "ServiceSettings",
    "Settings",
    "Source",
    "Spool",
    "SpoolError",
    "StartError",
    "fingerprint",
    "load_config",
    "make_certificate",
    "oversize",
    "parse_address",
    "printable",
    "read_settings",
    "run_daemon",
    "start_log",
    "unavailable",
]
