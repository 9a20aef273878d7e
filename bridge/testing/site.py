"""One katabridge on this machine: folders, certificates and a configuration for both doors."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import bridge
from bridge.core import Settings, fingerprint, load_config, tail_lines
from bridge.testing.certificates import put_certificate
from bridge.testing.plain import plain_mapping
from bridge.testing.ports import free_port
from bridge.testing.processes import Program, accepts, module, wait_until

Record = dict[str, Any]
Records = list[Record]
_ALL = 1 << 40  # bytes
_CODE = Path(bridge.__path__[0]).parent  # programs run here, so that they are of this very version


def deep_merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `more` says otherwise; mappings are merged, all else replaced."""
    merged = dict(base)
    for key, value in more.items():
        inner = merged.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        merged[key] = deep_merge(inner, value) if both and inner is not None else value
    return merged


def fits(record: Record, wanted: Mapping[str, object]) -> bool:
    """Whether a record has all these values, its `context` included."""
    both = {**record["context"], **record}
    return all(both.get(key) == value for key, value in wanted.items())


@dataclass
class Site:
    """Folders, certificates and a configuration file around one Central Node.

    `changes`: settings that differ from those of a site, as they stand in the file.
    """

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
        return self.write()

    def write(self) -> Path:
        """Write the configuration file, and say where it is.

        HarnessError for changes that a file cannot hold; it is then as before.
        """
        path = self.directory / "katabridge.yaml"
        draft = path.with_suffix(".new")  # a program that starts just now reads it whole
        draft.write_text(yaml.safe_dump(plain_mapping(deep_merge(self._base(), self.changes))))
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

    def records(self, log: str = "log-history.log", **wanted: object) -> Records:
        """What the log holds now, and what midnight has set aside of it, oldest first.

        `wanted`: values that a record, or its `context`, must have.
        """
        path = self.directory / "log" / log
        if not path.parent.exists():
            return []
        lines = [json.loads(line) for line in tail_lines(path, _ALL)]
        return [each for each in lines if fits(each, wanted)] if wanted else lines

    def wait_records(self, count: int, log: str = "log-history.log", **wanted: object) -> Records:
        """What the log holds once it holds so many: a threat's name may be looked up first."""
        what = f"{count} lines in {log}" + "".join(f", {k} {v!r}" for k, v in wanted.items())
        wait_until(lambda: len(self.records(log, **wanted)) >= count, what)
        return self.records(log, **wanted)

    def start_icapd(self) -> Program:
        """The ICAP door as a program of its own, once it listens."""
        command = [*module("icapd.cli"), "--config", self.config]
        program = Program(command, self.directory / "icapd.out", _CODE)
        # its own word: on a port that was taken meanwhile another program would answer
        program.wait_for(
            lambda: "icapd listens" in program.said() and accepts(self.icap_port), "icapd"
        )
        return program

    def start_watch(self) -> Program:
        """The folder door as a program of its own, once it watches."""
        command = [*module("bridge.cli"), "watch", "--config", self.config]
        program = Program(command, self.directory / "watch.out", _CODE)
        program.wait_for(lambda: "watches" in program.said(), "kata-bridge watch")
        return program
