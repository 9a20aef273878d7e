"""What a command is about to do with a file in quarantine, kept until it is done. Blocks: disk.

One file a case, beside the spool: a crash neither loses what was taken nor hides what was released.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bridge.core import Decision, Outcome, OutcomeKind, Source
from bridge.folder.places import sync_folder
from bridge.folder.quarantine.custody import Taken
from bridge.folder.sidecar import Sidecar

_DIR = ".quarantine"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one file.

    `root`: its quarantine, `taken` what is taken there. `sha256` and `size`: its bytes, None where
    only a note is removed. `delivers_to`: the folder to whose output it goes. `removes`: whether
    it leaves the quarantine. `outcome`, `decision`, `name`, `context`: what the record says.
    """

    root: str
    taken: Taken
    name: str
    context: dict[str, str | None]
    sha256: str | None
    size: int
    outcome: Outcome
    decision: Decision
    delivers_to: str | None
    removes: bool

    @property
    def case_id(self) -> str:
        """The case of what is done."""
        return self.taken.case_id


class Plans:
    """The plans of one instance."""

    def __init__(self, spool: Path, instance: str) -> None:
        """`spool`: the folder that all instances share."""
        self._dir = spool / f"{instance}{_DIR}"

    def keep(self, plan: Plan) -> None:
        """Have it outlive the process; OSError where it would not."""
        self._dir.mkdir(mode=0o700, exist_ok=True)
        path = self._dir / plan.case_id
        draft = path.with_name(f".{path.name}")
        with draft.open("wb") as file:
            file.write(json.dumps(asdict(plan)).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        self._sync()

    def drop(self, case_id: str) -> None:
        """It is done."""
        with contextlib.suppress(OSError):
            (self._dir / case_id).unlink(missing_ok=True)

    def left(self) -> Iterator[Plan]:
        """What an earlier process did not bring to its end; what cannot be read is left out."""
        for path in _plans(self._dir):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                yield _plan(json.loads(path.read_bytes()))

    def _sync(self) -> None:
        descriptor = os.open(self._dir, _FOLDER)
        try:
            sync_folder(descriptor)
        finally:
            os.close(descriptor)


def unfinished(spool: Path, instances: list[str]) -> list[str]:
    """Those of the instances that left a plan, or have one under way."""
    return [each for each in instances if _plans(spool / f"{each}{_DIR}")]


def _plans(directory: Path) -> list[Path]:
    try:
        return sorted(each for each in directory.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def _plan(values: dict[str, Any]) -> Plan:
    taken, outcome = values["taken"], values["outcome"]
    note = Sidecar(**taken["note"]) if taken["note"] is not None else None
    return Plan(
        **values
        | {
            # how the file looks is found out anew
            "taken": Taken(**taken | {"look": None, "note": note}),
            "outcome": replace(
                Outcome(**outcome),
                kind=OutcomeKind(outcome["kind"]),
                source=Source(outcome["source"]),
            ),
            "decision": Decision(values["decision"]),
        }
    )
