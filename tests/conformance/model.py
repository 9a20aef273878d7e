"""What a case is: a requirement, the conversation that tests it, and what must come back.

Bytes may hold `@URI@` (the service's URI), `@BASE@` (the URI without its path), `@PATH@` (the
path alone) and `@HOST@` (host and port): they are filled in for the server under test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.conformance.strict import Answer

# (the answer, the case's earlier answers) -> what is wrong with it, or None
Check = Callable[[Answer, Sequence[Answer]], str | None]


class Level(StrEnum):
    """How binding a requirement is; PRACTICE: a client that is in use needs it."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"
    PRACTICE = "practice"


class At(StrEnum):
    """The service that a case is tried at; a server without such a one is not tested by it."""

    ANY = "any"
    RESPMOD = "RESPMOD"
    REQMOD = "REQMOD"
    RESPMOD_ONLY = "RESPMOD only"  # a service that does not offer the other method
    REQMOD_ONLY = "REQMOD only"


class Delivery(StrEnum):
    """How the bytes of a case are sent."""

    WHOLE = "whole"
    SPLIT = "split"
    PIPELINED = "pipelined"


@dataclass(frozen=True, slots=True)
class Message:
    """The HTTP message that was sent: the head to be given back, and its body (None: none)."""

    head: bytes
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Expect:
    """What may come back for one request.

    `served`: the message, or the OPTIONS answer, in a form that is legal here. `refused`: the ICAP
    statuses that are right instead. `silent`: the connection may just end,
    without an answer or in the middle of one. `closes`: it must end
    behind the answer. `check` looks at the answer, whatever its status.
    """

    served: bool = True
    refused: frozenset[int] = frozenset()
    silent: bool = False
    closes: bool = False
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One ICAP request as bytes, and what it makes legal in the answer.

    A second step is what follows the preview, sent only after `100 Continue`. `ends`: the client
    closes its sending side behind the last byte. `may_change`: no answer is the wrong one.
    """

    method: str
    steps: tuple[bytes, ...]
    expect: Expect
    message: Message | None = None
    allow: frozenset[str] = frozenset()
    previewed: bool = False
    ends: bool = False
    may_change: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One requirement and the conversation on one connection that tests it."""

    name: str
    section: str
    level: Level
    requirement: str
    at: At
    requests: tuple[Request, ...]

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """How it is sent; nothing can follow a client that has stopped sending."""
        if self.requests[-1].ends:
            return (Delivery.WHOLE, Delivery.SPLIT)
        return tuple(Delivery)


@dataclass(frozen=True, slots=True)
class Subject:
    """The cases on one subject."""

    title: str
    cases: tuple[Case, ...]
