"""`kata-bridge capture`: has the running icapd write down its ICAP conversations, for Wireshark."""

from __future__ import annotations

import argparse
import signal
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bridge.commands.capture_draft import draft_of
from bridge.commands.capture_wait import PICK_UP_SECONDS, Waiting
from bridge.commands.options import add_config, duration
from bridge.commands.terminal import complain, say
from bridge.commands.words import size_words
from bridge.core import (
    CAPTURE_BYTES,
    CAPTURE_SECONDS,
    CaptureError,
    CaptureRequest,
    Merged,
    Settings,
    begin_capture,
    merge_captured,
    parse_client,
    parse_size,
    printable,
    read_settings,
)

if TYPE_CHECKING:
    from bridge.commands import Commands

_LEAST_BYTES = 4096


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "capture",
        help="write down ICAP conversations, for Wireshark",
        description="Has the running icapd write down what it hears and says on its ICAP "
        "connections, without passwords, cookies and tokens. Ctrl-C ends it; the file is complete "
        "then, too.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="FILE.pcapng")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument(
        "--client",
        type=_client,
        default="",
        metavar="ADDRESS",
        help="only what is for this address or network: X-Client-IP, else the proxy itself",
    )
    parser.add_argument("--url", default="", metavar="TEXT", help="only URLs that contain this")
    parser.add_argument(
        "--for",
        type=_seconds,
        dest="seconds",
        default=60.0,
        metavar="TIME",
        help="default: 60s",
    )
    parser.add_argument(
        "--max-size", type=_size, default=10 << 20, metavar="SIZE", help="default: 10MiB"
    )
    parser.add_argument(
        "--bodies",
        type=_bodies,
        default=0,
        metavar="none|SIZE|full",
        help="how much of each body is kept; default: none",
    )
    add_config(parser)
    parser.set_defaults(run=run)


def _client(text: str) -> str:
    try:
        return str(parse_client(text) or "")
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address or network (as in 10.1.2.3 or 10.1.0.0/16)"
        ) from None


def _seconds(text: str) -> float:
    seconds = duration(text)
    if seconds > CAPTURE_SECONDS:
        raise argparse.ArgumentTypeError("a capture lasts a day at most")
    return seconds


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not _LEAST_BYTES <= size <= CAPTURE_BYTES:
        raise argparse.ArgumentTypeError(f"{text} is not within 4KiB and 1GiB")
    return size


def _bodies(text: str) -> int | None:
    if text in ("none", "full"):
        return 0 if text == "none" else None
    try:
        return min(parse_size(text), CAPTURE_BYTES)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"none, full, or a size: {error}") from None


def run(options: argparse.Namespace) -> int:
    """0 a capture that ended as it was to, 1 none or one that ended sooner, 2 configuration."""
    settings = read_settings(options.config, check_only=False)
    if isinstance(settings, int):
        return settings
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # each ends it, and not us
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    try:
        with draft_of(options.output, may_replace=options.force) as draft:
            waiting, merged = _capture(settings, options, draft)
    except CaptureError as error:
        complain("capture", str(error))
    except KeyboardInterrupt:
        complain("capture", "stopped; no file was written.")
    else:
        say(f"{options.output}: {waiting.caught}, {size_words(merged.size)}; {waiting.reason}.")
        if not merged.packets:
            say("Nothing was said on an ICAP connection that fits.")
        return 1 if waiting.is_fault else 0
    return 1


def _capture(
    settings: Settings, options: argparse.Namespace, draft: BinaryIO
) -> tuple[Waiting, Merged]:
    end = time.time() + PICK_UP_SECONDS + options.seconds  # who waits ends it sooner
    wanted = CaptureRequest(end, options.max_size, options.bodies, options.client, options.url)
    switch = begin_capture(settings.spool.dir, wanted)
    try:
        waiting = Waiting(settings.spool.dir, switch, options.seconds)
        what = (f"katabridge {version('katabridge')}", _description(options))
        with waiting.showing():
            waiting.wait()
            merged = merge_captured(settings.spool.dir, wanted.id, draft, options.max_size, what)
    finally:
        switch.close()
    return waiting, merged


def _description(options: argparse.Namespace) -> str:
    """What the file says of itself."""
    bodies = {0: "none", None: "full"}.get(options.bodies, f"{options.bodies} bytes of each")
    client, url = options.client or "any", options.url or "any"
    return printable(f"bodies: {bodies}; client: {client}; URL with: {url}")
