"""The suite as a command: against any ICAP server, or `--write` for CONFORMANCE.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.conformance import page
from tests.conformance.cases import CASES, SUBJECTS
from tests.conformance.model import Case
from tests.conformance.runner import (
    Result,
    Target,
    Unreachable,
    all_musts_pass,
    find_target,
    run_all,
)

_FAILED, _NOBODY = 1, 2


class _Usage(Exception):
    """The arguments make no sense; its text is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code: 0 every MUST passed, 1 not, 2 nobody could be asked."""
    try:
        asked = _parser().parse_args(arguments)
        if asked.write:
            return write()
        return _try_server(asked)
    except (_Usage, Unreachable) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return _NOBODY
    except KeyboardInterrupt:
        print("conformance: stopped.", file=sys.stderr)
        return _NOBODY


def write(timeout: float = 3.0) -> int:
    """Write CONFORMANCE.md from what the compared servers answer now."""
    from tests.conformance.servers import Missing

    try:
        columns, versions = measure(timeout)
    except Missing as missing:
        print(f"conformance: {missing} is not installed.", file=sys.stderr)
        return _NOBODY
    page.PAGE.write_text(page.text(columns, versions))
    ours = columns["katabridge"]
    for result in ours:
        for delivery, wrong in result.wrong.items():
            if wrong:
                print(f"katabridge fails {result.case.name} ({delivery}): {wrong}")
    return 0 if all_musts_pass(ours) else _FAILED


def measure(timeout: float) -> tuple[dict[str, list[Result]], dict[str, str]]:
    """(results, versions) of each server that is compared; Missing where one is not installed."""
    from tests.conformance.servers import SERVERS

    versions = {server.title: server.version() for server in SERVERS}
    columns: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for server in SERVERS:
            with (
                server.start(Path(folder) / server.title.partition(" ")[0]) as target,
                _progress(f"{server.title}", len(CASES)) as advance,
            ):
                # one at a time: what a server makes of a race would differ between two pages
                columns[server.title] = run_all(CASES, target, timeout, advance, threads=1)
    return columns, versions


def _try_server(asked: argparse.Namespace) -> int:
    if asked.server is None or asked.service is None:
        raise _Usage("HOST:PORT and SERVICE are needed (or --write, or --help).")
    host, port = _address(asked.server)
    if not asked.timeout > 0:
        raise _Usage("--timeout is a number of seconds above 0.")
    pattern = asked.only or "*"
    chosen = [case for case in CASES if fnmatch(case.name, pattern) or pattern in case.name]
    if not chosen:
        raise _Usage(f"no case's name has {pattern!r} in it or matches it.")
    target = _target(host, port, asked)
    with _progress(asked.server, len(chosen)) as advance:
        results = run_all(chosen, target, asked.timeout, advance)
    if asked.json:
        print(json.dumps([_as_json(result) for result in results], indent=1))
    else:
        _show(results)
    return 0 if all_musts_pass(results) else _FAILED


def _target(host: str, port: int, asked: argparse.Namespace) -> Target:
    reqmod = asked.reqmod.strip("/") if asked.reqmod is not None else None
    path = asked.service.strip("/")
    return find_target(host, port, path, reqmod, asked.timeout, may_change=asked.changes)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise _Usage(f"{text!r} is not HOST:PORT.")
    return host.strip("[]"), int(port)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Usage(f"{message}.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m tests.conformance", description="Hold an ICAP server to RFC 3507."
    )
    add = parser.add_argument
    add("server", nargs="?", metavar="HOST:PORT")
    add("service", nargs="?", metavar="SERVICE", help="path of a service that passes content on")
    add("--reqmod", metavar="SERVICE", help="path of the service for REQMOD, if another one")
    add("--only", metavar="PATTERN", help="cases whose name matches it or has it inside")
    add("--json", action="store_true", help="results with reasons, as JSON")
    add("--timeout", type=float, default=3.0, metavar="S", help="seconds for an answer (3)")
    add("--changes", action="store_true", help="the service may change what it gives back")
    add("--write", action="store_true", help="write CONFORMANCE.md")
    return parser


@contextmanager
def _progress(what: str, count: int) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=count)
        yield lambda: progress.advance(task)


def _as_json(result: Result) -> dict[str, object]:
    case: Case = result.case
    return {
        "case": case.name,
        "section": case.section,
        "level": case.level,
        "requirement": case.requirement,
        "result": str(result),
        "wrong": {delivery: wrong for delivery, wrong in result.wrong.items() if wrong},
    }


def _show(results: list[Result]) -> None:
    console = Console()
    failures = Table(title="Failures", title_justify="left")
    for head in ("level", "section", "case", "requirement", "what came"):
        failures.add_column(head, overflow="fold")
    for result in results:
        if result.failed:
            reasons = {result.wrong[delivery] for delivery in result.failed}
            told = f"{result}: {'; '.join(sorted(filter(None, reasons)))}"
            case = result.case
            failures.add_row(case.level, case.section, case.name, case.requirement, told)
    if failures.row_count:
        console.print(failures, markup=False)
    by_name = {result.case.name: result for result in results}
    summary = Table(title="Summary", title_justify="left")
    for head in ("subject", "passed", "failed", "n/a"):
        summary.add_column(head)
    for subject in SUBJECTS:
        these = [by_name[case.name] for case in subject.cases if case.name in by_name]
        counts = [
            sum(result.passed for result in these),
            sum(bool(result.failed) for result in these),
            sum(not result.wrong for result in these),
        ]
        if these:
            summary.add_row(subject.title, *map(str, counts))
    console.print(summary)


if __name__ == "__main__":
    sys.exit(main())
