"""The pytest plugin in a project of somebody else's, run as he runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.workers import is_alive

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "harness.md").read_text()
_SECONDS = 100
PLUGINS = ("-p", "xdist", "-p", "bridge.testing.plugin")  # loading all that is here takes seconds
# The examples of the page stand before what is here of the same name.
FILES = {
    "pytest.ini": """
[pytest]
addopts = --strict-markers -p no:cacheprovider
katabridge_scope = module
""",
    "conftest.py": """
import os
import sys
from pathlib import Path

import pytest

HEAVY = {"bridge.core", "bridge.emulator", "icapd", "yaml", "requests", "pydantic", "OpenSSL"}


def pytest_configure(config):
    loaded = HEAVY & set(sys.modules)
    if loaded:
        raise pytest.UsageError(f"the plugin loads at pytest's start: {loaded}")


@pytest.fixture(scope="session")
def katabridge_settings():
    return {"icap": {"options_ttl": "7s", "preview": 1}}


STARTED = []


@pytest.fixture
def note():
    def write(pid):
        Path(__file__).with_name(f"started-{pid}").touch()
        STARTED.append(pid)

    return write


def pytest_sessionfinish():
    for pid in STARTED:
        if Path(f"/proc/{pid}").exists():
            Path(__file__).with_name(f"left-{pid}").touch()
""",
    "test_icap.py": """
from bridge.testing import HarnessError


def test_a_reload_counts(icapd_server, icap_client, note):
    note(icapd_server.pid)
    icapd_server.reload({"icap": {"preview": 78}})
    fields = icap_client.options("av/respmod").fields
    assert (fields["options-ttl"], fields["preview"]) == ("7", "78")


def test_a_reload_in_part_is_taken_back(icapd_server, icap_client):
    before = icap_client.options("av/respmod").fields["preview"]
    with pytest.raises(HarnessError, match="what takes a restart stays as it was: kata.node"):
        icapd_server.reload({"kata": {"node": "other"}, "icap": {"preview": 79}})
    assert icap_client.options("av/respmod").fields["preview"] == before


def test_kata_away_and_back(kata_emulator, icapd_server, icap_client):
    kata_emulator.down()
    away = REQUEST.replace(b"setup.exe", b"away")
    assert icap_client.reqmod("av/reqmod", away, b"while away").http_head.status == 403
    (record,) = icapd_server.wait_records(1, url="http://files.example/away")
    assert record["outcome"] == "unavailable"
    so_far = len(icapd_server.log())
    kata_emulator.up()
    icapd_server.wait_log("KATA takes files again", after=so_far, seconds=30)


def test_of_a_failure_the_report_has_the_log(icap_client):
    icap_client.reqmod("av/reqmod", REQUEST.replace(b"setup.exe", b"the-last"), b"x")
    assert not "as it should"


@pytest.mark.katabridge(icap={"preview": 3})
def test_a_marker_too_near(icapd_server):
    pass
""",
    "test_share.py": """

def test_a_name_that_comes_again(folder_bridge, note):
    note(folder_bridge.pid)
    folder_bridge.drop("eicar.com", b"clean this time")
    again = folder_bridge.wait_for_delivery("eicar.com")
    assert again.path == folder_bridge.output / "eicar.com"
""",
    "test_wrong.py": """
import pytest

pytestmark = pytest.mark.katabridge(icap={"listen": ["127.0.0.1:1344"]})


def test_a_key_that_is_not_the_tests(icapd_server):
    pass
""",
}


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class Run:
    """What came of the tests of a project: its output, and how each test ended."""

    def __init__(self, folder: Path, *options: str) -> None:
        report = folder / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *PLUGINS, *options]
        done = subprocess.run(
            [*command, str(folder)],
            cwd=folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        self.output = done.stdout + done.stderr
        assert report.exists(), self.output
        cases = ElementTree.parse(report).iter("testcase")
        self.ends = {case.get("name"): [each.tag for each in case] for case in cases}

    def faults(self, name: str) -> str:
        """The part of the output that is about one test."""
        (found,) = re.findall(rf"^_+ (?:ERROR at setup of )?{name} _+$(.*?)(?=^[_=]{{5}})",
                              self.output, re.M | re.S)  # fmt: skip
        return str(found)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Run]]:
    folder = tmp_path_factory.mktemp("project")
    examples = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```", PAGE, re.M | re.S))
    assert examples.keys() < FILES.keys()
    for name, text in FILES.items():
        (folder / name).write_text(examples.get(name, "") + text)
    yield folder, Run(folder, "-n", "2", "--dist", "loadfile")


def test_the_fixtures_work_in_two_processes_at_a_time(project: tuple[Path, Run]) -> None:
    _, run = project
    good = {"test_verdicts", "test_a_reload_counts", "test_kata_away_and_back"}
    good |= {"test_a_reload_in_part_is_taken_back"}
    good |= {"test_a_share", "test_a_name_that_comes_again"}
    assert {name: run.ends.get(name) for name in good} == {name: [] for name in good}, run.output


def test_a_failing_test_shows_what_the_door_printed_during_it(project: tuple[Path, Run]) -> None:
    _, run = project
    said = run.faults("test_of_a_failure_the_report_has_the_log")
    log = said.partition("katabridge: icapd")[2]
    assert "http://files.example/the-last" in log, said
    assert "http://files.example/away" not in log, "that was another test"


def test_what_is_wrong_is_one_sentence(project: tuple[Path, Run]) -> None:
    _, run = project
    said = run.faults("test_a_key_that_is_not_the_tests").strip().partition("\n")[2]
    assert said == "icap.listen cannot be set in a test: the harness finds a free port."
    said = run.faults("test_a_marker_too_near")
    assert "katabridge_scope is module: the marker katabridge of test_a_marker_too_near" in said
    assert "another exception" not in run.output


def test_the_example_needs_no_plugin_but_ours() -> None:
    text = (ROOT / "examples" / "harness" / "README.md").read_text()
    (arguments,) = re.findall(r"^    \.venv/bin/pytest (.*)$", text, re.M)
    command = [sys.executable, "-m", "pytest", *PLUGINS[2:], "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--collect-only", "-q", *arguments.split()],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_nothing_passes_while_icapd_is_down" in done.stdout


def test_nothing_is_left(project: tuple[Path, Run]) -> None:
    folder, run = project
    pids = [int(path.name.partition("-")[2]) for path in folder.glob("started-*")]
    assert len(pids) == 2, run.output
    assert not [pid for pid in pids if is_alive(pid)]
    assert not list(folder.glob("left-*")), "they ended only with the test run"
