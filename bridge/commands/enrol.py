"""`kata-bridge enrol`: makes what this system shows to KATA, and waits until KATA accepts it."""

from __future__ import annotations

import argparse
import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands.clock import Clock
from bridge.commands.enrol_config import KataSection, put, read_section, write_new, written_path
from bridge.commands.enrol_trust import EnrolError, Trust
from bridge.commands.enrol_wait import wait_for_acceptance
from bridge.commands.terminal import complain, prepare, reason, say
from bridge.core import (
    ConfigError,
    certificate_expiry,
    expiry_warning,
    find_config,
    load_config,
    make_certificate,
    parse_central_node,
    parse_duration,
    renew_certificate,
)

if TYPE_CHECKING:
    from bridge.commands import Commands

_FILE = "katabridge.yaml"
_SUBJECT = "katabridge"


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser("enrol", help="make id and certificate, and have KATA accept them")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
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
    prepare()
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
    path = _config_path(options)
    exists = os.path.lexists(path)
    found = _section(path, exists, options)
    pair = _Pair(
        found.certificate or (options.dir or path.parent) / "client.pem",
        found.key or (options.dir or path.parent) / "client.key",
    )
    pair.check(force=options.force)
    clock = Clock(options.timeout)
    trust = Trust(found, path, yes=options.yes, force=options.force)
    trust.establish(clock)
    _write(path, exists, found, pair, trust, options)
    pair.make(anew=options.force or options.renew)
    if wait_for_acceptance(load_config(path), trust, clock):
        say(f"KATA accepts this system. Next: kata-bridge scan --config {path} PATH")
        return 0
    complain("enrol", f"time is up. {_again(options)}")
    return 1


def _config_path(options: argparse.Namespace) -> Path:
    if options.config is None and options.dir is not None:
        return Path(options.dir) / _FILE
    return find_config(options.config)


def _section(path: Path, exists: bool, options: argparse.Namespace) -> KataSection:
    if not exists:
        if not options.url:
            raise ConfigError(f"{path} does not exist: name the Central Nodes with --url.")
        return KataSection(urls=tuple(dict.fromkeys(options.url)))
    say(f"{path} exists: it is used, and only what is missing is added.")
    section = read_section(path)
    if not section.urls:
        raise ConfigError(f"{path}: kata.urls: write the Central Nodes there first.")
    if options.url and set(options.url) != set(section.urls):
        urls = ", ".join(section.urls)
        raise ConfigError(f"{path}: kata.urls names {urls}: change it there, or leave --url out.")
    return section


def _write(  # noqa: PLR0913, PLR0917 - all that is known
    path: Path,
    exists: bool,
    found: KataSection,
    pair: _Pair,
    trust: Trust,
    options: argparse.Namespace,
) -> None:
    """Write what is missing, before the certificate is made: a file that cannot be edited is said
    first."""
    new_id = found.sensor_id is None or (options.force and not options.renew)
    sensor_id = str(uuid.uuid4()) if new_id else found.sensor_id
    if not exists:
        whole = replace(found, sensor_id=sensor_id, certificate=pair.certificate, key=pair.key)
        write_new(path, replace(whole, pin=trust.pin))
        say(f"{path} is new, with the sensorId {sensor_id}.")
        return
    if new_id and sensor_id is not None:
        put(path, "sensor_id", sensor_id)
        say(f"{path} has a new sensorId: {sensor_id}.")
    if found.certificate is None:
        put(path, "client_cert", written_path(pair.certificate, path))
    if found.key is None:
        put(path, "client_key", written_path(pair.key, path))
    if trust.pin is not None and trust.pin != found.pin:
        put(path, "server_fingerprint", f"sha256:{trust.pin}")


class _Pair:
    """The certificate and key that this system shows."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate = certificate
        self.key = key

    def check(self, *, force: bool) -> None:
        """EnrolError for half a pair."""
        there, missing = self.certificate, self.key
        if there.exists() == missing.exists() or force:
            return
        if missing.exists():
            there, missing = missing, there
        raise EnrolError(
            f"{there} is there, but not {missing}, which belongs to it: put it back, or make both "
            "anew with --force."
        )

    def make(self, *, anew: bool) -> None:
        """Make the pair where there is none; `anew`: another one, and the old one is kept."""
        there = self.certificate.exists() or self.key.exists()
        if not there:
            make_certificate(self.certificate, self.key, _SUBJECT)
            say(f"{self.certificate} and {self.key} are new.")
        elif anew:
            renew_certificate(self.certificate, self.key, _SUBJECT)
            say(
                f"{self.certificate} and {self.key} are new; "
                "the old ones are kept beside them (.old)."
            )
            say("KATA must accept this system anew: until then it takes no files from it.")
        else:
            say(f"{self.certificate} and {self.key} exist: they are used as they are.")
            self._warn()

    def _warn(self) -> None:
        try:
            expires = certificate_expiry(self.certificate)
        except ValueError:
            return  # the configuration's check names the file and what is wrong with it
        warning = expiry_warning(self.certificate, expires, datetime.now(UTC))
        if warning is not None:
            complain("enrol", warning)
