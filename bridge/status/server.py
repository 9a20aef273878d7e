"""The HTTP server of the status process, from its first to its last moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from bridge.core import Settings, printable
from bridge.status.daemon import Daemon
from bridge.status.guarded import GuardedPages
from bridge.status.live import merge_facts
from bridge.status.page import OpenPages
from bridge.status.samples import sample_of
from bridge.status.series import Series

_log = logging.getLogger(__name__)

_SAMPLE_SECONDS = 2.0
_KEEP_SECONDS = 60.0
_LARGEST_BODY = 16 << 10
_IDLE_SECONDS = 15.0
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FIELDS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "katabridge",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FOR_PROGRAMS = ("/metrics", "/health", "/ready")  # who asks them follows no links


def is_known(host: str, names: Collection[str]) -> bool:
    """Whether a Host field names us: by an address, by localhost, or by one of our names.

    A browser that was led here by a name of somebody else's (DNS rebinding) is none of our readers.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name in names
    return True


def _names(settings: Settings) -> set[str]:
    """Ours; the machine's own, with and without its domain."""
    own = socket.gethostname().lower()
    return {own, own.partition(".")[0], *(name.lower() for name in settings.status.hosts)}


def _of_names(names: Collection[str]) -> Middleware:
    @web.middleware
    async def of_names(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in _FOR_PROGRAMS and not is_known(request.host, names):
            raise web.HTTPMisdirectedRequest(
                text="this page is not known under that name: add it to status.hosts"
            )
        return await handler(request)

    return of_names


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What each answer carries, and errors as one sentence."""
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        answer = web.json_response({"error": printable(error.text or "")}, status=error.status)
        if error.status == 405:
            answer.headers["Allow"] = error.headers.get("Allow", "")
    except Exception:
        _log.exception("a fault of katabridge itself at %s", printable(request.path))
        answer = web.json_response({"error": "a fault of katabridge itself"}, status=500)
    answer.headers.update(_FIELDS)
    return answer


async def serve(
    settings: Settings,
    program: str,
    service_log: str,
    listener: socket.socket,
    link: socket.socket,
) -> None:
    """Answer on `listener` until the daemon at the other end of `link` is gone."""
    _settle_in()
    daemon = Daemon(link)
    await daemon.start()
    kept = settings.spool.dir / f"status-{program}.json"
    series = Series()
    with contextlib.suppress(OSError, ValueError):
        series.load(json.loads(kept.read_bytes()))
    guards = [_guard, _of_names(_names(settings))]
    app = web.Application(middlewares=guards, client_max_size=_LARGEST_BODY)
    app.add_routes(OpenPages(settings, program, daemon, series).routes())
    app.add_routes(GuardedPages(settings, service_log).routes())
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=_IDLE_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    sampling = asyncio.create_task(_sample(daemon, series, kept), name="samples")
    try:
        await daemon.ended.wait()
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        _keep(series, kept)
        await daemon.close()
        listener.close()  # nobody waits for who holds a connection


async def _sample(daemon: Daemon, series: Series, kept: Path) -> None:
    keep_at = time.monotonic() + _KEEP_SECONDS
    while True:
        report = await daemon.report()
        if report is not None:
            started = merge_facts(report.facts)["started"] or 0.0
            series.add(sample_of(report.families, started), time.time())
        if time.monotonic() >= keep_at:
            keep_at = time.monotonic() + _KEEP_SECONDS
            await asyncio.to_thread(_keep, series, kept)
        await asyncio.sleep(_SAMPLE_SECONDS)


def _keep(series: Series, kept: Path) -> None:
    """So that the charts outlive a restart; a full disk costs them, and nothing else."""
    with contextlib.suppress(OSError):
        draft = kept.with_suffix(".new")
        draft.write_text(json.dumps(series.dump()))
        draft.replace(kept)


def _settle_in() -> None:
    """The doors go first; and who opens connections and says nothing must not shut out a scrape."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(OSError):
        os.nice(5)
