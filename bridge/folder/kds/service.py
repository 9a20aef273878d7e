"""The folder daemon in the place of KDS: its folders, its log, and a server that is pinned."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bridge.core import (
    Configuration,
    Question,
    Settings,
    StartError,
    named,
    service_manager,
    start_log,
)
from bridge.folder.kds.conf import FOLDERS
from bridge.folder.kds.installation import Installation, option_of
from bridge.folder.kds.pin import Pin
from bridge.folder.kds.trust import compare, first_use
from bridge.folder.mounts import AwayError, SamePlace
from bridge.folder.service import Reloads, serve
from bridge.folder.usable import PATIENCE_SECONDS

_log = logging.getLogger(__name__)


async def serve_kds(  # noqa: PLR0913 - what `serve` takes, and what is KDS's
    installation: Installation,
    stop: asyncio.Event,
    hangup: asyncio.Event,
    *,
    read: Callable[[], Installation],
    log: Path,
    pin: Pin | None,
    once: bool = False,
) -> int:
    """As `bridge.folder.service.serve` does; `log` is absolute.

    `read` gives the installation as it is by then, for a reload (ConfigError). Without a `pin` the
    server's certificate is pinned first; until then no folder is touched.
    """
    _check_places(installation, log)
    with _by_options():
        lines = start_log(installation.settings(), str(log))
    try:
        url = installation.conf.url
        if pin is None:  # that may take as long as KATA is away, and is no fault of the start
            service_manager.ready(f"waits for {url}, to pin its certificate")
        pin = pin or await first_use(url, installation.pin_file, stop, once=once)
        if pin is None:
            _log.warning("kata-bridge watch has stopped")
            return 0
        _log.warning("%s must show the certificate sha256:%s (%s)", url, pin.digits, pin.where)
    finally:
        lines.close()  # `serve` opens it anew
    reloads = Reloads(hangup, _source(read, installation, pin))
    comparing = asyncio.create_task(compare(url, pin))
    try:
        settings = installation.settings(pin.digits)
        with _by_options():
            return await serve(settings, stop, reloads, once=once, log=log)
    finally:
        comparing.cancel()
        await asyncio.gather(comparing, return_exceptions=True)


@contextlib.contextmanager
def _by_options() -> Iterator[None]:
    """Faults of keys that KDS has not, said of the options that stand for them."""
    try:
        yield
    except StartError as error:
        if not error.key:
            raise
        raise StartError(error.sentence, option_of(error.key)) from None


def _source(
    read: Callable[[], Installation], installation: Installation, pin: Pin
) -> Configuration:
    """The same installation, as it is by then."""

    def settings() -> Settings:
        again = read()
        wanted = again.settings(pin.digits)
        check_folders(again)
        return wanted

    return Configuration(str(installation.conf.path), settings)


def _check_places(installation: Installation, log: Path) -> None:
    """StartError with the option, or the key of KDS's, for a place that cannot be used.

    Blocks: disk.
    """
    for folder, option in ((installation.state, "--state"), (installation.records, "--records")):
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"{folder}: {error.strerror}; name another with {option}.") from None
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise StartError(f"{folder} cannot be written; name another with {option}.")
    try:
        if not log.parent.is_dir():
            raise NotADirectoryError(0, f"{log.parent} is no folder")
        os.close(os.open(log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640))
    except OSError as error:
        raise StartError(f"{log}: {error.strerror}; name another log with --log.") from None
    check_folders(installation)


def check_folders(installation: Installation) -> None:
    """StartError where a folder cannot be used; one that does not answer is waited for.

    Blocks: disk.
    """
    conf, until = installation.conf, time.monotonic() + PATIENCE_SECONDS
    questions = {key: Question(partial(_unusable, conf.paths[key])) for key in FOLDERS}
    for key, question in questions.items():
        with contextlib.suppress(TimeoutError):
            reason = question.answer(until - time.monotonic())
            if reason is not None:
                raise StartError(f"{conf.at(key)}: {named(conf.paths[key])} {reason}.")


def _unusable(folder: Path) -> str | None:
    """Why a folder cannot be watched or delivered to, and what to do."""
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            return "is no folder; make it, or mount it"
        SamePlace(folder).check()
    except AwayError:
        return None  # a share that is not mounted yet is waited for
    except OSError as error:
        return f"cannot be used ({error.strerror}); make it, or mount it"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return "must be readable and writable for this service; change its mode or its mount"
    return None
