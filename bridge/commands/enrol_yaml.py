"""Enrolment kept in a katabridge.yaml, which is made where it is missing."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from bridge.commands.enrol_config import KataSection, put, read_section, write_new, written_path
from bridge.commands.enrol_pair import Pair
from bridge.commands.enrol_trust import PinPlace
from bridge.commands.terminal import say
from bridge.core import ConfigError, Settings, find_config, load_config

_FILE = "katabridge.yaml"


class YamlPlace:
    """What a katabridge.yaml says of KATA, and what enrolment adds to it."""

    def __init__(self, options: argparse.Namespace) -> None:
        """ConfigError where what is there cannot be used."""
        self._path = path = _config_path(options)
        self._exists = os.path.lexists(path)
        self.section = _section(path, self._exists, options)
        folder = options.dir or path.parent
        self.pair = Pair(
            self.section.certificate or folder / "client.pem",
            self.section.key or folder / "client.key",
        )
        self.pin_place = PinPlace(
            "kata.server_fingerprint",
            f"kata.server_fingerprint, {path}",
            str(path),
            "write its fingerprint as kata.server_fingerprint in the configuration",
        )
        self.next_command = f"kata-bridge scan --config {path} PATH"

    def write(self, sensor_id: str, pin: str | None) -> None:
        """Write what is missing or other than before; ConfigError where it cannot be."""
        path, found, pair = self._path, self.section, self.pair
        if not self._exists:
            whole = replace(found, sensor_id=sensor_id, certificate=pair.certificate, key=pair.key)
            write_new(path, replace(whole, pin=pin))
            say(f"{path} is new, with the sensorId {sensor_id}.")
            return
        if sensor_id != found.sensor_id:
            put(path, "sensor_id", sensor_id)
            say(f"{path} has a new sensorId: {sensor_id}.")
        if found.certificate is None:
            put(path, "client_cert", written_path(pair.certificate, path))
        if found.key is None:
            put(path, "client_key", written_path(pair.key, path))
        if pin is not None and pin != found.pin:
            put(path, "server_fingerprint", f"sha256:{pin}")

    def settings(self, pin: str | None) -> Settings:
        """The configuration as the programs read it; ConfigError."""
        del pin  # it stands there
        return load_config(self._path)


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
