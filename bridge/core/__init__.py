"""The submission core: what both doors judge, decide and record by.

Doors import this package by its name only.
"""

from bridge.core.answering import Question
from bridge.core.belongings import belongings_of_node
from bridge.core.body import Body, BodyWriter, SpoolError
from bridge.core.bypass import BypassError, local_time, read_bypass, set_bypass
from bridge.core.capture.parts import (
    CapturePart,
    CaptureState,
    Merged,
    capture_states,
    captured_bytes,
    merge_captured,
)
from bridge.core.capture.request import (
    CAPTURE_BYTES,
    CAPTURE_SECONDS,
    CaptureError,
    CaptureRequest,
    CaptureSwitch,
    begin_capture,
    parse_client,
    read_capture,
    remove_leftovers,
)
from bridge.core.capture.tcp import TcpFlow
from bridge.core.config import DEFAULT_PATH, ConfigError, find_config, load_config
from bridge.core.configedit import EditError, set_value, write_atomically
from bridge.core.daemon import (
    EXIT_START,
    follow,
    leave_alone_what_is_there,
    read_settings,
    run_daemon,
    run_until_stopped,
    say_start_errors,
    start_log,
)
from bridge.core.engine import Core
from bridge.core.events import EVENTS, Events, Outage, OutageKind, ServiceOutages, outages
from bridge.core.flight import oversize, unavailable
from bridge.core.formats import format_group
from bridge.core.hangups import keep_hangups, take_hangup
from bridge.core.history import Found, HistoryFilter, search_log
from bridge.core.journal import JournalError
from bridge.core.kata.client import KataClient
from bridge.core.kata.enrolment import (
    certificate_expiry,
    expiry_warning,
    fingerprint,
    make_certificate,
    renew_certificate,
)
from bridge.core.kata.trust import ServerCertificate, TrustError, server_certificate
from bridge.core.kata.wire import Answer, CallResult, new_scan_id
from bridge.core.ledger import Entry
from bridge.core.linelog import LineLog
from bridge.core.locks import door_runs
from bridge.core.logfiles import VERDICT_LOG, WATCH_LOG
from bridge.core.merging import Gathered, from_plain, to_plain
from bridge.core.metrics import Metrics
from bridge.core.model import (
    CUT_OFF,
    DELETED_BY_HAND,
    RELEASED_BY_HAND,
    Case,
    Decision,
    Door,
    Item,
    KnownBytes,
    Mode,
    Origin,
    Outcome,
    OutcomeKind,
    Source,
    Stage,
    case_time,
    new_case_id,
)
from bridge.core.notify.target import parse_webhook_url
from bridge.core.opening import InstanceTakenError, StartError, bind, cannot_listen, open_verdicts
from bridge.core.orphans import orphans, remove_instance
from bridge.core.plainfiles import read_plain
from bridge.core.policy import door_policy, lenient
from bridge.core.printable import printable
from bridge.core.process import account_name
from bridge.core.quoting import fault_of_path, named, quoted
from bridge.core.realpaths import real_path
from bridge.core.records import DETECTS, HISTORY
from bridge.core.reloading import (
    RESTART_KEYS,
    Adopt,
    Configuration,
    Prepare,
    Reloader,
    configuration_of,
    keep_fixed,
    say_refused,
    say_reloaded,
)
from bridge.core.rotation import foreign_files, rotated_files, tail_lines
from bridge.core.saying import OF_ALL_WORKERS
from bridge.core.sdnotify import service_manager
from bridge.core.secrets import (
    REMOVED,
    SHORTEST_SECRET,
    is_secret_name,
    key_lines,
    scrub,
    secrets_of_settings,
    store_secrets,
    url_secrets,
    webhook_secrets,
)
from bridge.core.settings import (
    ContentSettings,
    FolderSettings,
    IcapSettings,
    IcapTimes,
    IcapTlsSettings,
    KataSettings,
    LogSettings,
    PageSettings,
    ServiceSettings,
    Settings,
    SpoolSettings,
    TrickleSettings,
    VisitSettings,
    share,
)
from bridge.core.siem.message import parse_syslog_url
from bridge.core.sieve import Sieve
from bridge.core.spool import Spool
from bridge.core.stamp import stamp
from bridge.core.statuslink import StatusProcess, status_of
from bridge.core.streams import EXIT_UNSAID, exit_code, is_heard, open_streams, run_program
from bridge.core.submitter import PENDING
from bridge.core.trial import trial_item
from bridge.core.units import (
    Address,
    parse_address,
    parse_central_node,
    parse_duration,
    parse_fingerprint,
    parse_size,
)
from bridge.core.verdicts import StoreError, Verdict, VerdictStore
from bridge.core.verdicts.admin import allow as allow_hash
from bridge.core.verdicts.admin import checked_hash
from bridge.core.verdicts.admin import forget as forget_hash
from bridge.core.verdicts.admin import show as show_hash
from bridge.core.verdicts.schema import VERSION as SCHEMA_VERSION
from bridge.core.yamlnodes import NotYamlError, compose_yaml

