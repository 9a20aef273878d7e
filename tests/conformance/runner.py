"""Runs cases against a server, several at a time: bad servers hang."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.conformance.conversation import PROBE, Service, run_case
from tests.conformance.model import At, Case, Delivery, Level
from tests.conformance.wire import CLOSED, CUT_OFF

THREADS = 12
NO_CONNECTION = "no connection"
_CLOSES = (CLOSED, CUT_OFF, NO_CONNECTION)
_MORE_TRIES = 2
_METHODS = re.compile(rb"\r\nMethods:[ \t]*([^\r\n]*)", re.IGNORECASE)
_HEAD_MAX = 1 << 16


class Unreachable(Exception):
    """No OPTIONS answer could be had; its text is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server under test: which service stands for which method, and what each one offers."""

    respmod: Service | None
    reqmod: Service | None
    methods: dict[str, frozenset[str]]  # by path
    may_change: bool = False

    def service(self, at: At) -> Service | None:
        """Where such cases are tried; None: nowhere."""
        if at is At.ANY:
            return self.respmod or self.reqmod
        service = self.respmod if at in (At.RESPMOD, At.RESPMOD_ONLY) else self.reqmod
        alone = at in (At.RESPMOD, At.REQMOD)
        if service is None or alone or len(self.methods[service.path]) == 1:
            return service
        return None


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went: what is wrong by delivery (None: nothing); no deliveries: not applicable."""

    case: Case
    wrong: dict[Delivery, str | None] = field(default_factory=dict)

    @property
    def failed(self) -> list[Delivery]:
        """The deliveries that went wrong."""
        return [delivery for delivery, wrong in self.wrong.items() if wrong is not None]

    @property
    def passed(self) -> bool:
        """Whether it was tried and nothing went wrong."""
        return bool(self.wrong) and not self.failed

    def __str__(self) -> str:
        """As the tables have it: `pass`, `FAIL`, `FAIL (split)`, `n/a`."""
        if not self.wrong:
            return "n/a"
        if not self.failed:
            return "pass"
        if len(self.failed) == len(self.wrong):
            return "FAIL"
        return f"FAIL ({', '.join(self.failed)})"


def find_target(
    host: str, port: int, path: str, reqmod: str | None, timeout: float, *, may_change: bool
) -> Target:
    """Ask the services by OPTIONS what they offer; Unreachable where there is no answer."""
    services = {path: Service(host, port, path)}
    if reqmod is not None:
        services[reqmod] = Service(host, port, reqmod)
    methods = {name: _ask_methods(service, timeout) for name, service in services.items()}

    def offering(method: str, names: Iterable[str]) -> Service | None:
        return next((services[name] for name in names if method in methods[name]), None)

    if reqmod is not None and "REQMOD" not in methods[reqmod]:
        raise Unreachable(f"{host}:{port} offers no REQMOD at {reqmod!r}.")
    for_reqmod = [path] if reqmod is None else [reqmod]
    target = Target(
        offering("RESPMOD", services), offering("REQMOD", for_reqmod), methods, may_change
    )
    if target.respmod is None and target.reqmod is None:
        raise Unreachable(f"{host}:{port} offers neither RESPMOD nor REQMOD at {path!r}.")
    return target


def _ask_methods(service: Service, timeout: float) -> frozenset[str]:
    where = f"{service.host}:{service.port}"
    try:
        with socket.create_connection((service.host, service.port), timeout) as sock:
            sock.sendall(service.fill(PROBE.steps[0]))
            head = b""
            while b"\r\n\r\n" not in head and len(head) < _HEAD_MAX:
                piece = sock.recv(4096)
                if not piece:
                    break
                head += piece
    except OSError as error:
        raise Unreachable(f"{where} cannot be reached: {error.strerror or error}.") from None
    if not head.startswith(b"ICAP/"):
        raise Unreachable(f"{where} does not answer OPTIONS as an ICAP server.")
    match = _METHODS.search(head)
    items = match[1].decode("latin-1").split(",") if match else []
    return frozenset(item.strip() for item in items) & {"REQMOD", "RESPMOD"}


def run_all(
    cases: Iterable[Case],
    target: Target,
    timeout: float,
    on_done: Callable[[], None] = lambda: None,
    threads: int = THREADS,
) -> list[Result]:
    """All cases in all their deliveries, results in the order of `cases`.

    A close that nobody may make is believed when it comes again, with nothing beside it: a server
    that one case brings down does not fail others by that.
    """

    def run(case: Case) -> Result:
        service = target.service(case.at)
        wrong = {} if service is None else _run_deliveries(case, service, target, timeout)
        on_done()
        return Result(case, wrong)

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(run, cases))
    for result in results:
        _try_closes_again(result, target, timeout)
    return results


def _try_closes_again(result: Result, target: Target, timeout: float) -> None:
    service = target.service(result.case.at)
    for delivery in result.failed if service is not None else []:
        for _ in range(_MORE_TRIES):
            wrong = result.wrong[delivery]
            if service is not None and wrong is not None and wrong.endswith(_CLOSES):
                result.wrong[delivery] = _run_delivery(
                    result.case, service, delivery, target, timeout
                )


def _run_deliveries(
    case: Case, service: Service, target: Target, timeout: float
) -> dict[Delivery, str | None]:
    return {
        delivery: _run_delivery(case, service, delivery, target, timeout)
        for delivery in case.deliveries
    }


def _run_delivery(
    case: Case, service: Service, delivery: Delivery, target: Target, timeout: float
) -> str | None:
    try:
        return run_case(case, service, delivery, timeout, may_change=target.may_change)
    except OSError:
        return NO_CONNECTION


def all_musts_pass(results: Iterable[Result]) -> bool:
    """Whether no MUST failed."""
    return not any(result.failed for result in results if result.case.level is Level.MUST)
