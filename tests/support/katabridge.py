"""A configured katabridge with an emulated KATA, as the end-to-end tests use it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bridge.core import Settings, fingerprint, load_config, tail_lines
from bridge.emulator import Emulator, Memory
from tests.support.certificates import put_certificate
from tests.support.processes import Program, accepts, free_port, module, wait_until

Records = list[dict[str, Any]]
_ALL = 1 << 40  # bytes


def deep_merge(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`base` with what `more` says otherwise; mappings are merged, all else replaced."""
    merged = dict(base)
    for key, value in more.items():
        inner = merged.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        merged[key] = deep_merge(inner, value) if both and inner is not None else value
    return merged


@dataclass
class Site:
    """Folders, certificates and a configuration file around one Central Node."""

    directory: Path
    url: str
    server_certificate: Path
    icap_port: int = field(default_factory=free_port)
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sensor_id = str(uuid.uuid4())
        self.folder: dict[str, Any] = {
            "name": "share",
            "input": "in",
            "output": "out",
            "quarantine": "quarantine",
            "settle": "300ms",
            "rescan": "100ms",
        }
        for name in ("in", "out", "quarantine"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        put_certificate(self.directory / "client.pem", self.directory / "client.key")

    @property
    def config(self) -> Path:
        """The configuration file, written anew at each look."""
        path = self.directory / "katabridge.yaml"
        draft = path.with_suffix(".new")  # a program that starts just now reads it whole
        draft.write_text(yaml.safe_dump(deep_merge(self._base(), self.changes)))
        draft.replace(path)
        return path

    def settings(self) -> Settings:
        """The configuration as the program reads it."""
        return load_config(self.config)

    def _base(self) -> dict[str, Any]:
        return {
            "kata": {
                "urls": [self.url],
                "sensor_id": self.sensor_id,
                "node": "test",
                "client_cert": "client.pem",
                "client_key": "client.key",
                "server_ca": str(self.server_certificate),
                "server_fingerprint": f"sha256:{fingerprint(self.server_certificate)}",
                "poll_interval_waiting": "300ms",
            },
            "verdicts": {"store": f"sqlite://{self.directory}/verdicts.db"},
            "spool": {"dir": "spool", "min_free": "1MiB"},
            "icap": {"listen": [f"127.0.0.1:{self.icap_port}"]},
            "folders": [self.folder],
            "logs": {"dir": "log"},
            "status": {"icapd": None, "watch": None},
        }

    def records(self, log: str = "log-history.log") -> Records:
        """What the log holds now, and what midnight has set aside of it."""
        path = self.directory / "log" / log
        if not path.parent.exists():
            return []
        return [json.loads(line) for line in tail_lines(path, _ALL)]

    def wait_records(self, count: int, log: str = "log-history.log") -> Records:
        """What the log holds once it holds so many: a threat's name may be looked up first."""
        wait_until(lambda: len(self.records(log)) >= count, f"{count} lines in {log}")
        return self.records(log)

    def start_icapd(self) -> Program:
        """The ICAP door as a program of its own."""
        command = [*module("icapd.cli"), "--config", self.config]
        program = Program(command, self.directory / "icapd.out")
        program.wait_for(lambda: accepts(self.icap_port), "icapd")
        return program

    def start_watch(self) -> Program:
        """The folder door as a program of its own."""
        command = [*module("bridge.cli"), "watch", "--config", self.config]
        program = Program(command, self.directory / "watch.out")
        program.wait_for(lambda: "watches" in program.output(), "kata-bridge watch")
        return program


def emulated_site(directory: Path, memory: Memory, **changes: Any) -> tuple[Site, Emulator]:
    """An emulator that is ready to serve, and a site that uses it."""
    emulator = Emulator(memory)
    return Site(directory, emulator.url, emulator.certificate, changes=changes), emulator
