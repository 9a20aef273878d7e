"""Where the demonstration lives: folders, certificates, configuration, records."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bridge.core import make_certificate
from bridge.emulator import EICAR


@dataclass(slots=True)
class Site:
    """The demonstration's folder and ports."""

    home: Path
    kata_port: int
    icap_port: int
    status_port: int  # the folder door's is the next one
    records_before: int = 0  # of earlier runs

    @property
    def config(self) -> Path:
        """The configuration file of both doors."""
        return self.home / "katabridge.yaml"

    def output(self, program: str) -> Path:
        """Where a program's output goes."""
        return self.home / "log" / f"{program}.out"

    @property
    def _token_file(self) -> Path:
        return self.home / "token"

    @property
    def token(self) -> str:
        """What the status page asks for before it shows the history."""
        return self._token_file.read_text()

    def prepare(self) -> None:
        """Make what the programs need; ids and certificates stay the same from run to run."""
        for name in ("in", "out", "quarantine", "log"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        if not (self.home / "client.pem").exists():
            make_certificate(self.home / "client.pem", self.home / "client.key", "katabridge-demo")
        if not (self.home / "sensor-id").exists():
            (self.home / "sensor-id").write_text(str(uuid.uuid4()))
        known = self._token_file.exists()
        _write_private(self._token_file, self.token if known else secrets.token_hex(10))
        text = f"A harmless text, new in every run: {uuid.uuid4()}\n"
        (self.home / "clean.txt").write_text(text)
        slow = f"#kata state=not_detected delay=40\nNew in every run: {uuid.uuid4()}\n"
        (self.home / "slow.bin").write_text(slow)
        (self.home / "eicar.com").write_bytes(EICAR)
        self.records_before = len(self.records())
        _write_private(self.config, yaml.safe_dump(self._settings(), sort_keys=False))

    def _settings(self) -> dict[str, Any]:
        return {
            "kata": {
                "urls": [f"https://127.0.0.1:{self.kata_port}"],
                "sensor_id": (self.home / "sensor-id").read_text(),
                "node": "demo",
                "client_cert": "client.pem",
                "client_key": "client.key",
                "server_ca": "kata/server.pem",
            },
            "verdicts": {"store": f"sqlite://{self.home.resolve()}/verdicts.db"},
            "spool": {"dir": "spool", "min_free": "64MiB"},
            "icap": {"listen": [f"127.0.0.1:{self.icap_port}"]},
            "folders": [
                {
                    "name": "demo",
                    "input": "in",
                    "output": "out",
                    "quarantine": "quarantine",
                    "settle": "1s",
                }
            ],
            "logs": {"dir": "log"},
            "status": {
                "icapd": f"127.0.0.1:{self.status_port}",
                "watch": f"127.0.0.1:{self.status_port + 1}",
                "token": self.token,
            },
        }

    def records(self) -> list[dict[str, Any]]:
        """What log-history.log holds."""
        path = self.home / "log" / "log-history.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


def _write_private(path: Path, text: str) -> None:
    """Write what only its owner may read, also where an earlier version left it open."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