__all__ = [
    "CAPTURE_BYTES",
    "CAPTURE_SECONDS",
    "CUT_OFF",
    "DEFAULT_PATH",
    "DELETED_BY_HAND",
    "DETECTS",
    "EVENTS",
    "EXIT_START",
    "EXIT_UNSAID",
    "HISTORY",
    "OF_ALL_WORKERS",
    "PENDING",
    "RELEASED_BY_HAND",
    "REMOVED",
    "RESTART_KEYS",
    "SCHEMA_VERSION",
    "SHORTEST_SECRET",
    "VERDICT_LOG",
    "WATCH_LOG",
    "Address",
    "Adopt",
    "Answer",
    "Body",
    "BodyWriter",
    "BypassError",
    "CallResult",
    "CaptureError",
    "CapturePart",
    "CaptureRequest",
    "CaptureState",
    "CaptureSwitch",
    "Case",
    "ConfigError",
    "Configuration",
    "ContentSettings",
    "Core",
    "Decision",
    "Door",
    "EditError",
    "Entry",
    "Events",
    "FolderSettings",
    "Found",
    "Gathered",
    "HistoryFilter",
    "IcapSettings",
    "IcapTimes",
    "IcapTlsSettings",
    "InstanceTakenError",
    "Item",
    "JournalError",
    "KataClient",
    "KataSettings",
    "KnownBytes",
    "LineLog",
    "LogSettings",
    "Merged",
    "Metrics",
    "Mode",
    "NotYamlError",
    "Origin",
    "Outage",
    "OutageKind",
    "Outcome",
    "OutcomeKind",
    "PageSettings",
    "Prepare",
    "Question",
    "Reloader",
    "ServerCertificate",
    "ServiceOutages",
    "ServiceSettings",
    "Settings",
    "Sieve",
    "Source",
    "Spool",
    "SpoolError",
    "SpoolSettings",
    "Stage",
    "StartError",
    "StatusProcess",
    "StoreError",
    "TcpFlow",
    "TrickleSettings",
    "TrustError",
    "Verdict",
    "VerdictStore",
    "VisitSettings",
    "account_name",
    "allow_hash",
    "begin_capture",
    "belongings_of_node",
    "bind",
    "cannot_listen",
    "capture_states",
    "captured_bytes",
    "case_time",
    "certificate_expiry",
    "checked_hash",
    "compose_yaml",
    "configuration_of",
    "door_policy",
    "door_runs",
    "exit_code",
    "expiry_warning",
    "fault_of_path",
    "find_config",
    "fingerprint",
    "follow",
    "foreign_files",
    "forget_hash",
    "format_group",
    "from_plain",
    "is_heard",
    "is_secret_name",
    "keep_fixed",
    "keep_hangups",
    "key_lines",
    "leave_alone_what_is_there",
    "lenient",
    "load_config",
    "local_time",
    "make_certificate",
    "merge_captured",
    "named",
    "new_case_id",
    "new_scan_id",
    "open_streams",
    "open_verdicts",
    "orphans",
    "outages",
    "oversize",
    "parse_address",
    "parse_central_node",
    "parse_client",
    "parse_duration",
    "parse_fingerprint",
    "parse_size",
    "parse_syslog_url",
    "parse_webhook_url",
    "printable",
    "quoted",
    "read_bypass",
    "read_capture",
    "read_plain",
    "read_settings",
    "real_path",
    "remove_instance",
    "remove_leftovers",
    "renew_certificate",
    "rotated_files",
    "run_daemon",
    "run_program",
    "run_until_stopped",
    "say_refused",
    "say_reloaded",
    "say_start_errors",
    "scrub",
    "search_log",
    "secrets_of_settings",
    "server_certificate",
    "service_manager",
    "set_bypass",
    "set_value",
    "share",
    "show_hash",
    "stamp",
    "start_log",
    "status_of",
    "store_secrets",
    "tail_lines",
    "take_hangup",
    "to_plain",
    "trial_item",
    "unavailable",
    "url_secrets",
    "webhook_secrets",
    "write_atomically",
]
