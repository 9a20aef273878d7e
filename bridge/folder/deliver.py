"""Where a judged file goes: output, or quarantine with a note beside it. Blocks: disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.core import Case, Decision, FolderSettings, Item, Outcome
from bridge.folder.conflict import Conflict, Content
from bridge.folder.metadata import Metadata
from bridge.folder.mounts import SamePlace
from bridge.folder.publish import Parcel, Target, draft_name, publish, write_sidecar
from bridge.folder.settle import Look
from bridge.folder.sidecar import Sidecar, format_sidecar


class DeliveryError(Exception):
    """A target folder does not take a file; the file stays in input."""

    def __init__(self, folder: Path, path: Path, reason: str, outcome: Outcome) -> None:
        super().__init__(f"{path}: {reason}")
        self.folder = folder
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Judged:
    """A claimed file with all that is known of it; `item` is the snapshot that was judged."""

    case: Case
    look: Look
    item: Item
    kept: Metadata
    outcome: Outcome
    decision: Decision


class Delivery:
    """The two targets of one folder."""

    def __init__(self, folder: FolderSettings, owner: str) -> None:
        """`owner`: whose drafts they are."""
        self._folder = folder
        self._owner = owner
        self._places = {root: SamePlace(root) for root in (folder.output, folder.quarantine)}

    def root(self, decision: Decision) -> Path:
        """Where a decision leads: output or, for everything but `pass`, quarantine."""
        return self._folder.output if decision is Decision.PASS else self._folder.quarantine

    def deliver(self, file: Judged) -> Path:
        """Publish a snapshot; where it lies. DeliveryError."""
        root = self.root(file.decision)
        passed = file.decision is Decision.PASS
        try:
            self._places[root].check()
            path = self._put_out(file) if passed else self._put_away(file)
        except OSError as error:
            reason = error.strerror or str(error)
            raise DeliveryError(root, root / file.look.path, reason, file.outcome) from error
        return root / path

    def _put_out(self, file: Judged) -> str:
        rule = Conflict(self._folder.on_conflict)
        return self._publish(file, Target(self._folder.output, file.look.path, rule), file.kept)

    def _put_away(self, file: Judged) -> str:
        rule = Conflict(self._folder.quarantine_conflict)
        target = Target(self._folder.quarantine, file.look.path, rule, 0o700)
        path = self._publish(file, target, file.kept.private(os.geteuid(), os.getegid()))
        sidecar = describe(file, path.rpartition("/")[2])
        write_sidecar(target.root, path, format_sidecar(sidecar), self._draft(file))
        return path

    def _publish(self, file: Judged, target: Target, kept: Metadata) -> str:
        with file.item.body.open() as content:
            parcel = Parcel(content, Content(file.item.sha256, file.item.size), kept)
            return publish(parcel, target, self._draft(file))

    def _draft(self, file: Judged) -> str:
        return draft_name(self._owner, file.case.id)


def describe(file: Judged, name: str) -> Sidecar:
    """What is to be said of a file in quarantine. `name`: the one that it has there."""
    case, outcome, kept = file.case, file.outcome, file.kept
    return Sidecar(
        file=name,
        case=case.id,
        time=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        folder=case.context["folder"] or "",
        path=file.look.path,
        size=file.item.size,
        sha256=file.item.sha256,
        outcome=outcome.kind,
        source=outcome.source,
        md5=outcome.md5,
        rule=outcome.rule,
        threat=outcome.threat,
        technology=outcome.technology,
        importance=outcome.importance,
        scan_id=outcome.scan_id,
        mode=kept.mode,
        uid=kept.uid,
        gid=kept.gid,
        mtime_ns=kept.mtime_ns,
    )
