"""`kata-bridge quarantine release | delete | rescan`: which files, a question, and the doing."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

from bridge.commands.quarantine_list import Entries
from bridge.commands.quarantine_output import Report
from bridge.commands.terminal import complain, reason
from bridge.commands.working import Complaints, progress, run_workers
from bridge.core import (
    Core,
    Door,
    InstanceTakenError,
    Settings,
    StartError,
    account_name,
    printable,
)
from bridge.folder.quarantine import (
    Carrier,
    Entry,
    Quarantine,
    RefusedError,
    Result,
    Verb,
    delete,
    pick,
    quarantines,
    recover,
    release,
    rescan,
    unfinished,
)

_DO: dict[Verb, Callable[[Carrier, Entry], Awaitable[Result]]] = {
    Verb.RELEASE: release,
    Verb.DELETE: delete,
    Verb.RESCAN: rescan,
}
_AT_A_TIME = 16
_MOST_INSTANCES = 64
_MOST_SHOWN = 20


def run(settings: Settings, places: Sequence[Quarantine], options: argparse.Namespace) -> int:
    """Do it: 0 done, 1 refused or not found, 2 usage, or KATA did not judge."""
    fault = _misused(options)
    if fault:
        complain("quarantine", fault)
        return 2
    logging.basicConfig(level=logging.ERROR, handlers=[Complaints("quarantine")], force=True)
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # who opens a file that we hold must not end us
    report = Report(as_lines=options.json)
    try:
        asyncio.run(_put_right(settings))
        entries = _chosen(places, options, report)
        if entries and _may(entries, options, report):
            asyncio.run(_do_all(settings, options.verb, entries, report))
    except StartError as error:
        complain("quarantine", str(error))
        return 2
    except KeyboardInterrupt:
        report.fail("stopped before anything was done.")
    return report.exit_code


def _misused(options: argparse.Namespace) -> str:
    if options.all == bool(options.names):
        return "name files by their case or path, or give --all."
    if options.names and (options.outcome or options.since):
        return "--outcome and --since go with --all."
    if options.all and options.verb is Verb.RELEASE and not options.outcome:
        return "release --all needs --outcome: nobody should release all detections unawares."
    return ""


def _chosen(
    places: Sequence[Quarantine], options: argparse.Namespace, report: Report
) -> list[Entry]:
    if options.all:
        wanted = Entries(places, options)
        entries = list(wanted)
        report.failed |= wanted.failed
        if not entries and not wanted.failed:
            complain("quarantine", f"nothing to {options.verb}.")
        return entries
    for place in places:
        try:
            place.place.check()
        except OSError as error:
            report.fail(f"{place.root} cannot be read: {reason(error)}.")
    entries, faults = pick(places, options.names)
    for fault in faults:
        report.fail(fault)
    strangers = [each for each in entries if not _is_of(each, options.folder)]
    for each in strangers:
        report.fail(f"{each.file} came through the folder {each.folder}.")
    return [each for each in entries if each not in strangers]


def _is_of(entry: Entry, folder: str | None) -> bool:
    return folder is None or entry.folder in (None, folder)


def _may(entries: Sequence[Entry], options: argparse.Namespace, report: Report) -> bool:
    """Whether it is to be done: asks, if somebody can be asked."""
    if options.verb is Verb.RESCAN or options.yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise StartError(f"nobody can be asked here: {options.verb} needs --yes.")
    for entry in entries[:_MOST_SHOWN]:
        sys.stderr.write(f"{printable(_described(entry))}\n")
    if len(entries) > _MOST_SHOWN:
        sys.stderr.write(f"and {len(entries) - _MOST_SHOWN} more\n")
    files = "1 file" if len(entries) == 1 else f"{len(entries)} files"
    end = "to the output" if options.verb is Verb.RELEASE else "for good"
    sys.stderr.write(f"{options.verb.capitalize()} {files} {end}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    report.fail("nothing was done.")
    return False


def _described(entry: Entry) -> str:
    note = entry.note
    if note is None:
        return f"{entry.file}: {entry.state.value}"
    known = f"{note.outcome} {note.threat}" if note.threat else note.outcome
    return f"{entry.file}: {known}, of {note.time}, from folder {note.folder}: {note.path}"


def user() -> str:
    """Who gave the command."""
    behind_sudo = os.environ.get("SUDO_USER")
    if behind_sudo:
        return behind_sudo
    return account_name(os.getuid())


# -- with a core -----------------------------------------------------------------------------------


def _instances(settings: Settings) -> list[str]:
    return [f"{settings.kata.node}.quarantine.{number}" for number in range(_MOST_INSTANCES)]


async def _put_right(settings: Settings) -> None:
    """Bring to its end what commands left that were cut off."""
    for instance in unfinished(settings.spool.dir, _instances(settings)):
        try:
            core = Core(settings, Door.FOLDER, instance=instance, keeps_scans=False)
        except InstanceTakenError:  # it was not cut off: it is at work
            continue
        async with core:
            carrier = Carrier(core, quarantines(settings), user())
            for sentence in await recover(carrier):
                complain("quarantine", f"{sentence}.")
            carrier.close()


def _open_core(settings: Settings, verb: Verb) -> Core:
    """A core of our own beside those of the daemons and of other commands."""
    anew = verb is Verb.RESCAN
    for instance in _instances(settings):
        try:
            return Core(
                settings, Door.FOLDER, instance=instance, keeps_scans=False, judges_anew=anew
            )
        except InstanceTakenError:
            continue
    raise StartError(f"{_MOST_INSTANCES} commands run already beside this one.")


async def _do_all(settings: Settings, verb: Verb, entries: Sequence[Entry], report: Report) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _open_core(settings, verb) as core:
        carrier = Carrier(core, quarantines(settings), user())
        left = iter(entries)
        async with progress("quarantine", len(entries)) as advance:

            async def work() -> None:
                while not stop.is_set() and (entry := next(left, None)) is not None:
                    try:
                        report.add(await _DO[verb](carrier, entry))
                    except RefusedError as error:
                        report.refuse(verb, entry, str(error))
                    advance()

            at_a_time = min(_AT_A_TIME, settings.kata.max_in_flight, len(entries))
            await run_workers(core, [asyncio.create_task(work()) for _ in range(at_a_time)], stop)
        await asyncio.to_thread(carrier.close)
    missing = sum(1 for _ in left)
    if missing:
        report.fail(f"stopped: {missing} files were not come to.")
