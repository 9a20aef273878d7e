"""What everybody may see who reaches the port: page, figures, health, charts."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from bridge.core import Outage, Settings, outages
from bridge.status.daemon import Daemon, Report
from bridge.status.live import figures_of, harmless, join_outages, merge_facts
from bridge.status.series import SPANS, Series
from bridge.status.shared import Shared

_log = logging.getLogger(__name__)

_ASSETS = Path(__file__).with_name("assets")
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_DAY = 86400.0
_NO_FACTS: list[dict[str, Any]] = []


class _Families:
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


class OpenPages:
    """The handlers that need no token."""

    def __init__(self, settings: Settings, program: str, daemon: Daemon, series: Series) -> None:
        self._settings = settings
        self._program = program
        self._daemon = daemon
        self._series = series
        self._live = Shared(self._make_live)
        self._spans = {span: Shared(partial(self._make_series, span)) for span in SPANS}
        self._assets = {each.name: each.read_bytes() for each in _ASSETS.iterdir()}

    def routes(self) -> list[web.RouteDef]:
        """Where each is found."""
        return [
            web.get("/", self.index),
            web.get("/assets/{name}", self.asset),
            web.get("/metrics", self.metrics),
            web.get("/health", self.health),
            web.get("/ready", self.ready),
            web.get("/api/live", self.live),
            web.get("/api/series", self.series),
        ]

    async def index(self, _: web.Request) -> web.Response:
        """The page."""
        return self._asset("index.html")

    async def asset(self, request: web.Request) -> web.Response:
        """What it is made of."""
        return self._asset(request.match_info["name"])

    def _asset(self, name: str) -> web.Response:
        data = self._assets.get(name)
        if data is None:
            raise web.HTTPNotFound(text="there is nothing of that name")
        return web.Response(
            body=data, content_type=_TYPES.get(Path(name).suffix, "text/plain"), charset="utf-8"
        )

    async def metrics(self, request: web.Request) -> web.Response:
        """All figures, as Prometheus wants them."""
        report = await self._daemon.report()
        if report is None:
            raise web.HTTPServiceUnavailable(text=f"{self._program} does not answer")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = await asyncio.to_thread(encode, _Families(report.families))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def health(self, _: web.Request) -> web.Response:
        """200 where the daemon lives: its event loop answers."""
        if not _is_live(await self._daemon.report()):
            raise web.HTTPServiceUnavailable(text=f"{self._program} does not answer")
        return web.Response(text="live\n")

    async def ready(self, _: web.Request) -> web.Response:
        """200 where it can judge: KATA takes files, the store is writable, the spool has room, and
        a descriptor is left for who connects."""
        report = await self._daemon.report()
        facts = merge_facts(report.facts if report else _NO_FACTS)
        ready = all(facts["ready"].values())
        status = 200 if ready else 503
        body = {"live": _is_live(report), "ready": ready, **facts["ready"]}
        return web.json_response(body, status=status)

    async def live(self, _: web.Request) -> web.Response:
        """What goes on now; of a daemon that does not answer what it said last, and that."""
        return _json(await self._live.get())

    async def _make_live(self) -> bytes:
        report = await self._daemon.report()
        return await asyncio.to_thread(self._live_of, report)

    def _live_of(self, report: Report | None) -> bytes:
        known = report or self._daemon.last
        facts = known.facts if known else _NO_FACTS
        now = time.time()
        body = {
            "now": now,
            "program": self._program,
            "version": version("katabridge"),
            "node": self._settings.kata.node,
            "token_set": self._settings.status.token is not None,
            "live": _is_live(report),
            **merge_facts(facts),
            "services": self._services(),
            "outages": join_outages(self._outages(now - _DAY), facts),
            "figures": self._figures(known.families if known else []),
        }
        return json.dumps(harmless(body)).encode()

    def _outages(self, since: float) -> list[Outage]:
        try:
            return outages(self._settings.logs.dir, since)
        except OSError as error:
            _log.error("%s cannot be read: %s", error.filename, error.strerror)
            return []

    def _figures(self, families: list[Metric]) -> dict[str, Any]:
        return figures_of(families) | {"spool_max_bytes": self._settings.spool.max_bytes}

    def _services(self) -> list[dict[str, Any]]:
        if self._program != "icapd":
            return []
        return [
            {
                "path": path,
                "method": service.method,
                "mode": service.mode,
                "hold": service.hold_seconds,
            }
            for path, service in self._settings.icap.services.items()
        ]

    async def series(self, request: web.Request) -> web.Response:
        """The charts' values."""
        span = request.query.get("span", "hour")
        if span not in SPANS:
            raise web.HTTPBadRequest(text=f"span is one of {', '.join(SPANS)}")
        return _json(await self._spans[span].get())

    async def _make_series(self, span: str) -> bytes:
        return json.dumps(self._series.of(span, time.time())).encode()


def _is_live(report: Report | None) -> bool:
    """Whether the daemon answers, and, where it is several processes, one of those that serve."""
    return report is not None and bool(report.facts)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")
