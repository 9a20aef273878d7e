"""`kata-bridge quarantine list`: a table, or JSON lines."""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from bridge.commands.terminal import complain, reason, show
from bridge.core import OutcomeKind, Settings, printable
from bridge.folder.quarantine import Entry, Found, Quarantine, State, find_all, read_entry

_ANY_WIDTH = 1 << 16  # not wrapped where it is no terminal
_STYLES = {OutcomeKind.DETECT.value: "bold red", State.NO_NOTE.value: "magenta"}


class Entries:
    """The entries that filters let through, newest first. `failed`: not all could be read."""

    def __init__(self, places: Sequence[Quarantine], options: argparse.Namespace) -> None:
        self._places = places
        self._folder: str | None = options.folder
        self._outcome: str | None = options.outcome
        self._since = time.time() - options.since if options.since else 0.0
        self.failed = False

    def __iter__(self) -> Iterator[Entry]:
        """Reads each note only when it is its turn. Blocks: disk."""
        newest = heapq.merge(
            *(self._found(number) for number in range(len(self._places))),
            key=lambda pair: pair[0].since,
            reverse=True,
        )
        for found, number in newest:
            if found.since < self._since * 1e9:
                return
            try:
                entry = read_entry(self._places[number], found)
            except OSError as error:
                self._say(f"{self._places[number].root / found.path}: {reason(error)}.")
                continue
            if entry is not None and self._wanted(entry):
                yield entry

    def _found(self, number: int) -> Iterator[tuple[Found, int]]:
        """What lies in one quarantine, newest first."""
        place = self._places[number]
        try:
            listing = find_all(place)
        except OSError as error:
            self._say(f"{place.root} cannot be read: {reason(error)}.")
            return
        for path, why in listing.left_out.items():
            self._say(f"{place.root / path} cannot be read: {why}.")
        if listing.claimed:
            complain(
                "quarantine",
                f"{listing.claimed} more in {place.root}/.katabridge: somebody is at them, or a "
                "command was cut off; the next release, delete or rescan puts them right.",
            )
        listing.found.sort(reverse=True)
        yield from ((found, number) for found in listing.found)

    def _wanted(self, entry: Entry) -> bool:
        if self._outcome is not None and (
            entry.note is None or entry.note.outcome != self._outcome
        ):
            return False
        return self._folder is None or entry.folder in (None, self._folder)

    def _say(self, sentence: str) -> None:
        self.failed = True
        complain("quarantine", sentence)


def run(settings: Settings, places: Sequence[Quarantine], options: argparse.Namespace) -> int:
    """List: 0, or 1 where not all could be read."""
    del settings
    entries = Entries(places, options)
    wanted = iter(entries)
    shown = islice(wanted, options.limit) if options.limit else wanted
    if options.json:
        for entry in shown:
            if not show(f"{as_json(entry)}\n"):
                return int(entries.failed)
    else:
        rows = list(shown)
        if rows:
            show(table_of(rows))
        else:
            complain("quarantine", "nothing is there.")
    if options.limit and next(wanted, None) is not None:
        complain("quarantine", f"the newest {options.limit} are shown; --limit 0 shows all.")
    return int(entries.failed)


def as_json(entry: Entry) -> str:
    """One line: what the note says, and where it lies."""
    note = entry.note
    values: dict[str, Any] = {
        "case": note.case if note else None,
        "time": time_of(entry),
        "folder": entry.folder,
        "file": str(entry.file),
        "size": entry.size,
        "state": entry.state,
        "fault": entry.fault or None,
    }
    for key in ("path", "sha256", "md5", "outcome", "source", "rule", "threat", "technology"):
        values[key] = getattr(note, key, None)
    for key in ("importance", "scan_id"):
        values[key] = getattr(note, key, None)
    return json.dumps(values, separators=(",", ":"))


def time_of(entry: Entry) -> str:
    """When it came to quarantine, with zone."""
    if entry.note is not None:
        return entry.note.time
    moment = datetime.fromtimestamp(entry.since / 1e9).astimezone()
    return moment.isoformat(timespec="milliseconds")


def table_of(entries: Sequence[Entry]) -> str:
    """A row for each entry, as wide as the terminal."""
    from rich.console import Console  # noqa: PLC0415 - only where it is shown
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else _ANY_WIDTH)
    table = Table(box=None, pad_edge=False)
    for name in ("case", "time", "folder"):
        table.add_column(name, overflow="fold")
    table.add_column("path", overflow="fold")
    table.add_column("size", justify="right")
    for name in ("outcome", "threat"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        note = entry.note
        what = note.outcome if note and entry.state is State.WHOLE else entry.state.value
        table.add_row(
            Text(note.case if note else ""),
            Text(printable(_short(time_of(entry)))),
            Text(entry.folder or ""),
            Text(printable(entry.path)),
            Text("" if entry.size is None else str(entry.size)),
            Text(what, style=_STYLES.get(what, "yellow")),
            Text(printable((note and note.threat) or entry.fault)),
        )
    with console.capture() as shown:
        console.print(table)
    return shown.get()


def _short(time: str) -> str:
    """A time of ours in local time, to the second; what is none as it is."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return time
