"""Runs one case against a server in one delivery."""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.judge import judge
from tests.conformance.model import Case, Delivery, Expect, Request
from tests.conformance.strict import Answer, Wrong
from tests.conformance.wire import Silent, Wire

# What follows every case whose connection is kept.
PROBE = Request(
    "OPTIONS",
    (b"OPTIONS @URI@ ICAP/1.0\r\nHost: @HOST@\r\nEncapsulated: null-body=0\r\n\r\n",),
    Expect(),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the server under test; `path` has no leading slash."""

    host: str
    port: int
    path: str

    def fill(self, data: bytes) -> bytes:
        """`data` with this service's names in it."""
        host = f"{self.host}:{self.port}"
        names = {"URI": f"icap://{host}/{self.path}", "BASE": f"icap://{host}"}
        for name, value in (names | {"HOST": host, "PATH": self.path}).items():
            data = data.replace(f"@{name}@".encode(), value.encode())
        return data


def run_case(
    case: Case, service: Service, delivery: Delivery, timeout: float, *, may_change: bool = False
) -> str | None:
    """What is wrong with the server's side of the conversation, or None.

    `timeout` (s) is for each answer. `may_change`: the service may give back another message.
    OSError where no connection can be had.
    """
    with Wire((service.host, service.port), timeout) as wire:
        return _Conversation(case, service, delivery, wire, may_change).run()


class _Conversation:
    def __init__(
        self, case: Case, service: Service, delivery: Delivery, wire: Wire, may_change: bool
    ) -> None:
        last = case.requests[-1]
        self._requests = [*case.requests, *([] if last.ends else [PROBE])]
        self._service = service
        self._split = delivery is Delivery.SPLIT
        self._pipelined = delivery is Delivery.PIPELINED
        self._wire = wire
        self._may_change = may_change
        self._begun = 0  # how many requests have had their first step sent
        self._answers: list[Answer] = []

    def run(self) -> str | None:
        for number, request in enumerate(self._requests):
            try:
                wrong, goes_on = self._exchange(number, request)
            except Silent as closed:
                return None if request.expect.silent else self._place(number, str(closed))
            except Wrong as error:
                return self._place(number, str(error))
            if wrong is not None:
                return self._place(number, wrong)
            if not goes_on:
                return None
        return self._wire.nothing_more()

    def _place(self, number: int, wrong: str) -> str:
        if len(self._requests) == 1 or number == 0:
            return wrong
        what = "the next request" if self._requests[number] is PROBE else f"request {number + 1}"
        return f"{what}: {wrong}"

    def _exchange(self, number: int, request: Request) -> tuple[str | None, bool]:
        """(what is wrong, whether the connection goes on)."""
        if self._begun <= number:
            self._send(number, 0)
        answer = self._wire.read_answer()
        continued = answer.status == 100
        if continued:
            if len(request.steps) == 1:
                return "100 Continue where no preview has more", False
            self._send(number, 1)
            answer = self._wire.read_answer()
            if answer.status == 100:
                return "a second 100 Continue", False
        wrong = judge(
            request, answer, self._answers, continued=continued, may_change=self._may_change
        )
        self._answers.append(answer)
        if wrong is not None:
            return wrong, False
        if request.expect.closes or answer.closes:
            return self._ends(number, request), False
        return None, True

    def _ends(self, number: int, request: Request) -> str | None:
        wrong = self._wire.closed_in_time()
        unasked = not request.expect.closes and self._answers[-1].status < 400
        more_due = number + 1 < len(self._requests) and self._requests[number + 1] is not PROBE
        if wrong is None and unasked and more_due:
            return "the connection ends although more requests follow"
        return wrong

    def _send(self, number: int, step: int) -> None:
        request = self._requests[number]
        data = self._service.fill(request.steps[step])
        self._begun = max(self._begun, number + 1)
        if self._pipelined and step == len(request.steps) - 1 and number + 1 < len(self._requests):
            data += self._service.fill(self._requests[number + 1].steps[0])
            self._begun = number + 2
        if self._split and len(request.steps) == 2 and step == 0:
            self._wire.send(data[:-1], split=True)
            if self._wire.has_continue:
                raise Wrong("100 Continue before the preview has ended")
            data = data[-1:]
        self._wire.send(data, split=self._split)
        if request.ends:
            self._wire.stop_sending()
