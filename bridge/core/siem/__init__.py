"""Records on their way to a SIEM: syslog, with a queue on disk while the collector is away."""

from bridge.core.siem.message import Origin, SyslogTarget, parse_syslog_url
from bridge.core.siem.syslog import SyslogSender

__all__ = ["Origin", "SyslogSender", "SyslogTarget", "parse_syslog_url"]
