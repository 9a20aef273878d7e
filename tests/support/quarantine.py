"""Files in quarantine, and `kata-bridge quarantine` over them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.core import new_case_id
from bridge.emulator import EICAR
from bridge.folder.sidecar import Sidecar, format_sidecar, sidecar_name
from tests.support.commands import Done, call
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until

Keep = Callable[[Program], Program]
BAD = b"#kata state=error\n"


def line_of(site: Site, *words: str) -> list[str]:
    """`kata-bridge quarantine WORDS`, to be started as a program."""
    return [*module("bridge.cli"), "quarantine", *words, "--config", str(site.config)]


def command(site: Site, *words: str, **environment: str) -> Done:
    """`kata-bridge quarantine WORDS` in this process."""
    return call("quarantine", *words, "--config", site.config, **environment)


def fill(site: Site, started: Keep, files: dict[str, bytes]) -> Program:
    """Have the daemon, which goes on running, put files into quarantine."""
    for path, data in files.items():
        place = site.directory / "in" / path
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(data)
        place.chmod(0o640)
        os.utime(place, ns=(10**18, 10**18 + 7))
    program = started(site.start_watch())
    site.wait_records(len(files))
    wait_until(lambda: not files_in(site, "in"), "the sources are removed", 20)
    return program


def plant(site: Site, files: dict[str, bytes]) -> None:
    """Put files into quarantine as the daemon does, without one."""
    for path, data in files.items():
        place = site.directory / "quarantine" / path
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(data)
        note = Sidecar(
            file=place.name,
            case=new_case_id(),
            time=datetime.now().astimezone().isoformat(timespec="milliseconds"),
            folder="share",
            path=path,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            outcome="detect" if data == EICAR else "error",
            source="kata",
            threat="EICAR-Test-File" if data == EICAR else None,
        )
        note_path(site, path).write_bytes(format_sidecar(note))


def files_in(site: Site, place: str) -> set[str]:
    """All files in and below a place, notes and hidden ones too."""
    top = site.directory / place
    walk = os.walk(top)
    return {os.path.relpath(Path(above) / name, top) for above, _, names in walk for name in names}


def note_path(site: Site, path: str) -> Path:
    """Where the note of a quarantined file is."""
    *parts, name = path.split("/")
    return site.directory.joinpath("quarantine", *parts, sidecar_name(name))


def note_of(site: Site, path: str) -> dict[str, Any]:
    """What that note says."""
    loaded: dict[str, Any] = json.loads(note_path(site, path).read_bytes())
    return loaded


def forge(site: Site, path: str, changes: dict[str, Any]) -> None:
    """Write a note as a stranger would."""
    note_path(site, path).write_text(json.dumps(note_of(site, path) | changes))


def objects(done: Done) -> list[dict[str, Any]]:
    """What a command with --json wrote."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def pair(path: str) -> set[str]:
    """The names of a quarantined file and of its note."""
    return {path, f"{path}.katabridge.json"}
