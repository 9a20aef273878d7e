"""A Samba server of a test's own, and its clients: Debian's smbclient, and handles kept open."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self, cast

import smbclient

from tests.support.processes import Program, accepts, free_port

_PASSWORD = "planted"
_ALL = "rwd"  # what a handle lets others do meanwhile

# Every path is private: neither a Samba of this host nor another test's may share a lock with it.
# All clients of one process have one GUID: with multichannel smbd would take them for one machine.
_CONFIG = """\
[global]
server role = standalone server
netbios name = KBTEST
workgroup = KBTEST
interfaces = 127.0.0.1
bind interfaces only = yes
smb ports = {port}
disable netbios = yes
server min protocol = SMB2
server multi channel support = no
passdb backend = tdbsam:{directory}/passdb.tdb
private dir = {directory}/private
lock directory = {directory}/lock
state directory = {directory}/state
cache directory = {directory}/cache
pid directory = {directory}/pid
ncalrpc dir = {directory}/rpc
log file = {directory}/log
log level = 1
load printers = no
printcap name = /dev/null
disable spoolss = yes
{settings}
"""
_SHARE = """
[{name}]
path = {path}
read only = no
"""


class Samba:
    """A running smbd; a context manager. Its only user is the one who runs the tests.

    `shares`: folders by the name of their share. `settings`: lines for its section [global].
    """

    def __init__(self, smbd: str, shares: Mapping[str, Path], *settings: str) -> None:
        self.port = free_port()
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        # not pytest's folder: the paths of unix sockets have room for 107 bytes
        self.directory = Path(tempfile.mkdtemp(prefix="kb-smbd-"))
        for name in ("private", "lock", "state", "cache", "pid", "rpc"):
            (self.directory / name).mkdir()
        self._config = self.directory / "smb.conf"
        text = _CONFIG.format(
            port=self.port, directory=self.directory, settings="\n".join(settings)
        )
        sections = [_SHARE.format(name=name, path=path) for name, path in shares.items()]
        self._config.write_text(text + "".join(sections))
        self._add_user(str(Path(smbd).parent.parent / "bin" / "pdbedit"))
        command = [smbd, "--foreground", "--no-process-group", "--debug-stdout"]
        self.program = Program(
            [*command, f"--configfile={self._config}"], self.directory.with_suffix(".out")
        )
        self.program.wait_for(lambda: accepts(self.port), "smbd")

    def _add_user(self, pdbedit: str) -> None:
        """smbpasswd would do it for root alone."""
        command = [pdbedit, f"--configfile={self._config}", "--password-from-stdin"]
        subprocess.run(
            [*command, "--create", f"--user={self.user}"],
            input=f"{_PASSWORD}\n{_PASSWORD}\n",
            capture_output=True,
            text=True,
            check=True,
        )

    def run(self, program: str, share: str, *commands: str) -> str:
        """What Debian's smbclient (`program`) says to these commands; AssertionError if it fails.

        Names in them are with backslashes, and a local file is what it is here: see `put`.
        """
        done = self._smbclient(program, share, *commands)
        assert done.returncode == 0, f"smbclient ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def _smbclient(
        self, program: str, share: str, *commands: str
    ) -> subprocess.CompletedProcess[str]:
        command = [program, f"--configfile={self._config}", f"--port={self.port}"]
        command += [f"--user={self.user}%{_PASSWORD}", f"//127.0.0.1/{share}"]
        return subprocess.run(
            [*command, "--command", "; ".join(commands)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )

    def client(self) -> SmbClient:
        """A client with a connection of its own."""
        return SmbClient(self.port, self.user)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End smbd with its children, one for each connection, and remove what it left."""
        try:
            self.program.stop()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.program.process.pid, signal.SIGKILL)
            shutil.rmtree(self.directory)
            self.program.log.unlink()


class SmbClient:
    """A client whose handles stay open as long as a test wants; a context manager.

    Paths are `share/folder/name`. Each call goes to the server at once: nothing is buffered here,
    and no oplock is asked for. OSError where the server refuses.
    """

    def __init__(self, port: int, user: str) -> None:
        self._own: dict[str, object] = {}
        self._options: dict[str, Any] = {
            "port": port,
            "username": user,
            "password": _PASSWORD,
            "connection_cache": self._own,
        }

    def open(self, path: str, mode: str) -> IO[bytes]:
        """A handle, `mode` as of `open`; others may read, write, rename and delete meanwhile."""
        handle = smbclient.open_file(
            _unc(path), mode=f"{mode}b", buffering=0, share_access=_ALL, **self._options
        )
        return cast(IO[bytes], handle)

    def put(self, path: str, data: bytes) -> None:
        """Write a whole file; what had the name is overwritten in place."""
        with self.open(path, "w") as handle:
            handle.write(data)

    def read(self, path: str) -> bytes:
        """The content of a file."""
        with self.open(path, "r") as handle:
            return handle.read()

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, which must be free."""
        smbclient.rename(_unc(old), _unc(new), **self._options)

    def remove(self, path: str) -> None:
        """Delete a file."""
        smbclient.remove(_unc(path), **self._options)

    def names(self, path: str) -> set[str]:
        """What lies in a folder."""
        return set(smbclient.listdir(_unc(path), **self._options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        smbclient.reset_connection_cache(fail_on_error=False, connection_cache=self._own)


def _unc(path: str) -> str:
    return "\\\\127.0.0.1\\" + path.replace("/", "\\")
