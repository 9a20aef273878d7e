"""`kata-bridge history` and `kata-bridge detects`: the records of cases and of detections."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands.history_csv import CsvLines
from bridge.commands.history_pages import Search
from bridge.commands.history_table import Table
from bridge.commands.history_times import moment
from bridge.commands.history_writing import JsonLines, Writer
from bridge.commands.kds_options import (
    add_kds_config,
    add_records,
    read_installation,
    refuse_without_kds_config,
)
from bridge.commands.options import count
from bridge.commands.terminal import complain, reason, show
from bridge.commands.words import first_words
from bridge.core import (
    DETECTS,
    HISTORY,
    ConfigError,
    HistoryFilter,
    find_config,
    foreign_files,
    load_config,
)

if TYPE_CHECKING:
    from bridge.commands import Commands

_MOST_SHOWN = 50
_FILTERS = {
    "user": ("TEXT", "contained in the user's name"),
    "client": ("ADDRESS", "of the client, or of the proxy; a network too (10.1.0.0/16)"),
    "hash": ("HEX", "sha256 or md5, or how it begins"),
    "outcome": ("OUTCOME", "such as detect or unavailable"),
    "url": ("TEXT", "contained in the URL, or in the path of a file"),
    "name": ("TEXT", "contained in the object's name"),
    "decision": ("DECISION", "pass, block, hold or skip"),
    "door": ("DOOR", "ICAP or FOLDER"),
    "case": ("CASE", "one case"),
}


def add(commands: Commands) -> None:
    """Give both commands their options."""
    _add(commands, "history", HISTORY, "search the records of all cases")
    _add(commands, "detects", DETECTS, "search the records of detections, late ones among them")


def _add(commands: Commands, name: str, log: str, words: str) -> None:
    parser = commands.add_parser(
        name,
        help=words,
        description=f"{words[0].upper()}{words[1:]}, newest first. Texts fit whatever their "
        "capitals. Exit code: 0 done, 1 a log cannot be read, 2 usage or configuration.",
    )
    add_kds_config(parser)
    add_records(parser)
    times = "as in 2h, 2026-11-24 or 2026-11-24T10:00 (local time)"
    parser.add_argument("--since", metavar="TIME", help=times)
    parser.add_argument("--until", metavar="TIME", help="the same; a day means its end")
    for key, (value, meaning) in _FILTERS.items():
        parser.add_argument(f"--{key}", metavar=value, help=meaning)
    parser.add_argument(
        "--limit", metavar="N", default=str(_MOST_SHOWN), help=f"{_MOST_SHOWN} if not given; 0: all"
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object a line")
    shape.add_argument("--csv", action="store_true", help="all keys, for a spreadsheet")
    parser.set_defaults(run=run, command=name, log_name=log, unsaid=2)


def run(options: argparse.Namespace) -> int:
    """0 done, also where nothing is found; 1 a log cannot be read; 2 usage or configuration."""
    try:
        wanted, limit = _wanted(options), count(options.limit)
    except ValueError as error:
        complain(options.command, f"{error}.")
        return 2
    except argparse.ArgumentTypeError as error:
        complain(options.command, f"--limit {error}; 0 shows all.")
        return 2
    try:
        folder = _folder(options)
    except ConfigError as error:
        for line in str(error).splitlines():
            complain(options.command, line)
        return 2
    search = Search(folder / options.log_name, wanted, limit)
    try:
        return _show(search, options, wanted.since or 0.0)
    except OSError as error:
        complain(
            options.command,
            f"{error.filename or search.path} cannot be read: {reason(error)}; "
            f"{_says_where(options)} says where it is, and its owner or root may read it.",
        )
    except KeyboardInterrupt:
        complain(options.command, "stopped before the search was over.")
    return 1


def _folder(options: argparse.Namespace) -> Path:
    """Where the logs are; ConfigError."""
    refuse_without_kds_config(options)
    if options.kds_config is not None:
        return read_installation(options).records
    return load_config(find_config(options.config)).logs.dir


def _wanted(options: argparse.Namespace) -> HistoryFilter:
    texts: dict[str, str | None] = {key: getattr(options, key) for key in _FILTERS}
    return HistoryFilter(
        since=moment("--since", options.since, ends=False),
        until=moment("--until", options.until, ends=True),
        **texts,
    )


def _says_where(options: argparse.Namespace) -> str:
    return "logs.dir" if options.kds_config is None else "--records"


def _show(search: Search, options: argparse.Namespace, since: float) -> int:
    writer = _writer(options)
    shown = 0
    for page in search.pages():
        shown += len(page)
        with search.paused():  # what goes to the same terminal must not meet the progress
            if not show(writer.text(page)):
                return 0
    if not shown:
        if isinstance(writer, CsvLines) and not show(writer.text([])):
            return 0
        complain(options.command, f"nothing is found in {search.path}.")
    elif search.has_more:
        complain(options.command, f"the newest {shown} are shown; --limit 0 shows all.")
        return 0
    _say_unread(search.path, options.command, since)
    return 0


def _say_unread(path: Path, command: str, since: float) -> None:
    """What the search has not looked into, though it may hold records from `since` (epoch) on."""
    unread = []
    for each in foreign_files(path):
        with contextlib.suppress(FileNotFoundError):  # it is rotated just now
            unread += [each.name] if each.stat().st_mtime >= since else []
    if unread:
        complain(
            command,
            f"{first_words(unread)} in {path.parent} was not searched: another program has rotated "
            "or packed it; zgrep finds what is in it.",
        )


def _writer(options: argparse.Namespace) -> Writer:
    if options.json:
        return JsonLines()
    if options.csv:
        return CsvLines()
    return Table(shows_late=options.log_name == DETECTS)
