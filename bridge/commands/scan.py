"""`kata-bridge scan`: has files and folders judged, and moves nothing."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands.scan_files import (
    Found,
    NotTakenError,
    Reader,
    context_of,
    find_files,
    not_readable,
)
from bridge.commands.scan_report import Report, Result
from bridge.commands.terminal import complain
from bridge.commands.working import Complaints, progress, run_workers
from bridge.core import (
    Case,
    Core,
    Decision,
    Door,
    InstanceTakenError,
    Item,
    Mode,
    Settings,
    SpoolError,
    StartError,
    read_settings,
    unavailable,
)

if TYPE_CHECKING:
    from bridge.commands import Commands

_AT_A_TIME = 16
_THREADS = 8
_MOST_SCANS = 64


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "scan",
        help="judge files and folders",
        description="Judges files and folders; nothing is moved. Exit code: 0 nothing detected, "
        "1 a detection, 2 something could not be judged.",
    )
    parser.add_argument("paths", type=_path, nargs="+", metavar="PATH")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run, unsaid=2)


def _path(text: str) -> Path:
    if not text:  # an unset variable of a shell must not mean the folder we are in
        raise argparse.ArgumentTypeError("an empty path names no file")
    return Path(text)


def run(options: argparse.Namespace) -> int:
    """Scan: 0 all clean, 1 a detection, 2 something was not judged, or it could not start."""
    settings = read_settings(options.config, check_only=False)
    if isinstance(settings, int):
        return settings
    logging.basicConfig(level=logging.ERROR, handlers=[Complaints("scan")], force=True)
    try:
        return asyncio.run(_scan(settings, options.paths, as_lines=options.json))
    except StartError as error:
        complain("scan", str(error))
    except KeyboardInterrupt:
        complain("scan", "stopped before it began.")
    except Exception:
        traceback.print_exc()  # a fault of ours; Python's own exit code 1 would say "detected"
    return 2


async def _scan(settings: Settings, paths: list[Path], *, as_lines: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    report = Report(as_lines=as_lines, on_broken=stop.set)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="scan") as threads:
        async with _open_core(settings) as core:
            found = await loop.run_in_executor(threads, find_files, paths, stop.is_set)
            reader = Reader(threads, settings.kata.max_object_size, stop.is_set)
            await _judge_all(core, reader, found, report, stop)
    report.close(found.left_out)
    return report.exit_code


def _open_core(settings: Settings) -> Core:
    """A core of our own beside those of the daemons and of other scans."""
    for number in range(_MOST_SCANS):
        name = f"{settings.kata.node}.scan.{number}"
        try:
            return Core(settings, Door.FOLDER, instance=name, keeps_scans=False)
        except InstanceTakenError:
            continue
    raise StartError(f"{_MOST_SCANS} scans run already beside this one.")


async def _judge_all(
    core: Core, reader: Reader, found: Found, report: Report, stop: asyncio.Event
) -> None:
    for path, why in found.unreadable:
        report.add(Result(path, not_readable(why)))
    left = iter(found.files)
    async with progress("scan", len(found.files)) as advance:

        async def work() -> None:
            while not stop.is_set() and (path := next(left, None)) is not None:
                report.add(await _judge(core, reader, path))
                advance()

        at_a_time = min(_AT_A_TIME, core.settings.kata.max_in_flight, len(found.files))
        await run_workers(core, [asyncio.create_task(work()) for _ in range(at_a_time)], stop)
    report.missing = sum(1 for _ in left)


async def _judge(core: Core, reader: Reader, path: Path) -> Result:
    """One file from its bytes to its record."""
    case = Case(Door.FOLDER, Mode.ADVANCED, path.name, context_of(path))
    writer = core.spool.writer()
    item = None
    try:
        try:
            await reader.copy(path, case, writer)
            item = Item(path.name, await writer.finish())
            outcome = await core.judge(case, item)
        except NotTakenError as error:
            outcome = error.outcome
        except SpoolError as error:
            outcome = unavailable(str(error))
        await core.finish(case, item, outcome, Decision.SKIP)
    finally:
        writer.discard()
    return Result(path, outcome, case, item)
