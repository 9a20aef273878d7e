"""`kata-bridge quarantine` cut off anywhere, or by somebody else at the same file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bridge.emulator import EICAR
from tests.support.commands import patched
from tests.support.katabridge import Site
from tests.support.processes import Program
from tests.support.quarantine import command, files_in, note_of, plant

PRELUDE = """
import os, time, pathlib
from bridge.core import Core
from bridge.folder.quarantine import carrying
from bridge.folder.quarantine.custody import Custody
"""


def line_with(patch: str, site: Site, *words: str) -> list[str]:
    """The command with something in it replaced."""
    return patched(f"{PRELUDE}\n{patch}", "quarantine", *words, "--config", site.config)


BARRIER = """
take = Custody.take
def wait(self, entry, case_id):
    here = pathlib.Path({directory!r})
    (here / str(os.getpid())).touch()
    while len(list(here.iterdir())) < 2: time.sleep(0.01)
    return take(self, entry, case_id)
Custody.take = wait
"""


@pytest.mark.long
@pytest.mark.parametrize("verb", ["release", "delete"])
def test_of_two_at_once_one_succeeds(site: Site, tmp_path: Path, verb: str) -> None:
    plant(site, {"a.com": EICAR})
    (tmp_path / "barrier").mkdir()
    patch = BARRIER.format(directory=str(tmp_path / "barrier"))
    programs = [
        Program(line_with(patch, site, verb, "a.com", "--yes"), tmp_path / f"{number}.out")
        for number in range(2)
    ]
    codes = {program.process.wait(60): program.output() for program in programs}
    assert set(codes) == {0, 1}, codes
    assert len(codes[1].splitlines()) == 1, codes
    assert f"no {verb} of" in codes[1]
    assert "somebody else has taken it" in codes[1] or "it is gone" in codes[1]
    assert len(site.records()) == 1
    assert files_in(site, "quarantine") == set()
    assert files_in(site, "out") == ({"a.com"} if verb == "release" else set())


CRASHES = {
    "before anything": "carrying.Plans.keep = lambda *_: os._exit(9)",
    "before it is taken": "Custody.take = lambda *_: os._exit(9)",
    "before the file, after the note": "import bridge.folder.claim as c; "
    "c.Claims.take = lambda *_: os._exit(9)",
    "before it is delivered": "carrying.deliver = lambda *_: os._exit(9)",
    "before its record": "Core.record_act = lambda *_: os._exit(9)",
    "before its removal": "Custody.remove = lambda *_: os._exit(9)",
    "between file and note": "Custody._remove_note = lambda *_: os._exit(9)",
    "after all": "Core.confirm = lambda *_: os._exit(9)",
}


@pytest.mark.parametrize(
    ("verb", "crash"),
    [("release", crash) for crash in CRASHES]
    + [("delete", crash) for crash in ("before its removal", "between file and note")],
)
def test_a_crash_loses_nothing_and_leaves_nothing_unrecorded(
    site: Site, verb: str, crash: str
) -> None:
    site.folder["recursive"] = True
    site.folder["on_conflict"] = "rename"
    plant(site, {"sub/a.com": EICAR})
    case = note_of(site, "sub/a.com")["case"]
    line = line_with(CRASHES[crash], site, verb, case, "--yes")
    crashed = subprocess.run(line, capture_output=True, timeout=60, check=False)
    assert crashed.returncode == 9, crashed.stderr
    # whatever is asked for next puts right what was left
    again = command(site, verb, case, "--yes")
    had_been_done = list(CRASHES).index(crash) > list(CRASHES).index("before it is delivered")
    assert again.returncode == int(had_been_done), again.stderr
    assert files_in(site, "quarantine") == set()
    assert files_in(site, "out") == ({"sub/a.com"} if verb == "release" else set())
    (record,) = site.records()
    assert record["rule"] == f"{verb}d by hand"
    assert record["context"]["quarantined_as"] == case
    if verb == "release":
        assert record["context"]["moved_to"] == str(site.directory / "out" / "sub" / "a.com")
    assert not list((site.directory / "spool" / "test.quarantine.0.quarantine").iterdir())


@pytest.mark.long
def test_what_a_crash_left_is_seen_in_the_list(site: Site) -> None:
    plant(site, {"a.com": EICAR})
    line = line_with(CRASHES["before its record"], site, "release", "a.com", "--yes")
    assert subprocess.run(line, capture_output=True, timeout=60, check=False).returncode == 9
    done = command(site, "list")
    assert "1 more in" in done.stderr
    assert "a command was cut off" in done.stderr
    done = command(site, "delete", "nothing", "--yes")
    assert done.returncode == 1
    assert "was delivered to" in done.stderr
    assert "is recorded now" in done.stderr
    assert site.records()[-1]["decision"] == "pass"
    done = command(site, "list")
    assert done.stderr == "kata-bridge quarantine: nothing is there.\n"
