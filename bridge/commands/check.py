"""`kata-bridge check`: the doctor, who looks at all that a verdict needs, and changes nothing."""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING

from bridge.commands.checking.examination import Examination, read_configuration
from bridge.commands.checking.line import Line, Status, result
from bridge.commands.checking.report import Report
from bridge.commands.kds_options import (
    add_kds_config,
    add_log,
    add_places,
    add_trust,
    config_of,
    load_named,
    refuse_without_kds_config,
    service_log,
)
from bridge.commands.terminal import complain
from bridge.core import ConfigError, exit_code

if TYPE_CHECKING:
    from bridge.commands import Commands

_EXIT_CONFIG = 2
_EXIT_UNSAID = 2
_EXIT_STOPPED = 130
_PATIENCE = 0.5


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "check",
        help="look at everything that a verdict needs, and say what is wrong",
        description="Looks at configuration, certificates, disks, KATA, folders and the running "
        "icapd, within a minute or so. The first line that failed names the fault. It changes "
        "nothing, but KATA is given one small file, and the self-test of icapd leaves records, "
        "and a detection of EICAR.",
    )
    add_kds_config(parser)
    parser.add_argument("--json", action="store_true", help="a JSON object")
    parser.add_argument(
        "--no-self-test",
        action="store_true",
        help="do not ask icapd, and send no body, neither there nor to KATA",
    )
    add_trust(parser)
    add_places(parser)
    add_log(parser)
    parser.set_defaults(run=run, unsaid=_EXIT_UNSAID)


def run(options: argparse.Namespace) -> int:
    """0 nothing failed, 1 something did, 130 Ctrl-C; 2 the configuration cannot be read, or
    stdout does not take what is found."""
    try:
        refuse_without_kds_config(options)
    except ConfigError as error:
        complain("check", str(error))
        return _EXIT_CONFIG
    report = Report(as_json=options.json)
    check = _Check(options)
    try:
        with contextlib.closing(check.lines()) as lines, report.showing(lambda: check.looks_at):
            for line in lines:
                report.add(line)
        report.end()
    except KeyboardInterrupt:
        complain("check", "stopped.")
        return _EXIT_STOPPED
    code = check.exit_code
    if check.hangs or is_held_up():  # Python would wait for such threads before it ends
        os._exit(exit_code(code, _EXIT_UNSAID))
    return code


def is_held_up() -> bool:
    """Whether a call to KATA still hangs: its threads are no daemons."""
    calls = [each for each in threading.enumerate() if each.name.startswith("kata-")]
    for thread in calls:
        if not thread.daemon:
            thread.join(_PATIENCE)
    return any(thread.is_alive() and not thread.daemon for thread in calls)


class _Check:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._examination: Examination | None = None
        self._found: list[Line] = []

    @property
    def looks_at(self) -> str:
        """What is being looked at."""
        return self._examination.looks_at if self._examination else "configuration"

    @property
    def hangs(self) -> bool:
        """Whether something was left that still hangs."""
        return self._examination is not None and self._examination.overran

    @property
    def exit_code(self) -> int:
        """By all that was found."""
        if self._examination is None:
            return _EXIT_CONFIG
        return int(result(self._found) is Status.FAILED)

    def lines(self) -> Generator[Line, None, None]:
        """Everything, as it is known."""
        options, config = self._options, config_of(self._options)
        settings, lines = read_configuration(config, lambda _: load_named(options))
        if settings is not None:
            self._examination = Examination(
                settings,
                config,
                self_test=not options.no_self_test,
                service_log=None if options.kds_config is None else service_log(options),
            )
        self._found += lines
        yield from lines
        if self._examination is not None:
            for line in self._examination.lines():
                self._found.append(line)
                yield line
