"""What all connections share: services, access, the OPTIONS answer, the verdict log."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from importlib.metadata import version
from typing import NamedTuple

from bridge.core import (
    OF_ALL_WORKERS,
    Case,
    Core,
    Decision,
    Entry,
    IcapSettings,
    LineLog,
    Outcome,
    ServiceSettings,
    Settings,
    printable,
    stamp,
)
from icapd.edits import UNJUDGED
from icapd.judged import Judged
from icapd.pages import Pages
from icapd.stall import Stallers
from icapd.visits import Visits

_log = logging.getLogger(__name__)

_INCLUDE = "X-Client-IP, X-Server-IP, X-Client-Username, X-Authenticated-User"


class Refusal(Exception):
    """A request that gets an ICAP error: the status, and a sentence for the log."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Service:
    """One ICAP service: its path and settings."""

    path: str
    settings: ServiceSettings


def istag(settings: Settings) -> str:
    """What changes with the version and with all that answers depend on but the verdicts (RFC 3507
    4.7), without its quotes. That there are own pages and a CA is in it, and no name of a file: the
    self-test compares, and may have been given another way to the same files."""
    icap, tls = settings.icap, settings.icap.tls
    pages = icap.pages.model_copy(update={"dir": icap.pages.dir is not None})
    secure = None if tls is None else (tls.listen, tls.client_ca is not None)
    plain = icap.model_copy(update={"pages": pages, "tls": secure})
    rules = (plain, settings.policy, settings.exclusions, settings.submit)
    return hashlib.sha256(f"{version('katabridge')} {rules!r}".encode()).hexdigest()[:24]


class Memory(NamedTuple):
    """What is remembered of clients and proxies, whatever the settings."""

    visits: Visits
    stallers: Stallers


class Services:
    """The services of this server by path, and what every answer of theirs carries."""

    def __init__(
        self,
        core: Core,
        settings: Settings,
        verdict_log: LineLog,
        complain: Callable[[str, str], None],
        memory: Memory,
    ) -> None:
        """`complain` is told a proxy's address and what is wrong with it.

        StartError where a page is not good. Blocks: disk.
        """
        self.core = core
        self.complain = complain
        self.settings: IcapSettings = settings.icap
        self._log = verdict_log
        self._services = {
            path.strip("/"): Service(path.strip("/"), settings)
            for path, settings in self.settings.services.items()
        }
        self._version = version("katabridge")
        self.fields = [("ISTag", f'"{istag(settings)}"')]
        self.host = settings.kata.node
        self.pages = Pages(self.settings.pages)
        self.visits, self.stallers = memory

    def say_what_is_risky(self) -> None:
        """Warn, once they are in force."""
        ignored = ", ".join(self.settings.transfer.ignore)
        if ignored:
            _log.warning(
                "icap.transfer.ignore: proxies that heed it send no file named like this, whatever "
                "is in it: %s",
                ignored,
                extra=OF_ALL_WORKERS,
            )
        if self.settings.ranges == "pass":
            _log.warning(
                "icap.ranges: parts of objects pass judged by themselves: a threat in two "
                "parts is found in neither",
                extra=OF_ALL_WORKERS,
            )

    @property
    def unjudged_may_pass(self) -> bool:
        """Whether the policy lets by what has no verdict."""
        return any(self.core.rules.policy[kind] is Decision.PASS for kind in UNJUDGED)

    def find(self, method: str, path: str) -> Service:
        """The service a request is for; the empty path means the first that fits."""
        if method not in ("OPTIONS", "REQMOD", "RESPMOD"):
            raise Refusal(501, f"method {method} is not known")
        service = self._services.get(path)
        if service is None and not path:
            service = self._default(method)
        if service is None:
            known = ", ".join(self._services)
            raise Refusal(404, f"there is no service {path!r} here, only {known}")
        if method not in ("OPTIONS", service.settings.method):
            raise Refusal(405, f"{service.path} takes {service.settings.method} only")
        return service

    def _default(self, method: str) -> Service | None:
        fitting = (s for s in self._services.values() if method in ("OPTIONS", s.settings.method))
        return next(fitting, None)

    def options(self, service: Service) -> list[tuple[str, str]]:
        """The fields of an OPTIONS answer (RFC 3507 4.10.2).

        Squid sends previews only for `Transfer-Preview: *`, and takes a Date older than the TTL
        for a server that is down.
        """
        return [
            ("Methods", service.settings.method),
            ("Service", f"katabridge {self._version}"),
            ("Service-ID", service.path.replace("/", "-")),
            ("Options-TTL", str(math.ceil(self.settings.options_ttl))),
            ("Date", formatdate(usegmt=True)),
            ("Max-Connections", str(self._max_connections)),
            ("Preview", str(self.settings.preview)),
            *self._transfers(),
            ("Allow", "204, 206"),
            ("X-Include", _INCLUDE),
        ]

    @property
    def _max_connections(self) -> int:
        """How many a proxy may open (RFC 3507 4.10.2)."""
        most = self.settings.max_connections
        return min(most, self.settings.max_connections_per_client or most)

    def _transfers(self) -> list[tuple[str, str]]:
        transfer = self.settings.transfer
        lists = (("Ignore", transfer.ignore), ("Complete", transfer.complete))
        given = [(f"Transfer-{name}", ", ".join(value)) for name, value in lists if value]
        return [("Transfer-Preview", "*"), *given]

    async def finish(self, judged: Judged, decision: Decision) -> None:
        """Record a case, unless that is done later, and log its verdict."""
        case, outcome = judged.case, judged.outcome
        if not judged.later:
            await self.core.finish(case, judged.item, outcome, decision)
        self._log_verdict(case, outcome, decision)

    def finish_now(self, judged: Judged, decision: Decision) -> None:
        """The same for a case that waits for nothing any more."""
        case, outcome = judged.case, judged.outcome
        if not judged.later:
            self.core.finish_now(case, judged.item, outcome, decision)
        self._log_verdict(case, outcome, decision)

    def log_verdicts(self, ends: Sequence[Entry]) -> None:
        """Log the verdicts of cases that were recorded together."""
        self._log.write_all([_verdict_line(end.case, end.outcome, end.decision) for end in ends])

    def _log_verdict(self, case: Case, outcome: Outcome, decision: Decision) -> None:
        self._log.write(_verdict_line(case, outcome, decision))


def _verdict_line(case: Case, outcome: Outcome, decision: Decision) -> bytes:
    """One line under the words that KATA's users grep for."""
    context = case.context
    text = (
        f"{stamp()} info {case.mode._value_} mode: verdict {outcome.kind._value_} "
        f"({outcome.source._value_}), {decision._value_}, case {case.id}, "
        f"ICAP {context['service']}, proxy {context['proxy']}, "
        f"client {context.get('client_ip') or '-'}, user {context.get('user') or '-'}, "
        f"{context.get('method') or '-'} {context.get('url') or '-'}"
    )
    if outcome.detail:
        text += f", {outcome.detail}"
    return printable(text).encode("utf-8")
