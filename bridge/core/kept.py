"""Bodies that outlive the process: those of cases that are judged after their user was served."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection
from pathlib import Path

from bridge.core.body import Body, SpoolError
from bridge.core.model import HeldBytes
from bridge.core.spool import Spool


class KeptBodies:
    """Bodies under the id of their case, in a folder beside the spool's own."""

    def __init__(self, spool: Spool) -> None:
        """OSError where the folder cannot be made. Blocks: disk."""
        self._spool = spool
        self._dir = spool.dir.with_name(f"{spool.dir.name}.kept")
        self._dir.mkdir(mode=0o700, exist_ok=True)
        self._sizes: dict[str, int] = {}

    async def keep(self, body: HeldBytes, case_id: str) -> None:
        """Have a body outlive the process, until `drop`; SpoolError where it cannot."""
        self._spool.reserve_disk(body.size)
        self._sizes[case_id] = body.size
        try:
            await self._spool.in_thread(self._write, body, self._dir / case_id)
        except BaseException as error:
            self._give_back(case_id)
            if not isinstance(error, OSError):
                raise
            raise SpoolError(f"the spool {self._dir} fails: {error.strerror}") from error

    def _write(self, body: HeldBytes, target: Path) -> None:
        draft = target.with_name(f".{target.name}")
        draft.unlink(missing_ok=True)
        if body.path is not None:
            draft.hardlink_to(body.path)
        else:
            self._spool.check_free()
            with body.open() as content, draft.open("xb") as file:
                draft.chmod(0o600)
                shutil.copyfileobj(content, file)
        draft.replace(target)

    def load(self, case_id: str, size: int, sha256: str) -> Body | None:
        """What an earlier process kept, held once; None where it is not there whole. Blocks."""
        path = self._spool.dir / secrets.token_hex(8)
        try:
            path.hardlink_to(self._dir / case_id)
            body = self._spool.adopt(path, size, sha256)
        except OSError:
            path.unlink(missing_ok=True)
            return None
        self._sizes[case_id] = size
        self._spool.disk_used += size
        return body

    async def drop(self, case_id: str) -> None:
        """Nobody comes back to it."""
        await self._spool.in_thread(lambda: (self._dir / case_id).unlink(missing_ok=True))
        self._give_back(case_id)

    def _give_back(self, case_id: str) -> None:
        self._spool.disk_used -= self._sizes.pop(case_id, 0)

    def clear(self, wanted: Collection[str]) -> None:
        """Remove what no case names. Blocks: disk."""
        for leftover in self._dir.iterdir():
            if leftover.name not in wanted:
                leftover.unlink()
