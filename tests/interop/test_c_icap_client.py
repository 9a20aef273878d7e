"""c-icap-client, the reference client, against both services."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.emulator import EICAR, Emulator, Memory
from tests.conftest import need
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.origin import content

WAYS = [
    [],
    ["-nopreview"],
    ["-no204"],
    ["-nopreview", "-no204"],
    ["-w", "10"],
    ["-w", "0"],
    ["-206"],
    ["-206", "-no204"],
    ["-206", "-w", "0"],
    ["-206", "-nopreview", "-no204"],
]
IDS = [" ".join(way) or "default" for way in WAYS]


@dataclass(frozen=True, slots=True)
class Said:
    """What c-icap-client printed, and the body it got (None: nothing was changed)."""

    text: str
    body: bytes | None


def ask(site: Site, service: str, *options: object) -> Said:
    out = site.directory / "c-icap.out"
    out.unlink(missing_ok=True)
    command: list[object] = [need("c-icap-client"), "-i", "127.0.0.1", "-p", site.icap_port]
    command += ["-s", service, "-v", "-o", out, *options]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, timeout=60, check=True
    )
    text = (done.stdout + done.stderr).decode("latin-1")
    return Said(text, out.read_bytes() if out.exists() else None)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("c-icap-client")
    folder = tmp_path_factory.mktemp("c-icap")
    put_certificate(folder / "kata" / "server.pem", folder / "kata" / "server.key", "kata")
    with Emulator(Memory(folder / "kata")) as kata:
        site = Site(folder / "site", kata.url, kata.certificate)
        icapd = site.start_icapd()
        yield site
        assert icapd.stop() == 0
    assert "Traceback" not in icapd.output()


def sent_as(service: str) -> list[str]:
    return ["-req", "http://x.example/up", "-method", "POST"] if service == "av/reqmod" else []


@pytest.mark.parametrize("service", ["av/respmod", "av/reqmod"])
def test_options(running: Site, service: str) -> None:
    text = ask(running, service).text
    assert "Allow 204: Yes" in text
    assert "Preview: 4096" in text
    assert "ISTag" in text


@pytest.mark.parametrize("service", ["av/respmod", "av/reqmod"])
@pytest.mark.parametrize("way", WAYS, ids=IDS)
@pytest.mark.parametrize("size", [1, 1024, 4096, 4097, 200_000])
def test_clean(running: Site, tmp_path: Path, service: str, way: list[str], size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(content(size, 3))
    said = ask(running, service, "-f", file, *way, *sent_as(service))
    if said.body is None:
        assert "ICAP/1.0 204" in said.text
        assert not {"-nopreview", "-no204"} <= set(way), "204 where it was not allowed"
    else:
        assert "ICAP/1.0 200" in said.text
        assert said.body == content(size, 3)
        assert "-no204" in way, "the whole body came back where 204 was allowed"


@pytest.mark.parametrize("service", ["av/respmod", "av/reqmod"])
@pytest.mark.parametrize("way", WAYS, ids=IDS)
@pytest.mark.parametrize("padding", [0, 200_000])
def test_eicar(running: Site, tmp_path: Path, service: str, way: list[str], padding: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(content(padding, 4) + EICAR)
    said = ask(running, service, "-f", file, *way, *sent_as(service))
    assert "HTTP/1.1 403 Forbidden" in said.text
    # its name is known from the second time on: no block waits for it
    threat = r"X-Infection-Found: Type=0; Resolution=2; Threat=(Detected by KATA|EICAR-Test-File);"
    assert re.search(threat, said.text)
    assert said.body is not None
    assert b"Kaspersky KATA found a threat" in said.body


def test_a_get_that_carries_a_body_is_judged(running: Site, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(EICAR)
    said = ask(running, "av/reqmod", "-f", file, "-req", "http://x.example/", "-method", "GET")
    assert "HTTP/1.1 403 Forbidden" in said.text
