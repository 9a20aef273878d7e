"""The configuration read anew while everything runs: SIGHUP.

All or nothing. Each part of the program prepares itself for the new settings, when it may refuse
them; then all of them adopt what they prepared, in one step of the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bridge.core.config import ConfigError, find_config, load_config
from bridge.core.opening import StartError
from bridge.core.sdnotify import service_manager
from bridge.core.settings import Settings
from bridge.core.settings.section import Section

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 15.0
_STOPS = "the program stops"

_Found = TypeVar("_Found")
_Section = TypeVar("_Section", bound=Section)

# Keys, or sections, that a running process keeps as they were at its start
RESTART_KEYS: tuple[str, ...] = (
    "kata.urls",
    "kata.sensor_id",
    "kata.node",
    "kata.connections",
    "kata.alerts",
    "verdicts.store",
    "verdicts.max_entries",
    "spool.dir",
    "icap.listen",
    "icap.tls.listen",
    "icap.workers",
    "logs.dir",
    "logs.syslog",
    "notify",
    "status.icapd",
    "status.watch",
)

# By such a key, what must not change without it: the trust in those nodes, the proof of that id
_GO_WITH = {
    "kata.urls": ("kata.server_ca", "kata.server_fingerprint"),
    "kata.sensor_id": ("kata.client_cert", "kata.client_key"),
}

Adopt = Callable[[], None]
"""Makes prepared settings those of a part, in the event loop. Never fails, never waits."""

Prepare = Callable[[Settings], Adopt]
"""Makes ready what a part needs for new settings; StartError refuses them. In a thread: it may
block, and changes nothing that is in use."""


class Configuration(NamedTuple):
    """Where settings come from. `read`: ConfigError or StartError. Blocks: disk."""

    name: str
    read: Callable[[], Settings]


def configuration_of(argument: Path | None) -> Configuration:
    """The file that `--config` names, or else is the one."""
    path = find_config(argument)
    return Configuration(str(path), lambda: load_config(path))


class Reloader:
    """Brings new settings to the parts of one process."""

    def __init__(
        self,
        settings: Settings,
        *parts: Prepare,
        count: Callable[[str], None] = lambda result: None,
    ) -> None:
        """`settings`: those in force. `parts` adopt new ones in this order.

        `count` is told `ok` or `refused` of each reload.
        """
        self.settings = settings
        self._parts = list(parts)
        self._count = count
        self._hangs: asyncio.Future[Any] | None = None
        self._stop: asyncio.Event | None = None

    def end_at(self, stop: asyncio.Event) -> None:
        """Put nothing in force any more once that is set."""
        self._stop = stop

    def join(self, part: Prepare) -> None:
        """Bring them to this part, too."""
        self._parts.append(part)

    async def apply(self, wanted: Settings) -> list[str]:
        """Put these in force, but for keys that take a restart; which of those have changed.

        StartError where a part refuses, or where the program stops: then nothing has changed.
        """
        settings, waiting = keep_fixed(self.settings, wanted)
        adopts = await self._in_thread(lambda: [part(settings) for part in self._parts])
        if self._stop is not None and self._stop.is_set():
            raise StartError(_STOPS)
        for adopt in adopts:
            adopt()
        self.settings = settings
        return waiting

    async def _in_thread(self, work: Callable[[], _Found]) -> _Found:
        """StartError where a disk does not answer in time: nobody waits for it longer."""
        if self._hangs is not None and not self._hangs.done():
            raise StartError("the reload before still waits for a disk that does not answer")
        # the loop's pool, which the end of the program waits for: no Question, see there
        doing = asyncio.get_running_loop().run_in_executor(None, work)
        self._hangs = doing
        try:
            await asyncio.wait({doing}, timeout=_PATIENCE_SECONDS)
        finally:
            if not doing.done():
                doing.add_done_callback(_look_away)
        if not doing.done():
            raise StartError(f"a disk did not answer within {_PATIENCE_SECONDS:.0f} s")
        return doing.result()

    @contextlib.asynccontextmanager
    async def at_each(self, hangup: asyncio.Event, source: Configuration) -> AsyncIterator[None]:
        """Read `source` anew at each hangup, as long as this lasts; what comes of it is logged."""
        reloading = asyncio.create_task(self._run(hangup, source), name="reload")
        try:
            yield
        finally:
            reloading.cancel()
            await asyncio.gather(reloading, return_exceptions=True)

    async def _run(self, hangup: asyncio.Event, source: Configuration) -> None:
        while True:
            await hangup.wait()
            hangup.clear()
            service_manager.reloading()
            try:
                await self._reload(source)
            finally:
                service_manager.ready()

    async def _reload(self, source: Configuration) -> None:
        try:
            waiting = await self.apply(await self._in_thread(source.read))
        except (ConfigError, StartError) as error:
            say_refused(source.name, str(error))
        except asyncio.CancelledError:
            say_refused(source.name, _STOPS)
            raise
        except Exception:
            _log.exception("a fault of katabridge itself")
            say_refused(source.name, "it failed at it")
        else:
            say_reloaded(source.name, waiting)
            self._count("ok")
            return
        self._count("refused")


def _look_away(late: asyncio.Future[Any]) -> None:
    """Nobody asks any longer how it ended."""
    if not late.cancelled():
        late.exception()


def keep_fixed(running: Settings, wanted: Settings) -> tuple[Settings, list[str]]:
    """`wanted` with the keys that take a restart as they are in `running`; which of them differ.

    StartError where the two do not go together.
    """
    changed: list[str] = []
    settings = wanted
    keys = list(RESTART_KEYS)
    for key in keys:
        path = _fixed_path(running, settings, key)
        if path is None:
            continue
        kept, new = _at(running, path), _at(settings, path)
        if kept != new:
            changed.append(".".join(path))
            keys += _GO_WITH.get(key, ())
            settings = _with(settings, path, kept)
    if changed:
        try:
            settings.check_places()
        except ValueError as error:
            names = ", ".join(changed)
            raise StartError(f"{names} cannot change without a restart, and {error}") from None
    return settings, changed


def _fixed_path(running: Settings, wanted: Settings, key: str) -> Sequence[str] | None:
    """The key, or the section above it where only one of the two has that."""
    path = key.split(".")
    for length in range(1, len(path)):
        sections = [_at(settings, path[:length]) for settings in (running, wanted)]
        if None in sections:
            return None if sections == [None, None] else path[:length]
    return path


def _at(settings: Section, path: Sequence[str]) -> Any:
    found: Any = settings
    for name in path:
        found = getattr(found, name)
    return found


def _with(settings: _Section, path: Sequence[str], value: object) -> _Section:
    name, *rest = path
    inner = _with(getattr(settings, name), rest, value) if rest else value
    return settings.model_copy(update={name: inner})


def say_reloaded(name: str, waiting: Sequence[str]) -> None:
    """Log that it is done."""
    if waiting:
        words = "the configuration %s is reloaded; what takes a restart stays as it was: %s"
        _log.warning(words, name, ", ".join(waiting))
    else:
        _log.warning("the configuration %s is reloaded", name)


def say_refused(name: str, why: str) -> None:
    """Log that nothing has changed, and why."""
    reason = "; ".join(line.rstrip(".") for line in why.splitlines())
    _log.error("the configuration %s is not reloaded: %s; the old one stays in force", name, reason)
