"""The self-test of icapd: a running one is asked as a proxy asks it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.core import Door, load_config, set_bypass
from bridge.core.opening import lock_instance
from icapd.selftest import examination
from icapd.selftest.examination import examine
from icapd.workers import ports
from tests.support.certificates import Authority
from tests.support.katabridge import Site
from tests.support.processes import Program, accepts, free_port, module, wait_until

Keep = Callable[[Program], Program]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def good(site: Site) -> Site:
    """A set-up that is known to be good."""
    site.changes = {"icap": {"policy": {"oversize": "block"}}}
    return site


def ask_icapd(site: Site, why: str | None = None) -> list[tuple[str, str]]:
    return [(each.status, each.sentence) for each in examine(site.settings(), 15, why)]


@pytest.mark.long
def test_a_running_icapd_is_asked_for_all_that_it_offers(good: Site, started: Keep) -> None:
    good.changes["icap"] |= {
        "services": {
            "av/reqmod": {"method": "REQMOD"},
            "av/respmod": {"method": "RESPMOD"},
            "watch": {"method": "RESPMOD", "mode": "monitor"},
        }
    }
    good.changes["status"] = {"icapd": f"127.0.0.1:{free_port()}"}
    icapd = started(good.start_icapd())
    for _ in range(2):  # the second one must not take the first for a proxy
        done = subprocess.run(
            [*module("bridge.cli"), "check", "--config", str(good.config)],
            capture_output=True, text=True, timeout=60, check=False, cwd=good.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert "warning proxies: none has asked in the last hour\n" in done.stdout
        assert "ok      status: icapd answers at 127.0.0.1:" in done.stdout
    for words in (
        f"ok      icap: av/respmod at 127.0.0.1:{good.icap_port} takes RESPMOD, mode advanced",
        "ok      icap: a clean body through av/reqmod passes",
        "ok      icap: EICAR through av/reqmod is blocked",
        "ok      icap: a clean body through av/respmod passes",
        "ok      icap: EICAR through av/respmod is blocked",
        "ok      icap: EICAR through watch passes, as mode monitor says",
    ):
        assert words in done.stdout
    ours = [record for record in good.records() if record["decision"] == "block"]
    assert {record["context"]["user"] for record in ours} == {"kata-bridge check"}
    assert all(r["context"]["url"].startswith("http://katabridge.invalid/check/") for r in ours)

    assert ask_icapd(good, "kata failed")[-1][1].endswith("none can be judged (kata failed)")
    set_bypass(good.directory / "spool", {Door.ICAP: time.time() + 600})

    def bypassed() -> bool:
        opened = "EICAR through av/respmod passes, but not because KATA said so: excluded (not"
        return any(words.startswith(opened) for _, words in ask_icapd(good))

    wait_until(bypassed, "the door follows", 15)
    set_bypass(good.directory / "spool", {})

    good.changes["icap"]["preview"] = 1024
    found = ask_icapd(good, "no bodies")
    assert found[0] == (
        "warning",
        f"av/reqmod at 127.0.0.1:{good.icap_port} is served by another version, or by another "
        "configuration",
    )
    good.changes["icap"]["services"]["new"] = {"method": "REQMOD"}
    assert ("failed", f"new at 127.0.0.1:{good.icap_port} is not offered: ICAP status 404") in [
        (status, words.partition(", ")[0]) for status, words in ask_icapd(good, "no bodies")
    ]
    assert icapd.process.poll() is None


def test_an_icapd_that_does_not_run(good: Site) -> None:
    found = ask_icapd(good)
    assert found[0] == (
        "failed",
        f"nothing listens on 127.0.0.1:{good.icap_port}: icapd does not run",
    )
    assert found[1][0] == "skipped"


def test_an_address_that_is_taken_is_why_icapd_does_not_run(good: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        good.changes["icap"]["listen"] = [f"127.0.0.1:{good.icap_port}", taken]
        found = ask_icapd(good)
    assert found[0] == (
        "failed",
        f"nothing listens on 127.0.0.1:{good.icap_port}: icapd cannot listen on {taken} "
        "(icap.listen): it is taken by another program",
    )


def refuse_with(number: int, patch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    patch.setattr(ports, "bind", refuse)


def test_a_right_that_icapd_lacks_is_why_it_does_not_run(
    good: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_with(errno.EACCES, monkeypatch)
    (finding, _) = examine(good.settings(), 15, None)
    assert finding.status == "failed"
    assert "(icap.listen): this user may not; below 1024 that takes" in finding.sentence
    assert "one below 1024 takes a right (docs/install.md)" in finding.advice


def test_the_address_of_another_machine_is_not_asked(
    good: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answers there is another icapd; ours cannot start."""
    good.changes["icap"]["listen"] = ["192.0.2.1:1344"]
    wrong = "icapd cannot listen on {} (icap.listen): it is no address of this machine"
    assert ask_icapd(good)[0] == ("failed", wrong.format("192.0.2.1:1344"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        good.changes["icap"]["listen"] = [f"127.0.0.1:{other.getsockname()[1]}"]
        refuse_with(errno.EADDRNOTAVAIL, monkeypatch)
        found = ask_icapd(good)
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert [status for status, _ in found] == ["failed", "skipped"]


def test_pages_that_keep_icapd_from_starting_are_said_first(good: Site) -> None:
    pages = good.directory / "pages"
    pages.mkdir()
    (pages / "block.html").write_text("{% if %}")
    good.changes["icap"]["pages"] = {"dir": str(pages)}
    assert ask_icapd(good)[0][0] == "failed"
    assert str(pages) in ask_icapd(good)[0][1]


ODD = {
    "nothing": (None, "did not answer within"),
    "another protocol": (b"220 mail.example ESMTP\x1b[31m\r\n", "not answer as an ICAP server"),
    "an end": (b"", "not answer as an ICAP server does"),
}


@pytest.mark.parametrize("name", ODD)
def test_something_else_on_the_port(good: Site, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, words = ODD[name]
    monkeypatch.setattr(examination, "_CONNECT", 0.3)
    monkeypatch.setattr(examination, "_LEAST", 0.3)
    with socket.create_server(("127.0.0.1", good.icap_port)) as listener:
        if answer is not None:
            listener.settimeout(10)

            def serve() -> None:
                sock, _ = listener.accept()
                with sock:
                    sock.sendall(answer)

            threading.Thread(target=serve, daemon=True).start()
        found = ask_icapd(good)
    assert found[0][0] == "failed"
    assert words in found[0][1]


def test_who_is_not_let_in_is_told_so(good: Site, started: Keep) -> None:
    good.changes["icap"]["allow_from"] = ["192.0.2.0/24"]
    started(good.start_icapd())
    found = ask_icapd(good)
    assert found[0][0] == "warning"
    assert "does not serve this machine: ICAP status 403" in found[0][1]
    assert found[1][0] == "skipped"


def test_over_tls_where_there_is_no_other_port(good: Site, tmp_path: Path, started: Keep) -> None:
    port, authority = free_port(), Authority(tmp_path / "ca", "test-ca")
    certificate, key = authority.issue("icapd")
    tls = {"listen": [f"127.0.0.1:{port}"], "cert": str(certificate), "key": str(key)}
    good.changes["icap"] |= {"listen": [], "tls": tls}
    program = Program([*module("icapd.cli"), "--config", good.config], tmp_path / "icapd.out")
    started(program).wait_for(lambda: accepts(port), "icapd")
    found = ask_icapd(good)
    assert {status for status, _ in found} == {"ok"}, found
    assert found[0][1] == f"av/reqmod at 127.0.0.1:{port} (TLS) takes REQMOD, mode advanced"


def test_an_old_configuration_is_seen_whatever_files_it_names(
    good: Site, tmp_path: Path, started: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = Authority(tmp_path / "ca", "test-ca").issue("icapd")
    tls = {"listen": [f"127.0.0.1:{free_port()}"], "cert": str(certificate), "key": str(key)}
    (good.directory / "pages").mkdir()
    good.changes["icap"] |= {"tls": tls, "pages": {"dir": "pages"}}
    started(good.start_icapd())
    monkeypatch.chdir(good.directory)
    relative = load_config(Path("katabridge.yaml"))
    found = [each.status for each in examine(relative, 15, "no bodies")]
    assert found == ["ok", "ok", "ok", "skipped"]
    good.changes["icap"]["policy"] = {"oversize": "block", "detect": "pass"}
    said = ask_icapd(good, "no bodies")
    assert [status for status, _ in said] == ["warning", "warning", "ok", "skipped"]
    assert said[0][1].endswith("is served by another version, or by another configuration")


def test_a_tls_port_that_hangs_up(good: Site, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "test-ca")
    certificate, key = authority.issue("icapd")
    with hanging_up() as port:
        tls = {"listen": [f"127.0.0.1:{port}"], "cert": str(certificate), "key": str(key)}
        good.changes["icap"] |= {"listen": [], "tls": tls, "allow_from": ["192.0.2.0/24"]}
        assert "does not serve this machine: the connection is cut" in ask_icapd(good)[0][1]
        tls["client_ca"] = str(authority.certificate)
        assert "wants the certificate of a proxy" in ask_icapd(good)[0][1]


@contextlib.contextmanager
def hanging_up() -> Iterator[int]:
    """A port that takes connections and ends them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("by", ["lock", "page"])
def test_an_icapd_that_runs_and_serves_nobody_is_no_stranger(good: Site, by: str) -> None:
    """It has no descriptors left, say, for so many idle connections."""
    with hanging_up() as port:
        good.changes["icap"]["listen"] = [f"127.0.0.1:{port}"]
        assert "does not answer as an ICAP server does" in ask_icapd(good)[0][1]
        spool = good.settings().spool.dir
        locks = [lock_instance(spool, "test.icap.1")] if by == "lock" else []
        try:
            found = list(examine(good.settings(), 15, None, runs=by == "page"))
        finally:
            for lock in locks:
                os.close(lock)
    assert [each.status for each in found] == ["failed", "skipped"]
    assert found[0].sentence.startswith(
        f"icapd runs, and cuts a connection to 127.0.0.1:{port}, as it does without descriptors: "
    )
    assert "LimitNOFILE" in found[0].advice
    assert "icap.max_connections" in found[0].advice


def test_what_speaks_another_protocol_is_a_stranger_whoever_runs(good: Site) -> None:
    with socket.create_server(("127.0.0.1", good.icap_port)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"220 mail.example ESMTP\r\n")
                sock.recv(4096)

        threading.Thread(target=serve, daemon=True).start()
        first = next(iter(examine(good.settings(), 15, None, runs=True)))
    assert "does not answer as an ICAP server does" in first.sentence


def test_an_icapd_with_all_its_connections_is_not_told_to_read_its_file(
    good: Site, started: Keep
) -> None:
    good.changes["icap"]["max_connections"] = 1
    started(good.start_icapd())
    with contextlib.ExitStack() as idle:

        def is_held() -> bool:  # once who looked whether it has begun has left
            held = socket.create_connection(("127.0.0.1", good.icap_port))
            idle.enter_context(held).sendall(b"OPTIONS icap://h/av/reqmod ICAP/1.0\r\n\r\n")
            return held.recv(100).startswith(b"ICAP/1.0 200")

        wait_until(is_held, "the only connection is ours", 30)
        first = next(iter(examine(good.settings(), 15, None)))
    assert first.status == "failed"
    assert "is not offered: ICAP status 503" in first.sentence
    assert "icap.max_connections" in first.advice


def test_only_folders_are_watched_here(good: Site) -> None:
    settings = good.settings()
    folders = settings.model_copy(update={"icap": settings.icap})
    folders.model_fields_set.discard("icap")
    first = next(iter(examine(folders, 5, None)))
    assert (first.status, "icapd does not run" in first.sentence) == ("warning", True)
