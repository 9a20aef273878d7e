"""An installation of KDS around an emulated KATA: its configuration as it is printed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bridge.folder.sidecar import is_sidecar
from tests.support.katabridge import Site
from tests.support.processes import Program, module

PRINTED = (
    '{"in_dir": "/mnt/in/", "out_dir": "/mnt/out/", "qrnt_dir": "/mnt/qrnt/", '
    '"cert_pem": "/opt/kata-dir-scanner/cert.pem", '
    '"cert_key": "/opt/kata-dir-scanner/server.key", '
    '"kata_cn_addr": "localhost", "system_id": ""}'
)


@dataclass
class KdsSite:
    """The folders, the Central Node and the records of a `Site`, and KDS's own configuration."""

    site: Site
    system_id: str = ""
    address: str = ""
    starts: int = 0

    def __post_init__(self) -> None:
        self.system_id = self.system_id or self.site.sensor_id
        self.address = self.address or self.site.url.removeprefix("https://")
        self.directory = self.site.directory
        self.conf = self.directory / "kata_dir_scanner.conf"
        self.state = self.directory / "state"
        self.log = self.directory / "kata-dir-scanner.log"
        self.certificate, self.key = self.directory / "cert.pem", self.directory / "server.key"
        for name in ("client.pem", "client.key"):
            data = (self.directory / name).read_bytes()
            with self.certificate.open("ab") as file:  # KDS's holds both
                file.write(data)
        self.key.write_bytes((self.directory / "client.key").read_bytes())
        self.write()

    def write(self) -> None:
        """Write what is printed, with this site's paths, address and id."""
        text = PRINTED
        for printed, own in (
            ("/mnt/in/", f"{self.directory}/in/"),
            ("/mnt/out/", f"{self.directory}/out/"),
            ("/mnt/qrnt/", f"{self.directory}/quarantine/"),
            ("/opt/kata-dir-scanner/", f"{self.directory}/"),
            ('"localhost"', f'"{self.address}"'),
            ('"system_id": ""', f'"system_id": "{self.system_id}"'),
        ):
            assert printed in text
            text = text.replace(printed, own)
        self.conf.write_text(text)

    @property
    def places(self) -> list[str]:
        """The options by which everything lies below this site."""
        records = ["--records", str(self.directory / "log")]
        return ["--kds-config", str(self.conf), "--state", str(self.state), *records]

    @property
    def pin_file(self) -> Path:
        """The one that is there."""
        (path,) = self.state.glob("kds-*.pin")
        return path

    def lies(self, folder: str) -> list[str]:
        """The names in `in`, `out` or `quarantine`, without what is katabridge's own."""
        names = os.listdir(self.directory / folder)  # noqa: PTH208 - names, not paths
        return sorted(n for n in names if not n.startswith(".katabridge") and not is_sidecar(n))

    def watch(self, *more: object, until: str = "watches") -> Program:
        """The folder door with KDS's configuration, once its output holds `until`."""
        command = [*module("bridge.cli"), "watch", *self.places, "--log", self.log, *more]
        self.starts += 1
        program = Program(command, self.directory / f"watch{self.starts}.out")
        program.wait_for(lambda: until in program.output(), "kata-bridge watch")
        return program
