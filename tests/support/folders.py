"""The one rule of the folder door, checked on what lies in its folders and on what was recorded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bridge.emulator.script import read_script
from bridge.folder.sidecar import Sidecar, is_sidecar, parse_sidecar, sidecar_name
from tests.support.katabridge import Records, Site
from tests.support.processes import wait_until

OWN = ".katabridge"


@dataclass(frozen=True, slots=True)
class Places:
    """The three folders of a site, and what lies in them, at any depth, hidden files too.

    A draft of the door is no file yet, and not among them.
    """

    input: Path
    output: Path
    quarantine: Path

    @classmethod
    def of(cls, site: Site, number: int = 0) -> Self:
        """Those of one of the site's folders."""
        folder = site.settings().folders[number]
        return cls(folder.input, folder.output, folder.quarantine)

    def waiting(self) -> dict[str, Path]:
        """The files in input by their path there, claimed ones as `.katabridge/…`."""
        files = _files(self.input).items()
        return {n: path for n, path in files if not (n.startswith(OWN) and path.name == ".alive")}

    def delivered(self) -> dict[str, Path]:
        """The files in output by their path there."""
        return {n: path for n, path in _files(self.output).items() if not _is_draft(path)}

    def quarantined(self) -> dict[str, Path]:
        """The files in quarantine by their path there, without what lies beside them."""
        files = _files(self.quarantine).items()
        return {n: path for n, path in files if not (_is_draft(path) or _beside(path))}

    def sidecars(self) -> dict[str, Path]:
        """What lies beside the files in quarantine."""
        return {n: path for n, path in _files(self.quarantine).items() if _beside(path)}

    def wait_empty(self, seconds: float = 40) -> None:
        """Wait until nothing is left in input, nor claimed."""
        wait_until(lambda: not self.waiting(), f"{self.input} is empty", seconds)

    def leftovers(self) -> list[str]:
        """What is named as the door names its own, and claims that hold no file any more."""
        found = []
        for folder in (self.input, self.output, self.quarantine):
            for place, folders, files in os.walk(folder):
                inside = Path(place).relative_to(folder)
                is_claim = inside.parts[:1] == (OWN,) and len(inside.parts) > 2
                own = [*folders, *files] if is_claim else [n for n in files if n.startswith(OWN)]
                found += [f"{folder.name}/{inside}/{name}" for name in own]
                found += [f"{folder.name}/{inside}"] if is_claim else []
        return found


def sha256(data: bytes) -> str:
    """The key of a content."""
    return hashlib.sha256(data).hexdigest()


def check_ends(
    places: Places, records: Records, contents: Collection[bytes] | None, *, left: int = 0
) -> None:
    """Fail unless every content lies in exactly one place, the one its verdict says.

    `records`: of all bridges on these folders, and of no others. `contents`: each as often as it
    was dropped; None where that is not known. `left`: so many of them are still in input.
    """
    _check_delivered(places, records)
    _check_sidecars(places, records)
    if not left:
        with contextlib.suppress(AssertionError):  # a claim's folder goes after its file
            wait_until(lambda: not places.leftovers(), "it tidied up", 30)
        assert not places.leftovers(), "it left of its own"
    assert len(places.waiting()) == left, f"in input: {sorted(places.waiting())}"
    if contents is not None:
        _check_contents(places, Counter(map(sha256, contents)))
        _check_verdicts(places, contents)


def _check_delivered(places: Places, records: Records) -> None:
    """Nothing lies in a target without its record, and no record speaks of what is not there."""
    moved: dict[str, tuple[str, str]] = {}
    for record in records:
        target = record["context"]["moved_to"]
        if target is None:
            continue
        assert target not in moved, f"delivered twice: {target}"
        moved[target] = (record["sha256"], record["outcome"])
        is_clean = record["outcome"] == "not_detected"
        assert record["decision"] == ("pass" if is_clean else "block"), record
    for path in places.delivered().values():
        digest, outcome = moved.pop(str(path), ("", "no record"))
        assert (sha256(path.read_bytes()), outcome) == (digest, "not_detected"), path
    for path in places.quarantined().values():
        digest, outcome = moved.pop(str(path), ("", "no record"))
        assert sha256(path.read_bytes()) == digest, f"{path}: {outcome}"
        assert outcome not in ("not_detected", "no record"), f"{path}: {outcome}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not moved, f"recorded as delivered, and not there: {sorted(moved)}"


def _check_sidecars(places: Places, records: Records) -> None:
    by_target = {record["context"]["moved_to"]: record for record in records}
    beside = places.sidecars()
    for name, path in places.quarantined().items():
        sidecar = beside.pop(str(Path(name).with_name(sidecar_name(path.name))), None)
        assert sidecar is not None, f"nothing beside {path}"
        said: Sidecar = parse_sidecar(sidecar.read_bytes())
        record = by_target[str(path)]
        told = (said.file, said.case, said.sha256, said.outcome)
        assert told == (path.name, record["case"], record["sha256"], record["outcome"])
    assert not beside, f"beside nothing: {sorted(beside)}"


def _check_contents(places: Places, dropped: Counter[str]) -> None:
    found: Counter[str] = Counter()
    for files in (places.waiting(), places.delivered(), places.quarantined()):
        found += Counter(sha256(path.read_bytes()) for path in files.values())
    assert not dropped - found, f"{(dropped - found).total()} contents are lost"
    assert not found - dropped, f"{(found - dropped).total()} contents are there too often"


def _check_verdicts(places: Places, contents: Collection[bytes]) -> None:
    """The records may be wrong, too: the emulator's verdict is a function of the content."""
    clean = {sha256(data) for data in contents if read_script(data).state == "not detected"}
    wrong = [p for p in places.delivered().values() if sha256(p.read_bytes()) not in clean]
    wrong += [p for p in places.quarantined().values() if sha256(p.read_bytes()) in clean]
    assert not wrong, f"in the wrong place: {wrong}"


def _files(folder: Path) -> dict[str, Path]:
    found = {}
    for place, _, names in os.walk(folder, onerror=_not_gone):
        for name in names:
            path = Path(place, name)
            found[str(path.relative_to(folder))] = path
    return found


def _not_gone(error: OSError) -> None:
    """A claim may go while we look; whatever else fails must not look like an empty folder."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _beside(path: Path) -> bool:
    return is_sidecar(path.name)


def _is_draft(path: Path) -> bool:
    return path.name.startswith(f"{OWN}-")
