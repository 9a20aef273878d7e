"""The submission core: what both doors judge, decide and record by.

Doors import this package by its name only.
"""

from bridge.core.config import ConfigError, find_config, load_config
from bridge.core.daemon import EXIT_CONFIG, run_daemon, set_up_logging
from bridge.core.engine import Core, StartError
from bridge.core.kata.enrolment import fingerprint, make_certificate
from bridge.core.linelog import LineLog
from bridge.core.model import Case, Decision, Door, Item, Mode, Outcome, OutcomeKind, Source
from bridge.core.printable import printable
from bridge.core.settings import FolderSettings, IcapSettings, ServiceSettings, Settings
from bridge.core.spool import Body, BodyWriter, Spool, SpoolError
from bridge.core.submitter import oversize, unavailable
from bridge.core.units import Address, parse_address

__all__ = [
    "EXIT_CONFIG",
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
    "Outcome",
    "OutcomeKind",
    "ServiceSettings",
    "Settings",
    "Source",
    "Spool",
    "SpoolError",
    "StartError",
    "find_config",
    "fingerprint",
    "load_config",
    "make_certificate",
    "oversize",
    "parse_address",
    "printable",
    "run_daemon",
    "set_up_logging",
    "unavailable",
]
