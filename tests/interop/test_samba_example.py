"""examples/samba/smb.conf: Samba takes it, and serves the folder door with it."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.emulator import EICAR
from tests.conftest import need
from tests.support.folders import OWN, Places
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until
from tests.support.samba import Samba

Keep = Callable[[Program], Program]

REFUSED = "No such file|denied|ACCESS_DENIED"
EXAMPLE = Path(__file__).parents[2] / "examples" / "samba" / "smb.conf"


def test_samba_takes_every_line() -> None:
    command = [need("testparm"), "--suppress-prompt", str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for word in ("unknown", "ignoring", "invalid", "error", "warning"):
        assert word not in done.stderr.lower(), done.stderr
    for share, values in shares().items():
        printed = section(done.stdout, share)
        defaults = {"read only": "yes"}  # what is as it would be anyway is not printed
        wanted = {key: text for key, text in values.items() if defaults.get(key) != text.lower()}
        assert {key: text.lower() for key, text in wanted.items()}.items() <= printed.items()


def test_the_shares_do_what_their_page_says(site: Site, started: Keep) -> None:
    places = Places.of(site)
    with Samba(need("smbd"), {}, as_here(site)) as samba, samba.client() as client:
        started(site.start_watch())
        client.put("in/slow", b"#kata delay=1\nis being judged")
        wait_until(lambda: any(n.startswith(OWN) for n in places.waiting()), "it is claimed")
        assert client.names("in") == set()
        with pytest.raises(OSError, match=REFUSED):
            client.names(f"in/{OWN}")
        with pytest.raises(OSError, match=REFUSED):
            client.put(f"in/{OWN}-mine", b"a name of ours")
        client.put("in/clean", b"clean")
        client.put("in/eicar.com", EICAR)
        places.wait_empty()
        assert client.names("out") == {"slow", "clean"}
        assert client.read("out/clean") == b"clean"
        assert set(places.quarantined()) == {"eicar.com"}
        with pytest.raises(OSError, match=REFUSED):
            client.put("out/mine", b"past KATA")


def as_here(site: Site) -> str:
    """The example with the folders of a site, and the only user that `Samba` knows."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = EXAMPLE.read_text().replace("/srv/katabridge", str(site.directory))
    for key in ("valid users", "force user"):
        text = re.sub(rf"^( *{key} =).*$", rf"\1 {user}", text, flags=re.MULTILINE)
    return text


def shares() -> dict[str, dict[str, str]]:
    """The example's sections."""
    found: dict[str, dict[str, str]] = {}
    for line in EXAMPLE.read_text().splitlines():
        words = line.strip()
        if words.startswith("["):
            found[words.strip("[]")] = {}
        elif "=" in words and not words.startswith("#"):
            key, _, text = words.partition("=")
            found[list(found)[-1]][key.strip()] = text.strip()
    return found


def section(printed: str, share: str) -> dict[str, str]:
    """A section of what testparm prints, in lower case."""
    lines = printed.partition(f"[{share}]\n")[2].partition("\n[")[0].splitlines()
    pairs = (line.strip().lower().partition(" = ") for line in lines)
    return {key: text for key, _, text in pairs if key}
