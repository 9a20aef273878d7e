"""The steps of `kata-bridge collect`. Each blocks: disk, and the daemons that are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec

from bridge.commands.collecting.archive import Archive
from bridge.commands.collecting.asked import check, said_by
from bridge.commands.collecting.certificates import certificates, owners
from bridge.commands.collecting.daemons import daemons
from bridge.commands.collecting.facts import disks, listening, machine, sizes_below, versions
from bridge.commands.collecting.logs import Logs
from bridge.commands.collecting.masking import Masked
from bridge.commands.collecting.patience import STEP_SECONDS, patiently
from bridge.commands.collecting.people import Pseudonyms
from bridge.commands.collecting.progress import Advance, Begin
from bridge.commands.collecting.sources import Sources
from bridge.commands.terminal import reason

P = ParamSpec("P")
_KDS_CONF = "kata_dir_scanner.conf"


class Work:
    """The steps, each of which shows that it goes on."""

    def __init__(self, archive: Archive, sources: Sources, begin: Begin, advance: Advance) -> None:
        self._archive = archive
        self._sources = sources
        self._begin = begin
        self._advance = advance

    def configuration(self, masked: Masked, kds: str | None) -> None:
        """The configuration file; `kds`: what KDS's own says, empty where it is no JSON."""
        self._begin("configuration", None)
        if masked.text is None:
            self._archive.leave_out("katabridge.yaml", "it is no YAML, so secrets are not known")
        else:
            what = "the configuration, without secrets and comments"
            what += "" if kds is None else ", as a katabridge.yaml"
            self._archive.add("katabridge.yaml", masked.text, what)
        if kds:
            self._archive.add(_KDS_CONF, kds, "KDS's own configuration, its known keys")
        elif kds is not None:
            self._archive.leave_out(_KDS_CONF, "it is no JSON")

    def system(self) -> None:
        """What the system says."""
        self._begin("system", None)
        found, add = self._sources, self._add
        add("versions.txt", "katabridge, Python, packages, system", versions)
        add("system/machine.txt", "memory, load, limits", machine)
        add("system/folders.txt", "disks, mounts, rights of our folders", disks, found.folders)
        add("system/ports.txt", "who listens on our ports", listening, found.ports)
        add("system/processes.txt", "our processes", daemons, found.spool)
        add("system/spool.txt", "names and sizes in spool.dir", sizes_below, found.spool)
        add("certificates.txt", "what certificates say", certificates, found.certificates)
        add("keys.txt", "owner and mode of the key files, nothing of them", owners, found.keys)

    def _add(
        self, path: str, what: str, work: Callable[P, str], *args: P.args, **named: P.kwargs
    ) -> None:
        """What `work` says, unless it says nothing for too long."""
        try:
            text = patiently(STEP_SECONDS, work, *args, **named)
        except OSError as error:
            self._archive.leave_out(path, reason(error))
        else:
            self._archive.add(path, text, what)

    def daemons(self) -> None:
        """What running daemons say of themselves."""
        for name in ("icapd", "watch"):
            self._begin(f"figures of {name}", None)
            address = self._sources.daemons.get(name)
            for path, file in (("/metrics", "metrics.txt"), ("/api/live", "live.json")):
                if address is None:
                    self._archive.leave_out(f"{name}/{file}", f"status.{name} is not configured")
                    continue
                try:
                    text = said_by(address, path)
                except OSError as error:
                    self._archive.leave_out(f"{name}/{file}", str(error))
                else:
                    self._archive.add(f"{name}/{file}", text, f"{path} of {address}")

    def check(self, named: Sequence[str]) -> None:
        """What `kata-bridge check` finds; `named`: the options that name the configuration."""
        self._begin("kata-bridge check", None)
        said = None
        try:
            for step in check(named):
                said = step
                self._advance(1)
        except OSError as error:
            self._archive.leave_out("check.txt", reason(error))
        if said is not None:
            text, ended = said
            what = f"kata-bridge check --json --no-self-test: {ended}"
            self._archive.add("check.txt", text, what)

    def logs(self, since: float, *, anonymise: bool) -> None:
        """The logs from that time on (epoch)."""
        self._begin("logs", None)
        change = Pseudonyms(self._sources.nodes).line if anonymise else str
        Logs(self._archive, change, self._begin, self._advance).add(
            self._sources.logs, since, self._sources.service_log
        )
