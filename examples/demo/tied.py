"""`python -m examples.demo.tied PID MODULE …`: runs a module, which ends when its parent PID does.

So a demonstration whose terminal is gone, or that is killed, leaves nothing behind. Of one thread
and one user, or the kernel would speak too early, or not at all.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tied(name: str) -> list[str]:
    """The command line of a module of ours that ends when this process does, however that ends."""
    return [sys.executable, "-m", "examples.demo.tied", str(os.getpid()), name]


def main() -> None:
    """Ask the kernel for SIGTERM at the parent's end, and become the module."""
    parent, name = int(sys.argv[1]), sys.argv[2]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it has ended before we asked
        return
    sys.argv = sys.argv[2:]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
