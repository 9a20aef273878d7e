"""`make soak`: hours of work in minutes, and a table of what they left. Flat, or it fails."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.soak import report
from tests.soak.plan import make_plan
from tests.soak.progress import progress
from tests.soak.run import Outcome, Soak
from tests.soak.stage import Stage

_MOST_MINUTES = 24 * 60.0
_ROOM = 1 << 30


def main(arguments: list[str] | None = None) -> int:
    """Run it and print its table; 1 where something failed or grew, 2 where it cannot run."""
    options = _parser().parse_args(arguments)
    squid = shutil.which("squid", path=f"{os.environ['PATH']}:/usr/sbin")
    if squid is None:
        return _fail(2, "squid is not installed (make peers, as root).")
    folder = Path(tempfile.mkdtemp(prefix="katabridge-soak-"))
    if shutil.disk_usage(folder).free < _ROOM:
        return _fail(2, f"{folder} needs 1 GiB of room (TMPDIR names another folder).")
    try:
        outcome = _run(options, folder, squid)
    except AssertionError as error:
        return _fail(1, f"{error} What was written lies in {folder}.")
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        return _fail(1, "interrupted.")
    return _end(options, outcome, folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=_minutes, default=30.0)
    parser.add_argument("--seed", default="1", help="the same one: the same contents and steps")
    parser.add_argument("--workers", type=int, default=1, help="processes of icapd")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--no-reloads", action="store_true", help="leave out SIGHUP")
    parser.add_argument("--no-status", action="store_true", help="leave out the status pages")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, too")
    return parser


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0.5 <= minutes <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"must be from 0.5 to {_MOST_MINUTES:.0f}")
    return minutes


def _run(options: argparse.Namespace, folder: Path, squid: str) -> Outcome:
    plan = make_plan(options.minutes, options.seed, reloads=not options.no_reloads)
    stage = Stage(folder, squid, options.workers, has_status=not options.no_status)
    with stage, progress(plan.half * 2) as tell:
        return Soak(stage, plan, options.seed, options.rate, tell).run()


def _end(options: argparse.Namespace, outcome: Outcome, folder: Path) -> int:
    if options.json is not None:
        options.json.write_text(json.dumps(report.to_plain(outcome), indent=1) + "\n")
    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in report.tables(outcome):
        console.print(table)
    faults = report.faults(outcome)
    if not faults:
        shutil.rmtree(folder)
        print("Nothing failed, and nothing grew.")
        return 0
    return _fail(1, "\n".join([*faults, f"What was written lies in {folder}."]))


def _fail(code: int, sentence: str) -> int:
    sys.stderr.write(f"make soak: {sentence}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
