"""`make install` and `make uninstall` into a scratch root, with a Python that only pretends."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ["katabridge-icapd.service", "katabridge-watch.service"]
CONFIG = "etc/katabridge/katabridge.yaml"

# makes what `python -m venv` and `pip install` make, as far as the installer looks at it
PYTHON = """#!/bin/sh
case "$*" in
*version_info\\ \\<*) exit ${OLD:-0} ;;
*ensurepip*) exit ${NO_VENV:-0} ;;
*base_executable*) echo "${BASE:-/usr/bin/python3}" ;;
*version_info*) echo python3.11 ;;
"-m venv --clear "*)
    for last; do :; done
    rm -rf "$last"; mkdir -p "$last/bin" "$last/lib/python3.11"
    cp "$0" "$last/bin/python"; echo "home = $last/bin" >"$last/pyvenv.cfg" ;;
*pip\\ install*)
    for last; do :; done
    [ -z "$NO_INDEX" ] || { echo "noise"; echo "ERROR: no index"; echo "more noise"; exit 1; }
    [ -f "$last/icapd/templates/block.html" ] || { echo "ERROR: no templates"; exit 1; }
    venv=$(dirname "$(dirname "$0")"); echo run >>"$venv/installed"
    for each in icapd kata-bridge; do echo "#!$venv/bin/python" >"$venv/bin/$each"; done ;;
esac
"""

Make = Callable[..., subprocess.CompletedProcess[str]]


OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def make(tmp_path: Path, dest: Path) -> Make:
    """`make(target, VARIABLE=…)`; the variables are in the environment, too."""
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)

    def run(target: str, **variables: object) -> subprocess.CompletedProcess[str]:
        given = {"DESTDIR": dest, "PYTHON": python} | variables
        words = [f"{name}={value}" for name, value in given.items()]
        command = ["make", "--no-print-directory", target, *words]
        inherited = {k: v for k, v in os.environ.items() if k not in OF_MAKE}  # of `make test`
        environ = inherited | {name: str(value) for name, value in given.items()}
        return subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )

    return run


def files(dest: Path) -> set[str]:
    """All files and links below it."""
    return {str(path.relative_to(dest)) for path in dest.rglob("*") if not path.is_dir()}


def test_what_is_installed_is_complete_and_goes_again(make: Make, dest: Path) -> None:
    done = make("install", PREFIX="/opt/kb")
    assert (done.returncode, done.stderr) == (0, "")
    assert "systemctl enable --now katabridge-icapd" in done.stdout
    # every path is the one of later, not of the scratch root
    for program in ("icapd", "kata-bridge"):
        link = dest / "opt/kb/bin" / program
        assert str(link.readlink()) == f"/opt/kb/lib/katabridge/bin/{program}"
        script = dest / "opt/kb/lib/katabridge/bin" / program
        assert script.read_text() == "#!/opt/kb/lib/katabridge/bin/python\n"
    assert str(dest) not in (dest / "opt/kb/lib/katabridge/pyvenv.cfg").read_text()
    for unit in UNITS:
        text = (dest / "usr/local/lib/systemd/system" / unit).read_text()
        assert re.findall(r"^ExecStart=(\S+)", text, re.M)[0].startswith("/opt/kb/bin/")
        assert "/opt/katabridge" not in text
    config = dest / CONFIG
    assert config.read_text() == (ROOT / "conf/katabridge.yaml").read_text()
    assert (config.stat().st_mode & 0o777, config.parent.stat().st_mode & 0o777) == (0o640, 0o750)

    # once more changes nothing, and what people wrote stays
    before = files(dest)
    config.write_text("mine")
    again = make("install", PREFIX="/opt/kb")
    assert again.returncode == 0
    assert "stays as it is" in again.stdout
    assert files(dest) == before
    assert config.read_text() == "mine"
    assert (dest / "opt/kb/lib/katabridge/installed").read_text() == "run\nrun\n"

    # state and logs are left, and all else is gone, also the second time
    state = dest / "var/lib/katabridge/verdicts.db"
    state.parent.mkdir(parents=True)
    state.touch()
    for _ in range(2):
        done = make("uninstall", PREFIX="/opt/kb")
        assert (done.returncode, done.stderr) == (0, "")
        assert files(dest) == {CONFIG, "var/lib/katabridge/verdicts.db"}
        assert config.read_text() == "mine"
        assert not (dest / "opt/kb").exists()


def test_a_prefix_that_others_share_keeps_what_is_theirs(make: Make, dest: Path) -> None:
    theirs = dest / "usr/local/bin/tool"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    assert make("install", PREFIX="/usr/local").returncode == 0
    (dest / "usr/local/bin/icapd").unlink()
    (dest / "usr/local/bin/icapd").write_text("somebody else's by now")
    assert make("uninstall", PREFIX="/usr/local").returncode == 0
    assert files(dest) == {CONFIG, "usr/local/bin/tool", "usr/local/bin/icapd"}


def test_a_folder_that_is_not_ours_is_not_touched(make: Make, dest: Path) -> None:
    mine = dest / "opt/katabridge/lib/katabridge/notes"
    mine.parent.mkdir(parents=True)
    mine.touch()
    for target in ("install", "uninstall"):
        done = make(target)
        assert done.returncode != 0
        assert "was not made by 'make install'" in done.stderr
        assert files(dest) == {"opt/katabridge/lib/katabridge/notes"}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"PYTHON": "python9.9"}, "there is no python9.9: name one with PYTHON=python3.11."),
        ({"OLD": 1}, "is older than 3.11: name a newer one with PYTHON=python3.12."),
        ({"NO_VENV": 1}, "has no venv: on Debian, apt-get install python3-venv."),
        ({"NO_INDEX": 1}, "(is the package index within reach?): ERROR: no index"),
        ({"PREFIX": "opt/x"}, "opt/x is no absolute path (PREFIX, DESTDIR, LIBDIR)."),
        ({"PREFIX": "/opt/a b"}, "/opt/a b: use letters, digits and"),
        ({"DESTDIR": __file__}, "test_install.py cannot be written: run this as root, or name a"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    make: Make, variables: dict[str, object], sentence: str
) -> None:
    done = make("install", **variables)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(said) == 1
    assert said[0].startswith("install: ")
    assert sentence in said[0]


def test_a_python_in_a_home_is_told_of(make: Make) -> None:
    done = make("install", BASE="/root/.pyenv/bin/python3")
    assert done.returncode == 0
    assert "lies in a home, where no service can run it" in done.stdout
