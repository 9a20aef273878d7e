"""Where a judged file goes: output, or quarantine with a note beside it. Blocks: disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.core import Case, Decision, FolderSettings, Item, Outcome
from bridge.folder.conflict import Conflict, Content, numbered
from bridge.folder.metadata import Metadata
from bridge.folder.mounts import SamePlace
from bridge.folder.publish import (
    Parcel,
    Published,
    Target,
    draft_name,
    publish,
    remove_drafts,
    withdraw,
    write_sidecar,
)
from bridge.folder.settle import Look
from bridge.folder.sidecar import Sidecar, format_sidecar, is_sidecar

_OF_ONE_FILE = (
    *(errno.EEXIST, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.ENOTEMPTY, errno.EPERM),
)


class DeliveryError(Exception):
    """A target folder does not take a file; the file stays in input."""

    def __init__(self, folder: Path, path: Path, error: OSError, outcome: Outcome) -> None:
        self.reason = str(error.strerror or error)
        super().__init__(f"{path}: {self.reason}")
        self.folder = folder
        self.outcome = outcome
        # else every file that goes there would fail
        self.of_this_file = error.errno in _OF_ONE_FILE or (
            error.errno == errno.EACCES and path.parent != folder
        )


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

    def __init__(
        self, folder: FolderSettings, owner: str, place: Callable[[Path], SamePlace]
    ) -> None:
        """`owner`: whose drafts they are. `place`: what is known of a configured path."""
        self._folder = folder
        self._owner = owner
        self._places = {root: place(root) for root in (folder.output, folder.quarantine)}

    def root(self, decision: Decision) -> Path:
        """Where a decision leads: output or, for everything but `pass`, quarantine."""
        return self._folder.output if decision is Decision.PASS else self._folder.quarantine

    def deliver(self, file: Judged, still: Callable[[], None]) -> Path:
        """Publish a snapshot, right after `still` has raised nothing; where it lies.

        DeliveryError; WithdrawnError is for `still`.
        """
        root = self.root(file.decision)
        try:
            passed = file.decision is Decision.PASS
            path = self._put_out(file, still) if passed else self._put_away(file, still)
        except OSError as error:
            raise DeliveryError(root, root / file.look.path, error, file.outcome) from error
        return root / path

    def clean(self, before: str) -> None:
        """Remove the drafts that a crash left, of cases older than `before`."""
        for place in self._places.values():
            remove_drafts(place, self._owner, before, self._folder.recursive)

    def _put_out(self, file: Judged, still: Callable[[], None]) -> str:
        place, rule = self._places[self._folder.output], Conflict(self._folder.on_conflict)
        return self._publish(file, Target(place, file.look.path, rule), file.kept, still).path

    def _put_away(self, file: Judged, still: Callable[[], None]) -> str:
        place = self._places[self._folder.quarantine]
        rule = Conflict(self._folder.quarantine_conflict)
        target = Target(place, _never_a_sidecar(file.look.path), rule)
        private = file.kept.private(os.geteuid(), os.getegid())
        published = self._publish(file, target, private, still)
        sidecar = describe(file, published.path.rpartition("/")[2])
        try:
            write_sidecar(place, published.path, format_sidecar(sidecar), self._draft(file))
        except OSError:
            if published.is_new:  # nothing lies there of which nobody knows why
                withdraw(place, published.path)
            raise
        return published.path

    def _publish(
        self, file: Judged, target: Target, kept: Metadata, still: Callable[[], None]
    ) -> Published:
        with file.item.body.open() as content:
            parcel = Parcel(content, Content(file.item.sha256, file.item.size), kept)
            return publish(parcel, target, self._draft(file), still)

    def _draft(self, file: Judged) -> str:
        return draft_name(self._owner, file.case.id)


def _never_a_sidecar(path: str) -> str:
    """Who drops a file that is named as if it said something of another must not succeed.

    Nor who has it in a folder of such a name: that would keep the other out of quarantine. Capitals
    do not count: on a share of Windows the note of the other would replace the file.
    """
    parts = path.split("/")
    return "/".join(numbered(part, 2) if is_sidecar(part.lower()) else part for part in parts)


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
