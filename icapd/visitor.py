"""One client at one address, as its request shows it, and what is remembered of the two."""

from __future__ import annotations

from dataclasses import replace

from bridge.core import Case, Core, Item, Outcome, OutcomeKind, Source
from icapd.message import Message
from icapd.protocol import HttpHead
from icapd.stall import is_large
from icapd.visits import Visits

_CUT, _LATE = "cut before", "found late"  # rules


def who(case: Case, request: HttpHead, url: str, *, is_response: bool) -> tuple[str, str]:
    """Client and address, under which things are remembered; `request`: the HTTP one."""
    if not is_response:
        url = f"{request.method} {url}"
    if case.context.get("client_ip"):
        return case.client, url
    # its proxy does not say who it is: whoever is told from others by this is not mixed up
    return f"{case.client} {case.context.get('user')} {request.joined('user-agent')}", url


class Visitor:
    """What `Visits` has of a message's client. Of uploads only what they wait for is remembered."""

    def __init__(self, visits: Visits, case: Case, message: Message) -> None:
        self._visits = visits
        self._case = case
        self._message = message
        self._arrived = visits.time()
        self._found_who: tuple[str, str] | None = None

    @property
    def _who(self) -> tuple[str, str]:
        if self._found_who is None:
            self._found_who = self._find_who()
        return self._found_who

    def _find_who(self) -> tuple[str, str]:
        request = self._message.http_request
        return who(self._case, request, request.url, is_response=self._message.is_response)

    @property
    def _counts(self) -> bool:
        return self._message.is_response and bool(self._message.http_request.url)

    @property
    def elapsed(self) -> float:
        """Seconds since the client first asked for what it is put off for."""
        before = self._visits.elapsed(*self._who) if self._counts else None
        return self._visits.time() - self._arrived if before is None else before

    @property
    def is_restless(self) -> bool:
        """Whether it gets other bytes each time it comes."""
        return self._counts and self._visits.is_restless(*self._who)

    async def comes_back_for_more(self, core: Core) -> bool:
        """Whether what it was last put off for may pass now, as far as one can tell."""
        visit = self._visits.find(*self._who) if self._counts else None
        if visit is None or visit.let_by:
            return visit is not None
        if visit.waiting_since is None or not visit.bodies:
            return False
        verdict = await core.verdict(visit.bodies[-1])
        return verdict is not None and verdict.kind is OutcomeKind.NOT_DETECTED

    async def bad_before(self, core: Core) -> Outcome | None:
        """Why its last answer was cut, if that is still so, or what it was given is bad."""
        cut = self._visits.take_cut(*self._who) if self._counts else None
        if cut is None:
            return await self._found_late(core)
        now = await core.verdict(cut.sha256) if cut.sha256 is not None else None
        if now is not None and now.kind is OutcomeKind.NOT_DETECTED:
            self._visits.forget_cut(*self._who)  # somebody allowed it
            return None
        return _again(now or cut.outcome, _CUT, "its download was cut a moment ago")

    async def _found_late(self, core: Core) -> Outcome | None:
        # a smaller body is judged by itself: its answer does not begin before
        if not self._counts or not is_large(self._message.carrying.content_length):
            return None
        visit = self._visits.find(*self._who)
        if visit is None or visit.unjudged is None:
            return None
        verdict = await core.verdict(visit.unjudged)
        if verdict is None or verdict.kind is not OutcomeKind.DETECT:
            return None
        return _again(verdict, _LATE, "what was given from there a moment ago was found to be bad")

    def waits_since(self, sha256: str) -> float | None:
        """When it was first put off for these bytes; None: it was not, or has its answer."""
        visit = self._visits.find(*self._who)
        return visit.waiting_since if visit is not None and sha256 in visit.bodies else None

    def put_off(self, item: Item | None) -> None:
        """It is to come again for these bytes."""
        if item is not None:
            self._visits.put_off(*self._who, item.sha256, self._arrived)

    def told(self) -> None:
        """It was told what it waited for."""
        self._visits.told(*self._who)

    def let_by(self) -> None:
        """It is to come again for what may pass."""
        if self._counts:
            self._visits.let_by(*self._who)

    def served(self, item: Item | None, outcome: Outcome) -> None:
        """It got what it came for, with this outcome."""
        self._visits.told(*self._who)
        if not self._counts:
            return
        self._visits.served(*self._who)
        if item is not None and outcome.kind is OutcomeKind.PENDING:
            self._visits.given_unjudged(*self._who, item.sha256)

    def cut_off(self, item: Item | None, outcome: Outcome) -> None:
        """It got a part of something only."""
        if self._counts:
            self._visits.cut_off(*self._who, item.sha256 if item else None, outcome)


def _again(outcome: Outcome, rule: str, why: str) -> Outcome:
    source = Source.KNOWN if outcome.is_verdict else Source.RULE
    detail = f"{outcome.detail}; {why}" if outcome.detail else why
    return replace(outcome, source=source, rule=rule, detail=detail, scan_id=None)
