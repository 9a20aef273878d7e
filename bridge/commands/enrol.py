"""`kata-bridge enrol`: makes what this system shows to KATA, and waits until KATA accepts it."""

from __future__ import annotations

import argparse
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bridge.commands.clock import Clock
from bridge.commands.enrol_config import KataSection
from bridge.commands.enrol_kds import KdsPlace
from bridge.commands.enrol_pair import Pair
from bridge.commands.enrol_trust import EnrolError, PinPlace, Trust
from bridge.commands.enrol_wait import wait_for_acceptance
from bridge.commands.enrol_yaml import YamlPlace
from bridge.commands.kds_options import add_kds_config, add_trust, refuse_without_kds_config
from bridge.commands.terminal import complain, reason, say
from bridge.core import ConfigError, Settings, parse_central_node, parse_duration

if TYPE_CHECKING:
    from bridge.commands import Commands


class Place(Protocol):
    """Where what enrolment needs and makes is kept."""

    section: KataSection
    pair: Pair
    pin_place: PinPlace
    next_command: str

    def write(self, sensor_id: str, pin: str | None) -> None:
        """Keep what is missing, before the certificate is made: what cannot be edited is said
        first."""

    def settings(self, pin: str | None) -> Settings:
        """The settings with everything in its place."""


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser("enrol", help="make id and certificate, and have KATA accept them")
    add_kds_config(parser)
    parser.add_argument(
        "--url", type=_central_node, nargs="+", action="extend", default=[], metavar="URL",
        help="Central Nodes for a configuration that does not exist yet",
    )  # fmt: skip
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where what is missing is put")
    parser.add_argument("--yes", action="store_true", help="trust the server's certificate unasked")
    parser.add_argument(
        "--force", action="store_true",
        help="make id, certificate and key anew, and take another server certificate",
    )  # fmt: skip
    parser.add_argument("--renew", action="store_true", help="a new certificate for the same id")
    parser.add_argument(
        "--timeout", type=_duration, default="1h", metavar="TIME", help="how long to wait (1h)"
    )
    add_trust(parser)
    parser.set_defaults(run=run)


def _central_node(text: str) -> str:
    try:
        return parse_central_node(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: argparse.Namespace) -> int:
    """Enrol: 0 accepted, 1 refused or not accepted in time, 2 usage or configuration."""
    try:
        return _enrol(options)
    except ConfigError as error:
        for line in str(error).splitlines():
            complain("enrol", line)
        return 2
    except EnrolError as error:
        complain("enrol", str(error))
    except OSError as error:
        complain("enrol", f"{error.filename or 'this machine'}: {reason(error)}.")
    except KeyboardInterrupt:
        complain("enrol", f"stopped. {_again(options)}")
    return 1


def _again(options: argparse.Namespace) -> str:
    without = " without --renew and --force" if options.renew or options.force else ""
    return f"What was made is kept: call it again{without}."


def _enrol(options: argparse.Namespace) -> int:
    refuse_without_kds_config(options)
    place: Place = YamlPlace(options) if options.kds_config is None else KdsPlace(options)
    place.pair.check(force=options.force)
    clock = Clock(options.timeout)
    trust = Trust(place.section, place.pin_place, yes=options.yes, force=options.force)
    trust.establish(clock)
    place.write(_sensor_id(place.section, options), trust.pin)
    place.pair.make(anew=options.force or options.renew)
    if wait_for_acceptance(place.settings(trust.pin), trust, clock):
        say(f"KATA accepts this system. Next: {place.next_command}")
        return 0
    complain("enrol", f"time is up. {_again(options)}")
    return 1


def _sensor_id(section: KataSection, options: argparse.Namespace) -> str:
    if section.sensor_id is None or (options.force and not options.renew):
        return str(uuid.uuid4())
    return section.sensor_id
