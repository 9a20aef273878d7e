"""A folder door under which the system fails, as a program of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import need
from tests.support.katabridge import Site
from tests.support.processes import Program

# It cannot see who has a file open, as on a mounted share of another host.
BLIND = """
import errno, fcntl, sys
from bridge.cli import main

real = fcntl.fcntl

def blind(descriptor, command, argument=0):
    if command == fcntl.F_SETLEASE:
        raise OSError(errno.EINVAL, "Invalid argument")
    return real(descriptor, command, argument)

fcntl.fcntl = blind
sys.exit(main())
"""

# What failed is tried again soon; the pauses grow as ever.
_SOON = """
import sys
import bridge.folder.retry
from bridge.cli import main

bridge.folder.retry.FIRST_SECONDS = 0.2
"""

_AS_EVER = "sys.exit(main())\n"

# While the file {switch} is there, {folder} takes names, but not more bytes of a file than {room}.
_FULL = """
import errno, os

real = os.fsync

def full(descriptor):
    path = os.readlink("/proc/self/fd/%d" % descriptor)
    is_large = os.fstat(descriptor).st_size > {room}
    if is_large and path.startswith({folder!r}) and os.path.exists({switch!r}):
        raise OSError(errno.ENOSPC, "No space left on device")
    real(descriptor)

os.fsync = full
"""

# While the file {switch} is there, {call} does not return for what lies below {folder}, as on a
# hard mount whose server is away; the file {switch}.met says that one does not. A stop waits
# {patience} s for that, not half a minute.
_HANGING = """
import os, sys, time
import bridge.core.ending, bridge.folder.service, bridge.folder.usable
from bridge.cli import main

def is_below(thing, options):
    if isinstance(thing, int):
        path = os.readlink("/proc/self/fd/%d" % thing)
    else:
        path = os.fspath(thing)
        if options.get("dir_fd") is not None:
            path = os.readlink("/proc/self/fd/%d" % options["dir_fd"]) + "/" + path
    return (path + "/").startswith({folder!r})

def hanging(real):
    def call(thing, *arguments, **options):
        while is_below(thing, options) and os.path.exists({switch!r}):
            open({switch!r} + ".met", "w").close()
            time.sleep(0.02)
        return real(thing, *arguments, **options)
    return call

for name in {calls!r}:
    setattr(os, name, hanging(getattr(os, name)))
for module in (bridge.core.ending, bridge.folder.service, bridge.folder.usable):
    module.PATIENCE_SECONDS = {patience}
sys.exit(main())
"""

# What lets root write where its mode says no, and give away what it makes.
_CAPABILITIES = "-chown,-dac_override,-dac_read_search,-fowner"


def full_when(folder: Path, switch: Path, *, larger_than: int = -1) -> str:
    """Code of a door for which `folder` is full as long as the file `switch` is there.

    It tries again soon. `larger_than`: so many bytes of a file fit all the same.
    """
    full = _FULL.format(folder=f"{folder}/", switch=str(switch), room=larger_than)
    return _SOON + full + _AS_EVER


def hanging_when(folder: Path, switch: Path, *calls: str, patience: float = 0.3) -> str:
    """Code of a door for which `calls` of os hang below `folder` while the file `switch` is there.

    Once one does, `met(switch)` is there. `patience`: seconds that a stop waits.
    """
    return _HANGING.format(folder=f"{folder}/", switch=str(switch), calls=calls, patience=patience)


def met(switch: Path) -> Path:
    """What `hanging_when` makes when a call hangs."""
    return switch.with_name(f"{switch.name}.met")


def start_watch(site: Site, code: str) -> Program:
    """The folder door with `code` before it, when it has begun to watch."""
    return _start(site, [sys.executable, "-c", code])


def start_as_user(site: Site) -> Program:
    """The folder door, for which modes count, also where root runs the tests.

    It tries again soon.
    """
    command = [sys.executable, "-c", _SOON + _AS_EVER]
    if os.geteuid() == 0:
        drop = ["--bounding-set", _CAPABILITIES, "--inh-caps", "-all"]
        command = [need("setpriv"), *drop, "--", *command]
    return _start(site, command)


def _start(site: Site, command: Sequence[str]) -> Program:
    program = Program([*command, "watch", "--config", site.config], site.directory / "watch.out")
    program.wait_for(lambda: "watches" in program.output(), "kata-bridge watch")
    return program
