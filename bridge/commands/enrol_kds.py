"""Enrolment kept in KDS's configuration and in the files that it names."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from dataclasses import replace

from bridge.commands.enrol_config import KataSection
from bridge.commands.enrol_pair import Pair
from bridge.commands.enrol_trust import EnrolError, PinPlace
from bridge.commands.kds_options import named_pin, read_installation
from bridge.commands.terminal import reason, say
from bridge.core import ConfigError, Settings
from bridge.folder.kds import fill_system_id, make_pair, read_conf, read_pin, renew_pair, write_pin


class KdsPlace:
    """What an installation of KDS has, and what enrolment adds to it."""

    def __init__(self, options: argparse.Namespace) -> None:
        """ConfigError where what is there cannot be used."""
        if options.url or options.dir is not None:
            option, key = ("--url", "kata_cn_addr") if options.url else ("--dir", "cert_pem")
            raise ConfigError(
                f"{option} does not go with --kds-config, whose {key} says it: leave it out."
            )
        self._installation = read_installation(options)
        self._installation.check_but_enrolment()
        conf = self._installation.conf
        pin = named_pin(options, self._installation)
        self.section = KataSection(
            urls=(conf.url,),
            sensor_id=conf.system_id,
            certificate=conf.paths["cert_pem"],
            key=conf.paths["cert_key"],
            pin=None if pin is None else pin.digits,
        )
        self.pair = Pair(conf.paths["cert_pem"], conf.paths["cert_key"], make_pair, renew_pair)
        where = str(self._installation.pin_file) if pin is None else pin.where
        by_hand = "name its fingerprint with --fingerprint sha256:…"
        self.pin_place = PinPlace(where, where, str(conf.path), by_hand)
        state = "" if options.state is None else f" --state {shlex.quote(str(options.state))}"
        self.next_command = (
            f"kata-bridge watch --kds-config {shlex.quote(str(options.kds_config))}{state}"
        )

    def write(self, sensor_id: str, pin: str | None) -> None:
        """Pin the server, and fill in the id; ConfigError or EnrolError where it cannot be."""
        path = self._installation.conf.path
        if pin is not None:
            self._pin(pin)
        if sensor_id != self.section.sensor_id:
            fill_system_id(path, sensor_id)
            say(f"{path} has a new system_id: {sensor_id}.")

    def settings(self, pin: str | None) -> Settings:
        """What `watch --kds-config` runs with; ConfigError."""
        if pin is None:
            raise ValueError("a server that is not pinned")
        conf = read_conf(self._installation.conf.path)
        return replace(self._installation, conf=conf).settings(pin)

    def _pin(self, pin: str) -> None:
        file = self._installation.pin_file
        with contextlib.suppress(ConfigError):  # a damaged one is replaced by what was named
            kept = read_pin(file)
            if kept is not None and kept.digits == pin:
                return
        try:
            write_pin(file, pin)
        except OSError as error:
            raise EnrolError(
                f"{file}: cannot be written: {reason(error)}; name another folder with --state."
            ) from None
        say(
            f"The certificate sha256:{pin} is trusted from now on. KDS's configuration has no "
            f"place for it: it is kept in {file}. If somebody stood in between just now, he is "
            "trusted: compare it with the Central Node's own."
        )
