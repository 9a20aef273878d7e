"""What the emulated KATA remembers: external systems, their scans, and what was asked of it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.emulator.script import Script, read_script

MAX_OBJECT_SIZE = 100 << 20
VERSION = "emulator"


class EmulatorError(Exception):
    """The emulator's folder cannot be used; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class EmulatedScan:
    """One accepted scan. `done_at` in monotonic seconds."""

    scan_id: str
    sensor: str
    instance: str
    state: str
    done_at: float
    name: str
    size: int
    sha256: str
    md5: str

    def state_now(self) -> str:
        """`processing` until its time has come."""
        return self.state if time.monotonic() >= self.done_at else "processing"


@dataclass(slots=True)
class Memory:
    """The emulator's state. Sensors survive in `sensors.json`; scans do not.

    `calls` counts requests by call, `submitted` names what was accepted, `deleted` what was
    DELETEd, in order. `scripts`: what happens to contents by their sha256, whatever they say
    themselves. `failing`: its `fault` and `times` count for every content.
    """

    directory: Path
    accept: str = "auto"
    delay: float = 0.2
    max_in_flight: int | None = None
    max_object_size: int = MAX_OBJECT_SIZE
    scans: dict[tuple[str, str], EmulatedScan] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    submitted: list[EmulatedScan] = field(default_factory=list)
    deleted: list[EmulatedScan] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    scripts: dict[str, Script] = field(default_factory=dict)
    failing: Script | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def is_accepted(self, sensor: str, fingerprint: str) -> bool:
        """Whether this id with this certificate was accepted; a new one is noted (401 until)."""
        with self.lock:
            sensors = read_sensors(self.directory)
            entry = sensors.get(sensor)
            if entry is None:
                accepted = self.accept == "auto"
                sensors[sensor] = {"fingerprint": fingerprint, "accepted": accepted}
                write_sensors(self.directory, sensors)
                return accepted
            if entry["fingerprint"] == fingerprint:
                return bool(entry["accepted"])
            if entry.get("changed_to") != fingerprint:
                entry["changed_to"] = fingerprint
                write_sensors(self.directory, sensors)
            return False

    def is_busy(self) -> bool:
        """Whether as many scans run as are allowed."""
        with self.lock:
            running = sum(scan.state_now() == "processing" for scan in self.scans.values())
            return self.max_in_flight is not None and running >= self.max_in_flight

    def script(self, sha256: str, content: bytes) -> Script:
        """What happens to a content."""
        with self.lock:
            script = self.scripts.get(sha256) or read_script(content)
            if self.failing is None or script.fault is not None:
                return script
            return replace(script, fault=self.failing.fault, times=self.failing.times)

    def fault_due(self, sha256: str, script: Script) -> bool:
        """Whether this submission of the content is one that fails."""
        with self.lock:
            self.attempts[sha256] += 1
            if script.fault is None:
                return False
            return script.times is None or self.attempts[sha256] <= script.times

    def add(self, scan: EmulatedScan) -> None:
        """Accept a scan."""
        with self.lock:
            self.scans[scan.sensor, scan.scan_id] = scan
            self.submitted.append(scan)

    def of_sensor(self, sensor: str, instance: str | None) -> list[EmulatedScan]:
        """All scans of a sensor, or of one of its instances."""
        with self.lock:
            return [
                scan
                for scan in self.scans.values()
                if scan.sensor == sensor and instance in (None, scan.instance)
            ]

    def forget(self, sensor: str, scan_id: str) -> bool:
        """Drop one scan; an empty id drops all of the sensor, as KATA does."""
        with self.lock:
            if scan_id:
                scan = self.scans.pop((sensor, scan_id), None)
                self.deleted += [scan] if scan is not None else []
                return scan is not None
            for scan in self.of_sensor(sensor, None):
                self.deleted.append(self.scans.pop((sensor, scan.scan_id)))
            return True


def read_sensors(directory: Path) -> dict[str, dict[str, str | bool]]:
    """The external systems that were seen, by id."""
    path = _sensors(directory)
    try:
        loaded = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        loaded = None
    if not isinstance(loaded, dict) or not all(_is_sensor(entry) for entry in loaded.values()):
        raise EmulatorError(f"{path} is damaged; remove it, and systems are accepted anew.")
    return loaded


def _is_sensor(entry: object) -> bool:
    return isinstance(entry, dict) and {"fingerprint", "accepted"} <= entry.keys()


def write_sensors(directory: Path, sensors: dict[str, dict[str, str | bool]]) -> None:
    """Replace the list of external systems."""
    draft = directory / ".sensors.json.new"
    draft.write_text(json.dumps(sensors, indent=1))
    draft.replace(_sensors(directory))


def accept_sensor(directory: Path, sensor: str) -> bool:
    """Press Accept for a system, with the certificate that waits; False where none was seen."""
    sensors = read_sensors(directory)
    if sensor not in sensors:
        return False
    entry = sensors[sensor]
    entry["fingerprint"] = entry.pop("changed_to", entry["fingerprint"])
    entry["accepted"] = True
    write_sensors(directory, sensors)
    return True


def _sensors(directory: Path) -> Path:
    return directory / "sensors.json"
