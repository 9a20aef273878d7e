"""`make install` and `make uninstall` into a scratch root, with a Python that only pretends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import wait_until

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
"-m venv "*)
    for last; do :; done
    [ "$HANG" != venv ] || { : >"$REACHED"; exec sleep 60; }
    last=$(realpath -s "$last"); mkdir -p "$last/bin" "$last/lib/python3.11"
    cp "$0" "$last/bin/python"; echo "home = $last/bin" >"$last/pyvenv.cfg" ;;
*pip\\ install*)
    for last; do :; done
    [ "$HANG" != pip ] || { : >"$REACHED"; exec sleep 60; }
    [ -z "$PIP_SAYS" ] || { cat "$PIP_SAYS"; exit 1; }
    [ -f "$last/icapd/templates/block.html" ] || { echo "ERROR: no templates"; exit 1; }
    venv=$(realpath -s "$(dirname "$(dirname "$0")")"); echo "${RELEASE:-1}" >>"$venv/installed"
    for each in icapd kata-bridge; do
        echo "#!${ELSEWHERE:-$venv}/bin/python" >"$venv/bin/$each"
    done ;;
esac
"""

# the beginning and the end of what pip says where no package index is within reach
NO_INDEX = """\
  error: subprocess-exited-with-error

  × pip subprocess to install build dependencies did not run successfully.
  ╰─> [3 lines of output]
      WARNING: Retrying after connection broken
      ERROR: Could not find a version of setuptools
      ERROR: No matching distribution found
      [end of output]

  note: This error originates from a subprocess.
error: subprocess-exited-with-error
note: This error originates from a subprocess.
"""
NO_BUILD = """\
  error: subprocess-exited-with-error
  ╰─> [2 lines of output]
      Traceback (most recent call last):
      OSError: the disk\x1b[2J is full
      [end of output]
error: metadata-generation-failed
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
    assert str((dest / "usr/local/bin/icapd").readlink()) == "/usr/local/lib/katabridge/bin/icapd"
    (dest / "usr/local/bin/icapd").unlink()
    (dest / "usr/local/bin/icapd").write_text("somebody else's by now")
    done = make("install", PREFIX="/usr/local")
    assert "usr/local/bin/icapd is not of katabridge: move it away, or" in done.stderr
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


@pytest.mark.sample(5)
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"PYTHON": "python9.9"}, "there is no python9.9: name one with PYTHON=python3.11."),
        ({"OLD": 1}, "is older than 3.11: name a newer one with PYTHON=python3.12."),
        ({"NO_VENV": 1}, "has no venv: on Debian, apt-get install python3-venv."),
        ({"PIP_SAYS": NO_INDEX}, "(is the package index within reach?): ERROR: Could not find a"),
        ({"PIP_SAYS": NO_BUILD}, "within reach?): OSError: the disk[2J is full"),
        ({"PIP_SAYS": "noise\nERROR: odd\nmore noise\n"}, "within reach?): ERROR: odd"),
        ({"PIP_SAYS": "noise\nanything else\n"}, "within reach?): anything else"),
        ({"ELSEWHERE": "/else"}, "does not begin with /opt/katabridge/lib/katabridge/bin/python"),
        ({"PREFIX": "opt/x"}, "opt/x is no absolute path (PREFIX, BINDIR, DESTDIR, LIBDIR)."),
        ({"BINDIR": "bin"}, "bin is no absolute path (PREFIX, BINDIR, DESTDIR, LIBDIR)."),
        ({"PREFIX": "/opt/a b"}, "/opt/a b: use letters, digits and"),
        ({"DESTDIR": __file__}, "test_install.py cannot be written: run this as root, or name a"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    make: Make, tmp_path: Path, variables: dict[str, object], sentence: str
) -> None:
    if "PIP_SAYS" in variables:
        said_by_pip = tmp_path / "pip"
        said_by_pip.write_text(str(variables["PIP_SAYS"]))
        variables = {"PIP_SAYS": said_by_pip}
    done = make("install", **variables)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(said) == 1
    assert said[0].startswith("install: ")
    assert sentence in said[0]


def test_paths_may_end_in_a_slash_or_go_round(make: Make, dest: Path) -> None:
    assert make("install").returncode == 0
    plain = {path: (dest / path).read_bytes() for path in files(dest) if (dest / path).is_file()}
    links = {path: (dest / path).readlink() for path in files(dest) if (dest / path).is_symlink()}
    assert make("uninstall").returncode == 0
    odd = {
        "DESTDIR": f"{dest.parent}//x/../root/",
        "PREFIX": "/opt//./katabridge/",
        "LIBDIR": "/usr/local/lib/",
    }
    assert make("install", **odd).returncode == 0
    assert plain == {
        path: (dest / path).read_bytes() for path in files(dest) if (dest / path).is_file()
    }
    assert links == {path: (dest / path).readlink() for path in links}
    assert make("uninstall", **odd).returncode == 0
    assert files(dest) == {CONFIG}


def test_links_of_an_earlier_release_that_wrote_two_slashes_go(make: Make, dest: Path) -> None:
    assert make("install").returncode == 0
    link = dest / "opt/katabridge/bin/icapd"
    link.unlink()
    link.symlink_to("/opt/katabridge//lib/katabridge/bin/icapd")
    assert make("uninstall", PREFIX="/opt/katabridge/").returncode == 0
    assert files(dest) == {CONFIG}


def test_the_programs_are_where_every_account_looks_for_them(make: Make, dest: Path) -> None:
    theirs = dest / "usr/local/bin/icapd"
    theirs.parent.mkdir(parents=True)
    theirs.symlink_to("/srv/another/icapd")
    done = make("install")
    assert done.returncode == 0
    assert (
        "usr/local/bin/icapd is not of katabridge, and stays: call /opt/katabridge/bin/icapd"
        in (done.stdout)
    )
    assert str(theirs.readlink()) == "/srv/another/icapd"
    link = dest / "usr/local/bin/kata-bridge"
    assert str(link.readlink()) == "/opt/katabridge/bin/kata-bridge"
    assert make("uninstall").returncode == 0
    assert files(dest) == {CONFIG, "usr/local/bin/icapd"}


@pytest.mark.parametrize(
    ("variables", "folder"),
    [({"BINDIR": "/opt/links/"}, "opt/links"), ({"PREFIX": "/usr"}, "usr/bin")],
)
def test_links_go_where_they_are_wanted_and_nowhere_else(
    make: Make, dest: Path, variables: dict[str, object], folder: str
) -> None:
    assert make("install", **variables).returncode == 0
    assert (dest / folder / "icapd").is_symlink()
    assert not (dest / "usr/local/bin").exists()
    assert make("uninstall", **variables).returncode == 0
    assert files(dest) == {CONFIG}


def installed(dest: Path) -> str:
    """Which release is installed; it is one that is whole."""
    venv = dest / "opt/katabridge/lib/katabridge"
    for program in ("icapd", "kata-bridge"):
        script = (venv / "bin" / program).read_text()
        assert script == "#!/opt/katabridge/lib/katabridge/bin/python\n"
    return (venv / "installed").read_text().strip()


def test_an_upgrade_that_fails_leaves_what_was_installed(
    make: Make, dest: Path, tmp_path: Path
) -> None:
    said = tmp_path / "pip"
    said.write_text("ERROR: odd\n")
    assert make("install").returncode == 0
    before = files(dest)
    assert make("install", RELEASE=2, PIP_SAYS=said).returncode != 0
    assert (installed(dest), files(dest)) == ("1", before)
    assert make("install", RELEASE=2).returncode == 0
    assert (installed(dest), files(dest)) == ("2", before)


def test_the_python_that_is_named_is_the_one_that_is_used(
    make: Make, dest: Path, tmp_path: Path
) -> None:
    assert make("install").returncode == 0
    (dest / "opt/katabridge/lib/katabridge/bin/python").write_text("#!/nowhere\n")  # it is gone
    other = tmp_path / "other"
    other.write_text(PYTHON + "# of the same version\n")
    other.chmod(0o755)
    assert make("install", PYTHON=other).returncode == 0
    used = (dest / "opt/katabridge/lib/katabridge/bin/python").read_text()
    assert used.endswith("# of the same version\n")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("at", "first", "number"),
    [
        ("venv", True, signal.SIGINT),
        ("pip", False, signal.SIGHUP),
        ("pip", True, signal.SIGTERM),
        ("venv", True, signal.SIGKILL),
        ("venv", False, signal.SIGKILL),
        ("pip", False, signal.SIGKILL),
    ],
)
def test_what_is_ended_on_its_way_leaves_nothing_that_is_in_the_way(
    make: Make, dest: Path, tmp_path: Path, *, at: str, first: bool, number: int
) -> None:
    if not first:
        assert make("install").returncode == 0
    before = files(dest)
    end_at(at, number, dest, tmp_path)
    if number != signal.SIGKILL:
        assert files(dest) == before
        assert not list((tmp_path / "scratch").iterdir())
    if not first:
        assert installed(dest) == "1"
    target = "install" if at == "venv" else "uninstall"
    assert make(target, RELEASE=2).returncode == 0
    if target == "install":
        assert installed(dest) == "2"
    assert not [path for path in files(dest) if ".new" in path or ".old" in path]
    if target == "uninstall":
        assert files(dest) <= {CONFIG}


def end_at(at: str, number: int, dest: Path, tmp_path: Path) -> None:
    """End the installer and all it started by a signal, while it waits for what is called so."""
    reached, scratch = tmp_path / "reached", tmp_path / "scratch"
    scratch.mkdir()
    extra = {"DESTDIR": dest, "PYTHON": tmp_path / "python", "HANG": at, "REACHED": reached}
    environ = os.environ | {name: str(value) for name, value in extra.items()}
    process = subprocess.Popen(
        ["env", "--default-signal", "sh", "conf/install.sh", "install"],
        cwd=ROOT, env=environ | {"TMPDIR": str(scratch)}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(reached.exists, f"the installer is at {at}")
    os.killpg(process.pid, number)
    assert process.wait(10) != 0


def test_what_was_about_to_be_replaced_is_put_back(make: Make, dest: Path, tmp_path: Path) -> None:
    """Killed in the one moment where there is neither the old one nor the new one."""
    assert make("install").returncode == 0
    before = files(dest)
    venv = dest / "opt/katabridge/lib/katabridge"
    venv.rename(venv.with_name("katabridge.old"))
    said = tmp_path / "pip"
    said.write_text("ERROR: odd\n")
    assert make("install", PIP_SAYS=said).returncode != 0
    assert (installed(dest), files(dest)) == ("1", before)


def test_a_python_in_a_home_is_told_of(make: Make) -> None:
    done = make("install", BASE="/root/python/bin/python3")
    assert done.returncode == 0
    assert "lies in a home, where no service can run it" in done.stdout
