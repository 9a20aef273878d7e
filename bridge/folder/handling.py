"""What becomes of one file, and what is remembered and said of those that stay."""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from bridge.core import Case, Core, Decision, Outcome, OutcomeKind
from bridge.folder.claim import ClaimError
from bridge.folder.deliver import DeliveryError
from bridge.folder.mounts import OF_THE_SHARE, AwayError
from bridge.folder.opened import BeingWrittenError, NotStillError
from bridge.folder.retry import Retries, Troubles
from bridge.folder.settle import Absences, Lasting, Look, Settler
from bridge.folder.transfer import Done, SourceError, Transfer, WithdrawnError

_log = logging.getLogger(__name__)

GONE_SECONDS = 60.0  # a share that is empty by mistake is back sooner, we hope
_WRITER_SECONDS = 8.0  # until a file that was being written is looked at again
_WRITER_FAILURES = 8  # after a minute it is said
_KATA = "KATA"
_CLAIMS = "claiming files in the input"
_SHARE = "reading files of the input"


@dataclass(frozen=True, slots=True)
class _Held:
    """A case that is tried again; `known`: its outcome, where only the delivery failed."""

    case: Case
    known: Outcome | None = None


class Handler:
    """Sends files of one folder on their way, each once at a time."""

    def __init__(self, core: Core, transfer: Transfer) -> None:
        self._core = core
        self._transfer = transfer
        self._held: dict[Lasting, _Held] = {}
        self._gone_files: Absences[Lasting] = Absences(GONE_SECONDS)
        self._gone_paths: Absences[str] = Absences(GONE_SECONDS)
        self._retries = Retries()
        self._writers = Retries(_WRITER_SECONDS)
        self._removals = Retries()
        self._probes = Retries()
        name = transfer.folder_name
        self._targets = Troubles(name)
        self._failing: dict[str, set[str]] = {}  # trouble of a folder -> the files that met it
        self._files = Troubles(name)
        self.under_way: dict[str, str] = {}  # path -> case id
        self.not_removed = transfer.not_removed
        self.claimed: set[str] = set()  # cases whose file cannot be put back yet

    # -- what may begin ------------------------------------------------------------------------

    def may_begin(self, look: Look) -> bool:
        """Whether this file may be taken now. From any thread."""
        now = time.monotonic()
        due = self._retries.is_due(look.path, now) and self._writers.is_due(look.path, now)
        return due and look.path not in self.under_way

    def is_at(self, case_id: str) -> bool:
        """Whether a case is under way, or its source is still to be removed."""
        return case_id in self.not_removed or case_id in self.under_way.values()

    def failures(self, look: Look) -> int:
        """How often in a row it failed."""
        return self._retries.failures(look.path)

    @property
    def may_probe(self) -> bool:
        """Whether a file may ask, for all, if KATA takes files again."""
        return not self.under_way and self._probes.is_due(_KATA, time.monotonic())

    @property
    def is_troubled(self) -> bool:
        """Whether a folder fails, so that only few files need to try."""
        return self._targets.any

    @property
    def held(self) -> int:
        """How many files stay in input until something works again."""
        return len(self._held)

    @property
    def target_troubles(self) -> dict[str, str]:
        """What fails now of the folders themselves, with why. Names no file."""
        return self._targets.unnamed

    @property
    def troubles(self) -> list[str]:
        """What fails now, as sentences that name no file: folders first, then files."""
        return [*self._targets.counted, *self._files.counted]

    # -- one file ------------------------------------------------------------------------------

    def start(self, look: Look) -> Coroutine[Any, Any, None] | None:
        """The work that brings the file to its end; None where somebody is at it already."""
        if look.path in self.under_way:
            return None
        held = self._held.pop(look.lasting, None)
        case = held.case if held else self._transfer.new_case(look)
        self.under_way[look.path] = case.id
        return self._handle(look, case, held)

    async def _handle(self, look: Look, case: Case, held: _Held | None) -> None:
        try:
            self._ended(look, case, await self._transfer.run(case, look))
        except NotStillError as error:  # it is looked at again, as new where it changed
            if held is not None:
                self._held[look.lasting] = held
            if isinstance(error, BeingWrittenError):
                self._is_written(look)
        except WithdrawnError:
            await self._transfer.withdrawn(case)
        except DeliveryError as error:
            self._not_delivered(look, case, error)
        except SourceError as error:
            self._hold(look, case)
            self._failed(look, error.error)
        except OSError as error:
            self._hold(look, case)
            self._failed(look, error)
        except Exception:
            self._hold(look, case)
            if self._retries.failures(look.path) == 1:
                _log.exception("a fault of katabridge itself; %s stays in input", look.path)
        finally:
            del self.under_way[look.path]

    def _is_written(self, look: Look) -> None:
        """It is tried again soon; who waits for it is told after a while."""
        self._writers.failed(look.path, time.monotonic())
        if self._writers.failures(look.path) == _WRITER_FAILURES:
            sentence = f"{look.path} is open for writing; it is taken when it is closed"
            self._files.begins(look.path, sentence, "files are open for writing")

    def _ended(self, look: Look, case: Case, done: Done) -> None:
        if done.decision is Decision.HOLD:
            self._hold(look, case)
            self._stays(look, done.detail)
            return
        self._retries.succeeded(look.path)
        self._writers.succeeded(look.path)
        self._probes.succeeded(_KATA)
        self._files.forget([look.path, f"detect {look.path}"])
        self._works(look.path)
        if not done.removed:
            reason = "is delivered but cannot be removed from input yet; it is not taken again"
            unnamed = "files are delivered but cannot be removed from input yet"
            self._files.begins(look.path, f"{look.path} {reason}", unnamed)

    def _stays(self, look: Look, why: str | None) -> None:
        sentence = f"{look.path} stays in input: {why}"
        self._files.begins(look.path, sentence, f"files stay in input: {why}")

    def _fails(self, about: str, look: Look, sentence: str, unnamed: str = "") -> None:
        """A folder fails, not this file alone: said once, until one of its files succeeds."""
        self._failing.setdefault(about, set()).add(look.path)
        self._targets.begins(about, sentence, unnamed)

    def _works(self, path: str) -> None:
        """A file went its way, or away: what it failed by has ended if it was the last to tell."""
        for about in [about for about, paths in self._failing.items() if path in paths]:
            del self._failing[about]
            self._targets.ends(about)
            self._retries.hurry()

    def _not_delivered(self, look: Look, case: Case, error: DeliveryError) -> None:
        self._hold(look, case, error.outcome)
        what = f"{look.path} ({error.outcome.kind}) stays in input"
        sentence = f"{error}; {what}"
        if error.of_this_file:
            unnamed = f"files stay in input: a path below {error.folder}: {error.reason}"
            self._files.begins(look.path, sentence, unnamed)
        else:
            unnamed = f"files stay in input: {error.folder}: {error.reason}"
            self._fails(str(error.folder), look, sentence, unnamed)
        if error.outcome.kind is OutcomeKind.DETECT:  # each is said: it is no mere trouble
            unnamed = "KATA found threats in files that stay in input"
            self._files.begins(f"detect {look.path}", f"KATA found a threat: {what}", unnamed)

    def _failed(self, look: Look, error: OSError) -> None:
        if isinstance(error, AwayError):
            return  # the next look says so
        if isinstance(error, ClaimError):
            stays = f"{error.strerror}; files stay in input"
            self._fails(_CLAIMS, look, f"{error.filename}: {stays}", f"{_CLAIMS}: {stays}")
            return
        if error.errno in OF_THE_SHARE:  # said once, not for each of the files under way
            self._fails(_SHARE, look, f"{error.strerror}; files stay in input")
        else:
            self._stays(look, error.strerror)

    def _hold(self, look: Look, case: Case, known: Outcome | None = None) -> None:
        """The file stays, its case stays open, and it is tried again after a while."""
        self._held[look.lasting] = _Held(case, known)
        self._retries.failed(look.path, time.monotonic())
        if not self._core.kata_works and self._probes.is_due(_KATA, time.monotonic()):
            # all that were under way failed with it: that is one failure
            self._probes.failed(_KATA, time.monotonic())

    # -- by the clock --------------------------------------------------------------------------

    async def remove_delivered(self) -> None:
        """Try again to remove the sources of delivered files."""
        for case_id, note in list(self.not_removed.items()):
            if not self._removals.is_due(case_id, time.monotonic()):
                continue
            if await self._transfer.remove(case_id, note):
                del self.not_removed[case_id]
                self._removals.succeeded(case_id)
                self._files.forget([note.look.path])
            else:
                self._removals.failed(case_id, time.monotonic())

    async def forget_gone(self, files: Settler) -> None:
        """Forget what is not there any longer; a case that was held for it leaves its record."""
        now = time.monotonic()
        self._files.catch_up()
        known = {*self._retries.names, *self._writers.names, *self._files.names}
        gone = self._gone_paths.gone(known, lambda name: self._is_there(name, files), now)
        for each in (self._retries, self._writers, self._files):
            each.forget(gone)
        self._forget_failing(gone)
        for lasting in self._gone_files.gone(self._held, files.present, now):
            held = self._held[lasting]
            if held.case.id not in self.claimed:
                del self._held[lasting]
                await self._transfer.withdrawn(held.case, held.known)

    def _forget_failing(self, gone: Iterable[str]) -> None:
        """Where nobody is left to find out, the next file does."""
        for about, paths in list(self._failing.items()):
            paths.difference_update(gone)
            if not paths:
                del self._failing[about]
                self._targets.forget([about])

    def _is_there(self, name: str, files: Settler) -> bool:
        path = name.removeprefix("detect ")
        return files.has(path) or path in self.under_way
