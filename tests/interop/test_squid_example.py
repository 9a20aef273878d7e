"""examples/squid/try.sh: what the README has a newcomer type."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from bridge.emulator import EICAR
from tests.conftest import need
from tests.support.katabridge import Site
from tests.support.processes import Program, accepts, free_port

Keep = Callable[[Program], Program]

TRY = Path(__file__).parents[2] / "examples" / "squid" / "try.sh"


def run(site: Site, squid_port: int, web_port: int) -> subprocess.CompletedProcess[str]:
    ports = {"ICAP_PORT": site.icap_port, "SQUID_PORT": squid_port, "WEB_PORT": web_port}
    more = {name: str(port) for name, port in ports.items()} | {"DEMO": str(site.directory)}
    return subprocess.run(
        ["sh", TRY], env=os.environ | more, capture_output=True, text=True, check=False, timeout=60
    )


def test_eicar_is_blocked_and_nothing_is_left_behind(site: Site, started: Keep) -> None:
    need("squid")
    (site.directory / "clean.txt").write_text("a harmless text\n")
    (site.directory / "eicar.com").write_bytes(EICAR)
    squid_port, web_port = free_port(), free_port()
    without = run(site, squid_port, web_port)
    assert without.returncode == 1
    assert without.stderr == (
        f"try.sh: nothing listens on 127.0.0.1:{site.icap_port}; "
        "first have `make run` up in another terminal.\n"
    )
    started(site.start_icapd())
    done = run(site, squid_port, web_port)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "HTTP 200: a harmless text\n" in done.stdout
    assert "HTTP 403: Access blocked\n" in done.stdout
    (blocked,) = [record for record in site.records() if record["decision"] == "block"]
    assert f"The case number on the page is {blocked['case']}. " in done.stdout
    assert f'"case":"{blocked["case"]}"' in done.stdout
    assert not accepts(squid_port)
    assert not accepts(web_port)
