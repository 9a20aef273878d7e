"""Which server is the Central Node: pinned on first use, said loudly, compared at each start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from bridge.core import Question, ServerCertificate, StartError, TrustError, server_certificate
from bridge.folder.kds.pin import Pin, write_pin

_log = logging.getLogger(__name__)

ASK_SECONDS = 3.0

T = TypeVar("T")
Look = Callable[[str], ServerCertificate]


async def first_use(
    url: str,
    pin_file: Path,
    stop: asyncio.Event,
    look: Look = server_certificate,
    *,
    once: bool = False,
) -> Pin | None:
    """Ask the server until it shows a certificate, and pin that; None where `stop` comes first.

    StartError where the pin cannot be kept, or (`once`) where the first question has no answer.
    """
    said = False
    while not stop.is_set():
        try:
            shown = await _unless(stop, Question(lambda: look(url)).wait())
        except (OSError, TrustError) as error:
            away = f"{url} cannot be asked for its certificate: {_reason(error)}"
            if once:
                raise StartError(f"{away}; no file was touched.") from None
            if not said:
                again = f"it is asked again every {ASK_SECONDS:.0f} s"
                _log.error("%s; %s, and no file is touched until then", away, again)
            said = True
            await _unless(stop, asyncio.sleep(ASK_SECONDS))
            continue
        if shown is not None:
            return _pinned(url, shown, pin_file)
    return None


async def compare(url: str, pin: Pin, look: Look = server_certificate) -> None:
    """Ask once what the server shows, and say where the pin is if it is something else."""
    try:
        shown = await Question(lambda: look(url)).wait()
    except (OSError, TrustError):
        return  # whether KATA can be reached is said by others
    if shown.fingerprint != pin.digits:
        _log.error(
            "REFUSED: %s shows the certificate sha256:%s, but sha256:%s is trusted (%s); no file "
            "is sent. Either the Central Node has a new certificate, or somebody stands in "
            "between: ask the KATA administrator. If the new one is right, write it there, and "
            "restart",
            url,
            shown.fingerprint,
            pin.digits,
            pin.where,
        )


def _pinned(url: str, shown: ServerCertificate, pin_file: Path) -> Pin:
    try:
        write_pin(pin_file, shown.fingerprint)
    except OSError as error:
        raise StartError(
            f"{pin_file}: the Central Node's certificate cannot be pinned: {error.strerror} "
            "(--state)."
        ) from None
    _log.warning(
        "FIRST USE: %s shows the certificate sha256:%s (subject %s, valid until %s), and it is "
        "trusted from now on. Nothing vouches for it: whoever stands in between now would be "
        "trusted. Compare it with the Central Node's own; it is kept in %s, and can be changed "
        "there, or named with --fingerprint",
        url,
        shown.fingerprint,
        shown.subject or "(none)",
        f"{shown.not_after:%Y-%m-%d}",
        pin_file,
    )
    return Pin(shown.fingerprint, str(pin_file))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work gives, or None where `stop` is set before it has ended."""
    stopping, working = asyncio.create_task(stop.wait()), asyncio.create_task(work)
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        stopping.cancel()
        working.cancel()
