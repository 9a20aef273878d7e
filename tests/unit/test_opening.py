"""Faults of a start as sentences."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bridge.core import StartError
from bridge.core.opening import said

JOURNAL = Path("/spool/gw.icap.0.journal")
OWN = "; move it away, or have the user that this runs as own it."


@pytest.mark.parametrize(
    ("number", "ends"),
    [
        (errno.EACCES, f"Permission denied{OWN}"),
        (errno.EISDIR, f"Is a directory{OWN}"),
        (errno.ENOSPC, "No space left on device; make room there: for bytes, or for more files "
                       "(inodes)."),
        (errno.EMFILE, "Too many open files; let this service have more files open (LimitNOFILE)."),
        (errno.EIO, "Input/output error."),
    ],
)  # fmt: skip
def test_what_to_do_goes_with_the_fault(number: int, ends: str) -> None:
    fault = OSError(number, os.strerror(number), "/spool/gw.icap.0/odd")
    with pytest.raises(StartError) as caught, said(JOURNAL):
        raise fault
    assert str(caught.value) == f"/spool/gw.icap.0/odd: {ends}"


def test_a_fault_without_a_name_is_the_journals() -> None:
    with pytest.raises(StartError, match=f"^{JOURNAL}: Input/output error.$"), said(JOURNAL):
        raise OSError(errno.EIO, "Input/output error")
