"""`kata-bridge collect`: one file for support, without secrets."""

from __future__ import annotations

import argparse
import errno
import functools
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from bridge.commands.collecting.archive import Archive
from bridge.commands.collecting.masking import Masked, mask
from bridge.commands.collecting.patience import STEP_SECONDS, looks, patiently
from bridge.commands.collecting.progress import showing
from bridge.commands.collecting.sources import Sources, find_sources
from bridge.commands.collecting.work import Work
from bridge.commands.kds_options import (
    add_kds_config,
    add_log,
    add_places,
    add_trust,
    as_words,
    as_yaml,
    config_of,
    load_named,
    places_as_yaml,
    refuse_without_kds_config,
    service_log,
)
from bridge.commands.options import duration
from bridge.commands.terminal import complain, reason, say
from bridge.commands.words import size_words
from bridge.core import (
    SHORTEST_SECRET,
    ConfigError,
    parse_size,
    scrub,
)
from bridge.folder.kds import refused_values, shown_conf

if TYPE_CHECKING:
    from bridge.commands import Commands

_LEAST = 1 << 20


class _CollectError(Exception):
    """It cannot be done; the text is one sentence, `code` the exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Config:
    """The file, what may be shown of it, and what is wrong with it. `kds`: what KDS's own says."""

    path: Path
    masked: Masked
    fault: str | None
    kds: str | None = None


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "collect",
        help="one file for support: versions, configuration, logs, figures; no secrets",
        description="Makes DIR/collect-TIME.tar.gz for support. Passwords, tokens and keys are "
        "taken out; MANIFEST.txt in it says what is inside, and what is not.",
    )
    parser.add_argument(
        "--output-dir", type=Path, required=True, metavar="DIR", help="where the file is made"
    )
    parser.add_argument(
        "--since", type=duration, default=86400.0, metavar="TIME", help="logs of so long; 24h"
    )
    parser.add_argument(
        "--max-size", type=_size, default=50 << 20, metavar="SIZE", help="unpacked; 50MiB"
    )
    parser.add_argument(
        "--anonymise", action="store_true", help="pseudonyms for users, clients and URLs in logs"
    )
    add_kds_config(parser)
    add_trust(parser)
    add_places(parser)
    add_log(parser)
    parser.set_defaults(run=run)


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if size < _LEAST:
        raise argparse.ArgumentTypeError("it must be at least 1MiB")
    return size


def run(options: argparse.Namespace) -> int:
    """0 done, 1 it cannot be written, 2 configuration or usage."""
    before = signal.signal(signal.SIGTERM, _end)  # so that nothing half is left
    try:
        return _run(options)
    except KeyboardInterrupt:
        complain("collect", "ended; no file was made.")
        return 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.output_dir
    try:
        refuse_without_kds_config(options)
        config = _read(options)
        sources = find_sources(config.masked, config.path.parent)
        if options.kds_config is not None:
            sources.service_log = service_log(options)
        _check_folder(folder, sources)
        target = _collect(options, config, sources)
    except ConfigError as error:
        complain("collect", str(error))
        return 2
    except _CollectError as error:
        complain("collect", scrub(str(error)))
        return error.code
    except OSError as error:
        complain("collect", f"{folder}: {reason(error)}; no file was made there.")
        return 1
    size = size_words(target.stat().st_size)
    say(f"{target}: {size}; MANIFEST.txt in it says what is inside, and what is not.")
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    complain("collect", "ended; no file was made.")
    sys.exit(128 + number)


def _read(options: argparse.Namespace) -> _Config:
    path = config_of(options)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise OSError(errno.EINVAL, "it is no regular file")
        text = path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise _CollectError(
            f"{path}: the configuration cannot be read: {reason(error)}. Name another with "
            f"{'--config' if options.kds_config is None else '--kds-config'}, or collect as the "
            "service's user or as root.",
            2,
        ) from None
    try:
        patiently(STEP_SECONDS, load_named, options)
        fault = None
    except ConfigError as error:
        fault = str(error)
    except OSError as error:
        fault = f"what it names {reason(error)}"
    if options.kds_config is None:
        return _Config(path, mask(text), fault)
    try:
        ours = patiently(STEP_SECONDS, as_yaml, options)
    except (ConfigError, OSError):
        ours = places_as_yaml(options)
    return _Config(path, mask(ours, refused_values(text)), fault, shown_conf(text) or "")


def _check_folder(folder: Path, sources: Sources) -> None:
    if not folder.is_dir():
        raise _CollectError(f"{folder} is no folder: make it, or name another.", 2)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _CollectError(f"{folder} cannot be written to by this user: name another.", 2)
    real = Path(os.path.realpath(folder))
    watched = {key: path for key, path in sources.folders.items() if key.startswith("folder ")}
    for key, found in looks(lambda path: Path(os.path.realpath(path)), watched):
        place = watched[key] if isinstance(found, Exception) else found  # also where links go round
        if place in (real, *real.parents):
            raise _CollectError(f"{folder} lies in a folder that is watched ({key}).", 2)


def _collect(options: argparse.Namespace, config: _Config, sources: Sources) -> Path:
    now = time.time()
    name = time.strftime("collect-%Y%m%dT%H%M%SZ", time.gmtime(now))
    clean = functools.partial(scrub, secrets=sources.secrets)
    with (
        Archive(options.output_dir, name, clean, options.max_size) as archive,
        showing("collect") as (begin, advance),
    ):
        work = Work(archive, sources, begin, advance)
        work.configuration(config.masked, config.kds)
        work.system()
        work.daemons()
        work.check(as_words(options))
        work.logs(now - options.since, anonymise=options.anonymise)
        return archive.finish(_head(options, config, sources, now))


def _head(
    options: argparse.Namespace, config: _Config, sources: Sources, now: float
) -> Iterator[str]:
    """The first lines of the manifest."""
    yield f"katabridge {version('katabridge')}, collected {_time(now)} on {socket.gethostname()}"
    yield f"logs of {sources.logs} from {_time(now - options.since)} on"
    yield f"configuration {config.path}: {config.fault or 'good'}"
    yield ""
    yield f"Taken out of all of it: {len(sources.secrets)} values (and pieces of keys) of this"
    yield "configuration in every form; anybody's private keys, and credentials in URLs, headers"
    yield "and parameters."
    if config.masked.short:
        yield (
            f"{config.masked.short} passwords have fewer than {SHORTEST_SECRET} signs: taken out "
            "only where they stand as such."
        )
    for key, why in sources.unread.items():
        yield f"{key} cannot be read ({why}): its lines are taken out only where PEM marks them."
    if options.anonymise:
        yield "Users, clients, and paths of URLs in logs are pseudonyms; nobody has their key."
    else:
        yield "Logs name users, their addresses, and URLs that they asked for."


def _time(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
