"""What needs the token: the history, which names people, and what changes something."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from bridge.core import (
    HISTORY,
    HistoryFilter,
    Settings,
    StoreError,
    VerdictStore,
    allow_hash,
    forget_hash,
    parse_duration,
    printable,
    show_hash,
)
from bridge.status.cases import Cases
from bridge.status.known import as_fields, opened
from bridge.status.live import harmless
from bridge.status.searching import LogSearch, UnreadableError

_log = logging.getLogger(__name__)

_CASE = re.compile(r"[0-9a-z]{16}")
_TEXTS = (
    *("case", "name", "hash", "user", "user_is", "client", "url"),
    *("outcome", "decision", "door"),
)
_MOST = 500
_FEW = 50
_WRONG_SECONDS = 0.5  # before who guesses is told
_GUESSES = 4  # at a time
_SAY_SECONDS = 60.0

Handler = Callable[[web.Request], Awaitable[web.Response]]


class GuardedPages:
    """The handlers that need the token of the configuration."""

    def __init__(self, settings: Settings, service_log: str) -> None:
        """`service_log`: a path, or a name in `logs.dir`."""
        self._settings = settings
        self._search = LogSearch(settings)
        self._cases = Cases(settings, self._search, service_log)
        token = settings.status.token
        self._token = token.get_secret_value().encode() if token else None
        self._guessing = asyncio.Semaphore(_GUESSES)
        self._wrong_ones = 0
        self._say_wrong_at = 0.0

    def routes(self) -> list[web.RouteDef]:
        """Where each is found."""
        return [
            web.get("/api/history", self._guarded(self.history)),
            web.get("/api/case/{case}", self._guarded(self.case)),
            web.post("/api/known/{sha256}", self._guarded(self.known)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            if self._token is None:
                raise web.HTTPUnauthorized(text="no token is configured (status.token)")
            scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(
                shown.strip().encode("utf-8", "surrogateescape"), self._token
            ):
                if shown:
                    await self._wrong(request.remote or "somebody")
                raise web.HTTPUnauthorized(text="the token of the configuration is needed")
            return await handler(request)

        return guarded

    async def _wrong(self, who: str) -> None:
        """Say it now and then, and let nobody guess more than a few a second."""
        self._wrong_ones += 1
        if time.monotonic() >= self._say_wrong_at:
            self._say_wrong_at = time.monotonic() + _SAY_SECONDS
            _log.warning("a wrong token is shown by %s; %d so far", who, self._wrong_ones)
        async with self._guessing:
            await asyncio.sleep(_WRONG_SECONDS)

    # -- history -------------------------------------------------------------------------------

    async def history(self, request: web.Request) -> web.Response:
        """Cases, newest first."""
        try:
            wanted, limit = _filter(request.query)
            cursor = request.query.get("cursor") or None
            found = await self._search.search(HISTORY, wanted, cursor, limit=limit)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except UnreadableError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        body = {
            "cases": found.records,
            "cursor": found.cursor,
            "searched_to": found.searched_to,
            "complete": found.complete,
        }
        return web.json_response(harmless(body))

    async def case(self, request: web.Request) -> web.Response:
        """All that is known of one case."""
        case = request.match_info["case"]
        if not _CASE.fullmatch(case):
            raise web.HTTPBadRequest(text=f"{printable(case)!r} is no case number")
        return web.json_response(harmless(await self._cases.everything(case)))

    # -- known verdicts ------------------------------------------------------------------------

    async def known(self, request: web.Request) -> web.Response:
        """Forget a verdict, or call its bytes clean for a while."""
        sha256, asked = request.match_info["sha256"], await _json(request)
        try:
            async with opened(self._settings) as store:
                await _change(store, sha256, asked, request.remote)
                known = as_fields(await show_hash(store, sha256))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except StoreError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        return web.json_response(harmless({"known": known}))


async def _change(
    store: VerdictStore, sha256: str, asked: Mapping[str, Any], who: str | None
) -> None:
    """ValueError, StoreError."""
    if asked.get("do") == "forget":
        await forget_hash(store, sha256)
        _log.warning("%s has %s judged anew", who, printable(sha256))
    elif asked.get("do") == "allow":
        seconds = parse_duration(asked.get("for"))
        await allow_hash(store, sha256, seconds)
        _log.warning("%s calls %s clean for %.0f s", who, printable(sha256), seconds)
    else:
        raise ValueError('"do" must be "forget" or "allow"')


def _filter(query: Mapping[str, str]) -> tuple[HistoryFilter, int]:
    """ValueError, one sentence, for what cannot be searched for."""
    texts = {name: query[name] for name in _TEXTS if query.get(name)}
    limit = _number(query, "limit")
    if limit is None:
        limit = _FEW
    elif not 1 <= limit <= _MOST:
        raise ValueError(f"limit must be 1 to {_MOST}")
    since, until = _number(query, "since"), _number(query, "until")
    return HistoryFilter(since=since, until=until, **texts), int(limit)


def _number(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a number")
    return number


async def _json(request: web.Request) -> Mapping[str, Any]:
    try:
        asked = await request.json()
    except (ValueError, LookupError, RecursionError):  # LookupError: a charset that nobody knows
        asked = None
    if not isinstance(asked, dict):
        raise web.HTTPBadRequest(text="a JSON object is expected")
    return asked
