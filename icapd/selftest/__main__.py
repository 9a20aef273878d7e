"""`python -m icapd.selftest`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from bridge.core import Settings, open_streams, read_settings, run_program
from icapd.selftest.examination import examine
from icapd.selftest.finding import Finding

_SECONDS = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Ask icapd: 0 nothing failed, 1 something did, 2 the configuration cannot be read."""
    open_streams("icapd.selftest")
    return run_program(lambda: _run(arguments))


def _run(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m icapd.selftest",
        description="Asks the icapd of a configuration: OPTIONS, a clean body and EICAR through "
        "each service. It leaves records, and a detection.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument("--json", action="store_true", help="a JSON object for each line")
    parser.add_argument("--seconds", type=float, default=_SECONDS, metavar="N", help="at most")
    parser.add_argument("--without-bodies", metavar="WHY", help="OPTIONS only")
    parser.add_argument("--runs", action="store_true", help="icapd is known to run here")
    options = parser.parse_args(arguments)
    settings = read_settings(options.config, check_only=False)
    if isinstance(settings, int):
        return settings
    code = 0
    for finding in _findings(settings, options):
        text = finding.as_json() if options.json else finding.as_text()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        code = 1 if finding.status == "failed" else code
    return code


def _findings(settings: Settings, options: argparse.Namespace) -> Iterator[Finding]:
    try:
        yield from examine(settings, options.seconds, options.without_bodies, runs=options.runs)
    except Exception as error:  # whatever answers there may say what it likes
        sentence = f"it could not be asked: {type(error).__name__}: {error}"
        yield Finding("failed", sentence, "report this as a fault of katabridge")


if __name__ == "__main__":
    sys.exit(main())
