"""What pages have a newcomer type, typed: examples/squid/try.sh, examples/c-icap-client."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from bridge.emulator import EICAR
from tests.conftest import need
from tests.support.katabridge import Site
from tests.support.markdown import Page
from tests.support.processes import Program, accepts, free_port

Keep = Callable[[Program], Program]

EXAMPLES = Path(__file__).parents[2] / "examples"
CHANGES = re.compile(r"(ISTag: |Date: |Content-Length: |ip:127.0.0.1, port:|body=).*")


def try_squid(site: Site, squid_port: int, web_port: int) -> subprocess.CompletedProcess[str]:
    ports = {"ICAP_PORT": site.icap_port, "SQUID_PORT": squid_port, "WEB_PORT": web_port}
    more = {name: str(port) for name, port in ports.items()} | {"DEMO": str(site.directory)}
    return subprocess.run(
        ["sh", EXAMPLES / "squid" / "try.sh"],
        env=os.environ | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_is_typed_does_what_is_written(site: Site, started: Keep) -> None:
    need("squid")
    need("c-icap-client")
    (site.directory / "clean.txt").write_text("a harmless text\n")
    (site.directory / "eicar.com").write_bytes(EICAR)
    without_icapd = try_squid(site, free_port(), free_port())
    assert without_icapd.returncode == 1
    assert without_icapd.stderr == (
        f"try.sh: nothing listens on 127.0.0.1:{site.icap_port}; "
        "first have `make run` up in another terminal.\n"
    )
    icapd = started(site.start_icapd())
    check_squid(site)
    assert "proxy 127.0.0.1: " not in icapd.said()  # of whom `check` would warn
    check_c_icap_client(site)


def check_squid(site: Site) -> None:
    squid_port, web_port = free_port(), free_port()
    done = try_squid(site, squid_port, web_port)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "HTTP 200: a harmless text\n" in done.stdout
    assert "HTTP 403: Access blocked\n" in done.stdout
    (blocked,) = [record for record in site.records() if record["decision"] == "block"]
    assert f"The case number on the page is {blocked['case']}. " in done.stdout
    assert f'"case":"{blocked["case"]}"' in done.stdout
    assert not accepts(squid_port)
    assert not accepts(web_port)


def check_c_icap_client(site: Site) -> None:
    """Each command of the page, and where its output stands below it, that output."""
    lines = Page.of(EXAMPLES / "c-icap-client" / "README.md").code
    typed = [at for at, line in enumerate(lines) if line.startswith("c-icap-client -i 127")]
    assert len(typed) == 5
    for at in typed:
        words = shlex.split(lines[at].replace("var/demo", str(site.directory)))
        words[words.index("-p") + 1] = str(site.icap_port)
        done = subprocess.run(
            words, cwd=site.directory, capture_output=True, text=True, check=True, timeout=30
        )
        printed = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
        printed = [CHANGES.sub(r"\1", line) for line in printed if line]
        if lines[at + 1].startswith("ICAP server:"):
            written = [CHANGES.sub(r"\1", line) for line in lines[at + 1 : at + 1 + len(printed)]]
            assert sorted(written) == sorted(printed)
    for page in ("page.html", "page2.html"):
        assert "Kaspersky KATA found a threat" in (site.directory / page).read_text()
