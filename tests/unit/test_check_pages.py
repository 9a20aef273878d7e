"""What `kata-bridge check` takes from the status pages, without a server of ours."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.commands.checking import daemons, outages, pages, proxies, watched
from bridge.commands.checking.line import Line, Status
from bridge.commands.checking.pages import By, Page, Pages, ask_page, judge_answer, judge_page
from bridge.commands.checking.proxies import Proxy, without_own
from bridge.commands.checking.readiness import judge_readiness, look_at_readiness
from bridge.commands.checking.room import Room
from bridge.commands.checking.running import TooSlowError, result_within
from bridge.core import EVENTS, HISTORY, Address, Outage, Settings
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.processes import free_port

HERE = Address("127.0.0.1", 8344)
LIVE: dict[str, Any] = {"program": "icapd", "node": "test", "live": True, "started": 1000.0}
NOW = datetime.now(UTC).timestamp()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    put_certificate(tmp_path / "ca.pem", tmp_path / "ca.key", "kata")
    return Site(tmp_path / "site", "https://127.0.0.1", tmp_path / "ca.pem").settings()


def page(program: str = "icapd", by: By = By.DAEMON, **told: Any) -> Page:
    facts = {**LIVE, "program": program, **told} if by is By.DAEMON else {}
    return Page(program, HERE, by, facts, "x")


def answers(*several: Page) -> Any:
    found = {each.program: each for each in several}
    return SimpleNamespace(of=found.__getitem__, all=lambda: list(found.values()))


# -- who answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "by", "why"),
    [
        (json.dumps(LIVE), By.DAEMON, ""),
        (json.dumps({**LIVE, "node": "other"}), By.STRANGER, "the status page of icapd of node ot"),
        (json.dumps({**LIVE, "program": "watch"}), By.STRANGER, "page of kata-bridge watch of"),
        ("<html>", By.STRANGER, "no status page"),
        ('{"program": 1}', By.STRANGER, "no status page"),
        ("null", By.STRANGER, "no status page"),
        ("[" * 100_000, By.STRANGER, "no status page"),
    ],
)
def test_an_answer_is_ours_or_a_strangers(answer: str, by: By, why: str) -> None:
    found = judge_answer("icapd", HERE, "test", answer.encode())
    assert (found.by, why in found.why) == (by, True), found


@contextlib.contextmanager
def saying(answer: bytes) -> Iterator[Address]:
    """A port where all are answered so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock:
                        sock.recv(4096)
                        sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_who_listens_at_a_status_port() -> None:
    assert ask_page("icapd", None, "test").by is By.UNASKED
    assert ask_page("icapd", Address("127.0.0.1", 0), "test").by is By.UNASKED
    assert ask_page("icapd", Address("0.0.0.0", free_port()), "test").by is By.NOBODY
    with saying(b"220 mail.example\x1b[31m ESMTP\r\n") as address:
        other = ask_page("icapd", address, "test")
    assert other.by is By.STRANGER
    (line,) = judge_page(other, needed=True)
    assert line.status is Status.FAILED
    assert f"{address} (status.icapd) takes connections, but not as this icapd" in line.sentence
    assert line.sentence.isprintable()
    assert "icapd does not start while another program has it" in line.advice
    (line,) = judge_page(other, needed=False)
    assert line.status is Status.WARNING


def test_an_address_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = Address("192.0.2.1", 8344)
    found = ask_page("icapd", foreign, "test")
    (line,) = judge_page(found, needed=True)
    assert (line.status, line.sentence) == (
        Status.FAILED,
        "icapd cannot listen on 192.0.2.1:8344 (status.icapd): it is no address of this machine",
    )
    (line,) = judge_page(ask_page("watch", foreign, "test"), needed=False)
    assert line.status is Status.WARNING
    assert line.sentence.startswith("kata-bridge watch cannot listen on 192.0.2.1:8344 (status.wa")

    def refuse(_: object) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pages, "bind", refuse)
    found = ask_page("icapd", Address("127.0.0.1", free_port()), "test")
    assert found.is_away
    (line,) = judge_page(found, needed=True)
    assert "(status.icapd): this user may not; below 1024 that takes" in line.sentence
    assert "if icapd has that, see its log" in line.advice
    with saying(json.dumps(LIVE).encode()) as address:  # a right that only the daemon has
        assert ask_page("icapd", address, "test").by is By.STRANGER


@pytest.mark.parametrize(
    ("found", "statuses"),
    [
        (page(), [Status.OK]),
        (page(live=False), [Status.FAILED]),
        (page(by=By.NOBODY), [Status.SKIPPED]),
        (page(by=By.UNASKED), []),
    ],
)
def test_a_line_for_each_page(found: Page, statuses: list[Status]) -> None:
    assert [line.status for line in judge_page(found, needed=True)] == statuses


def test_a_page_that_never_answers_is_waited_for_no_longer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    forever = threading.Event()
    waited: list[float] = []
    monkeypatch.setattr(pages, "SECONDS", 0.05)
    monkeypatch.setattr(pages, "ask_page", lambda *_: forever.wait())

    def within(seconds: float, future: Future[Page]) -> Page:
        waited.append(seconds)
        return result_within(seconds, future)

    monkeypatch.setattr(pages, "result_within", within)
    found = Pages(settings).all()
    assert waited[1] <= 0  # all of them have had their time together
    assert [(each.program, each.by) for each in found] == [
        ("icapd", By.STRANGER),
        ("watch", By.STRANGER),
    ]
    without_folders = settings.model_copy(update={"folders": []})
    assert [each.program for each in Pages(without_folders).all()] == ["icapd"]
    forever.set()


@pytest.mark.parametrize("figures", [None, [], {}, {"n": "7"}, {"n": float("nan")}])
def test_a_figure_that_is_none_counts_nothing(figures: object) -> None:
    assert page(figures=figures).figure("n") == 0
    assert page(figures={"n": 7.0}).figure("n") == 7


# -- proxies -----------------------------------------------------------------------------------


def told_proxy(address: str, requests: int, request: float | None) -> dict[str, Any]:
    counts = {"connections": 0, "options": None, "withheld": 0}
    return {"address": address, "requests": requests, "request": request, **counts}


def write_history(settings: Settings, *records: tuple[str, str, float]) -> None:
    """`(proxy, user, epoch)` each."""
    settings.logs.dir.mkdir()
    with (settings.logs.dir / HISTORY).open("w") as log:
        for proxy, user, moment in records:
            time = datetime.fromtimestamp(moment, UTC).isoformat()
            json.dump({"time": time, "context": {"proxy": proxy, "user": user}}, log)
            log.write("\n")


def look(settings: Settings, found: Page, runs: bool | None = True) -> list[Line]:
    return list(proxies.look_at_proxies(settings, found, runs=runs))


def test_proxies_by_the_daemons_own_word(settings: Settings) -> None:
    told = [
        told_proxy("192.0.2.7", 9, NOW - 5),
        told_proxy("192.0.2.8", 9, NOW - 4000),
        told_proxy("192.0.2.9", 0, None),
    ]
    (line,) = look(settings, page(proxies=told))
    assert line.status is Status.OK
    assert line.sentence.startswith("192.0.2.7: 9 requests")
    (line,) = look(settings, page(proxies=[7]))
    assert "by the end of log-history.log" in line.sentence


def refused_proxy(address: str, times: int, ago: float, **last: Any) -> dict[str, Any]:
    refusal = {"time": NOW - ago, "status": 404, "why": "why.", "asked": ""} | last
    return told_proxy(address, 0, None) | {"refused": times, "refusal": refusal}


def test_who_is_refused_is_said_with_why(settings: Settings) -> None:
    told = [
        refused_proxy("127.0.0.7", 20, 60, asked="resp\u202emod"),
        refused_proxy("127.0.0.9", 1, 90, status=403),
        refused_proxy("127.0.0.8", 3, 95, status=400),
        refused_proxy("127.0.0.6", 3, 99, status=0, why="the TLS handshake failed: x"),
        refused_proxy("127.0.0.5", 3, 4000),
        *[told_proxy("127.0.0.4", 0, None) | {"refused": 1, "refusal": odd} for odd in (None, 7)],
    ]
    *found, none = look(settings, page(proxies=told))
    assert "none has asked in the last hour" in none.sentence
    assert {line.status for line in found} == {Status.WARNING}
    assert [line.sentence.partition(", last at ")[0] for line in found] == [
        "127.0.0.7 asked for 'resp\\u202emod', which is no service here (404), 20 times",
        "127.0.0.9 is refused (403): it is not in icap.allow_from, once",
        "127.0.0.8 is refused (400): why, 3 times",
        "127.0.0.6 is refused: the TLS handshake failed: x, 3 times",
    ]
    assert "av/reqmod, av/respmod" in found[0].advice
    *_, last = look(settings, page(proxies=[*told, told_proxy("192.0.2.7", 9, NOW - 5)]))
    assert (last.status, last.sentence[:22]) == (Status.OK, "192.0.2.7: 9 requests,")
    many = [refused_proxy(f"127.0.1.{number}", 1, number) for number in range(30)]
    found = look(settings, page(proxies=many))
    assert (len(found), found[-2].sentence) == (12, "20 more are refused")


def test_what_the_check_itself_is_refused_is_no_proxys(settings: Settings) -> None:
    """Where this machine is not let in, or has no certificate of a proxy to show."""
    listen = [Address("0.0.0.0", 1344), Address("192.0.2.3", 1344)]
    icap = settings.icap.model_copy(update={"listen": listen})
    here = ("127.0.0.1", "::1", "192.0.2.3")
    told = [refused_proxy(address, 1, 60, status=status) for address in here for status in (403, 0)]
    (line,) = look(settings.model_copy(update={"icap": icap}), page(proxies=told))
    assert "none has asked in the last hour" in line.sentence
    lost = refused_proxy("127.0.0.1", 1, 60, asked="x")  # 404, which the check never is
    line = look(settings, page(proxies=[lost]))[0]
    assert line.sentence.startswith("127.0.0.1 asked for 'x'")
    line = look(settings, page(proxies=[refused_proxy("192.0.2.3", 1, 60, status=403)]))[0]
    assert line.sentence.startswith("192.0.2.3 is refused (403)")


def test_our_own_tests_are_no_proxy(settings: Settings) -> None:
    own = ("127.0.0.1", proxies.CHECKER, NOW - 60)
    write_history(settings, *[("127.0.0.1", proxies.CHECKER, 900.0)] * 4, *[own] * 4)
    (line,) = look(settings, page(proxies=[told_proxy("127.0.0.1", 4, NOW - 58)]))
    assert (line.status, "none has asked" in line.sentence) == (Status.WARNING, True), line


def test_a_proxy_beside_our_own_tests_is_seen(settings: Settings) -> None:
    own = ("127.0.0.1", proxies.CHECKER, NOW - 60)
    write_history(settings, *[own] * 4, ("127.0.0.1", "eve", NOW - 600))
    (line,) = look(settings, page(proxies=[told_proxy("127.0.0.1", 10, NOW - 58)]))
    assert (line.status, "127.0.0.1: 6 requests" in line.sentence) == (Status.OK, True), line


@pytest.mark.parametrize(
    ("requests", "last", "left"),
    [(4, 60, 0), (4, 10, 0), (5, 60, 0), (5, 10, 1)],
)
def test_requests_without_a_body_are_in_no_record(requests: int, last: int, left: int) -> None:
    told, own = [Proxy("a", requests, NOW - last)], [Proxy("a", 4, NOW - 60)]
    assert sum(proxy.requests for proxy in without_own(told, own, [])) == left


@pytest.mark.parametrize(
    ("found", "runs", "status", "words"),
    [
        (page(proxies=[]), None, Status.WARNING, "none has asked in the last hour"),
        (page(proxies=[]), False, Status.WARNING, "none has asked in the last hour"),
        (page(by=By.UNASKED), None, Status.WARNING, "(by the end of log-history.log)"),
        (page(by=By.NOBODY), None, Status.SKIPPED, "icapd does not run"),
        (page(by=By.NOBODY), True, Status.WARNING, "(by the end of log-history.log)"),
        (page(by=By.STRANGER), None, Status.WARNING, "(by the end of log-history.log)"),
        (page(live=False, proxies=[]), False, Status.SKIPPED, "icapd does not run"),
    ],
)
def test_whether_icapd_runs_its_page_says(
    settings: Settings, found: Page, runs: bool | None, status: Status, words: str
) -> None:
    (line,) = look(settings, found, runs)
    assert (line.status, words in line.sentence) == (status, True), line


@pytest.mark.parametrize("told", [{}, {"proxies": 3}, {"proxies": [{}]}, {"proxies": None}])
def test_what_a_status_page_never_says_is_not_believed(told: dict[str, Any]) -> None:
    assert proxies.by_status(told) is None


def test_what_we_ask_after_the_page_has_told_is_not_taken_off(settings: Settings) -> None:
    own = ("127.0.0.1", proxies.CHECKER, NOW - 1)
    write_history(settings, *[own] * 4)
    told = [told_proxy("127.0.0.1", 4, NOW - 600)]  # a proxy, whose requests had no body
    (line,) = look(settings, page(now=NOW - 2, proxies=told))
    assert (line.status, "127.0.0.1: 4 requests" in line.sentence) == (Status.OK, True), line


def test_without_the_log_only_that_none_has_asked_is_known(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[bytes]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(proxies, "tail_lines", fail)
    (line,) = look(settings, page(proxies=[told_proxy("127.0.0.1", 9, NOW - 4000)]))
    assert line.status is Status.WARNING
    for found in (page(proxies=[told_proxy("127.0.0.1", 9, NOW)]), page(by=By.UNASKED)):
        (line,) = look(settings, found)
        assert line.status is Status.SKIPPED


# -- outages -----------------------------------------------------------------------------------

OURS = ("test.icap.0",)
LASTS = Outage("kata_unreachable", "https://cn", NOW - 600, None, "refused", OURS)
OVER = LASTS._replace(end=NOW - 300)


def test_what_a_daemon_tells_is_joined_with_what_the_log_says() -> None:
    other = LASTS._replace(subject="https://other")
    assert outages.join([LASTS], []) == [LASTS]
    assert outages.join([], [LASTS, LASTS]) == [LASTS]
    assert outages.join([LASTS], [OVER]) == [OVER]  # whose end could not be written
    assert outages.join([OVER], [LASTS]) == [LASTS]
    assert outages.join([], [OVER, LASTS]) == [LASTS]  # it lasts for one of two daemons
    assert set(outages.join([LASTS], [other])) == {LASTS, other}
    earlier = LASTS._replace(begin=NOW - 5000, end=NOW - 4000)
    assert outages.join([earlier], [LASTS]) == [LASTS, earlier]


def look_at(settings: Settings, *found: Page) -> list[Line]:
    return list(outages.look_at_outages(settings, answers(*found)))


def test_what_cannot_be_written_is_known_all_the_same(settings: Settings) -> None:
    told = [LASTS._asdict(), {**LASTS._asdict(), "begin": "x"}, 7, {"kind": "x"}]
    (line,) = look_at(settings, page(outages=told), page("watch", By.NOBODY))
    assert (line.status, "https://cn: since 20" in line.sentence) == (Status.WARNING, True), line
    several: list[Any] = [None, 3, {}, [{**LASTS._asdict(), "end": float("inf")}]]
    assert not any(outages.told_outages({"outages": odd}) for odd in several)


@pytest.mark.parametrize(("free", "files"), [(0, None), (1 << 40, 0)])
def test_where_neither_log_nor_daemon_tells_nothing_is_called_well(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, files: int | None
) -> None:
    silent, alive = page(by=By.STRANGER), page(outages=[])
    assert [line.status for line in look_at(settings, silent)] == [Status.OK]
    monkeypatch.setattr(outages, "room", lambda _: Room(free, files))
    (line,) = look_at(settings, silent, page("watch", By.UNASKED))
    assert line.status is Status.WARNING
    assert "has no room, and icapd and watch cannot be asked" in line.sentence
    assert [line.status for line in look_at(settings, alive)] == [Status.OK]
    assert [line.status for line in look_at(settings, page(by=By.NOBODY))] == [Status.OK]

    def fail(*_: Any) -> list[Outage]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(outages, "outages", fail)
    (line,) = look_at(settings, silent)
    assert line.status is Status.SKIPPED
    (line,) = look_at(settings, page(outages=[LASTS._asdict()]))
    assert line.status is Status.WARNING
    assert replace(alive, told={}).lives is False


def test_a_log_that_this_user_may_not_read_is_said_where_a_daemon_cannot_be_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, silent = page(outages=[LASTS._asdict()]), page("watch", By.STRANGER)
    words = "log-events.log cannot be read (Permission denied), and watch cannot be asked: there "

    def denied(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(outages, "outages", denied)
        patched.setattr(outages, "room", denied)  # its folder may not even be entered
        told, line = look_at(settings, alive, silent)
        assert told.sentence.startswith("kata_unreachable")
        assert (line.status, line.sentence[: len(words)]) == (Status.WARNING, words)
        (line,) = look_at(settings, page(outages=[]), silent)  # and not that there was none
        assert line.sentence.startswith(words)
        assert len(look_at(settings, alive, page("watch", By.NOBODY))) == 1
    settings.logs.dir.mkdir(parents=True, exist_ok=True)
    (settings.logs.dir / EVENTS).mkdir()
    assert "cannot be read (Is a directory)" in look_at(settings, alive, silent)[1].sentence


# -- the folders of a running watch --------------------------------------------------------------


def told_folder(settings: Settings, **more: Any) -> dict[str, Any]:
    (folder,) = settings.folders
    counts = {"waiting": 0, "held": 0, "under_way": 0, "troubles": []}
    return {"name": folder.name, "input": str(folder.input), **counts, **more}


def of_watch(settings: Settings, *folders: Any, **told: Any) -> list[tuple[str, str]]:
    found = answers(page("watch", folders=list(folders), **told))
    lines = daemons.look_at_watch(settings, found)
    return [(f"{line.status} {line.area}", line.sentence) for line in lines]


RUNS = ("ok watch", "`kata-bridge watch` of node test runs")


def test_a_folder_that_is_not_watched_yet_is_a_fault(settings: Settings) -> None:
    there = told_folder(settings)
    assert of_watch(settings, there) == [RUNS]
    (first,) = settings.folders
    second = first.model_copy(update={"name": "second", "input": first.input / "other"})
    both = settings.model_copy(update={"folders": [first, second]})
    assert of_watch(both, there) == [
        RUNS,
        ("failed watch", "`kata-bridge watch` does not watch folder second yet"),
    ]
    old = told_folder(settings, name="old", input="/old")
    assert of_watch(settings, there, old) == [
        RUNS,
        (
            "failed watch",
            "`kata-bridge watch` still watches folder old (/old), which the configuration has no "
            "longer",
        ),
    ]
    moved = told_folder(settings, input="/elsewhere")
    assert of_watch(settings, moved) == [
        RUNS,
        (
            "failed watch",
            f"`kata-bridge watch` watches folder share at /elsewhere, and the configuration has "
            f"{first.input}",
        ),
    ]
    assert of_watch(settings, told_folder(settings, input=f"{first.input}/../in")) == [RUNS]


def test_a_folder_that_has_two_names_is_one(settings: Settings, tmp_path: Path) -> None:
    (first,) = settings.folders
    first.input.mkdir(parents=True, exist_ok=True)
    (tmp_path / "link").symlink_to(first.input)
    assert of_watch(settings, told_folder(settings, input=str(tmp_path / "link"))) == [RUNS]


def test_a_folder_that_does_not_answer_is_not_called_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> bool:
        raise TooSlowError

    monkeypatch.setattr(watched, "within", hang)
    assert of_watch(settings, told_folder(settings, input="/elsewhere")) == [RUNS]


@pytest.mark.parametrize("odd", [7, {}, {"name": 7}, []])
def test_what_is_told_oddly_of_folders_is_no_fault_of_the_others(
    settings: Settings, odd: object
) -> None:
    assert of_watch(settings, told_folder(settings, held="x", troubles=7), odd)[0] == RUNS
    relative = told_folder(settings, input="in")  # of a daemon that was started so
    assert of_watch(settings, relative) == [RUNS]


STAY = "files stay in input: Operation not permitted"


def test_files_that_a_running_watch_cannot_take_are_a_fault_of_their_folder(
    settings: Settings,
) -> None:
    held = told_folder(settings, held=2, troubles=[STAY, "files are open for writing"])
    assert of_watch(settings, held)[1:] == [
        (
            "failed folder share",
            f"`kata-bridge watch` keeps 2 files in input: {STAY}; files are open for writing",
        )
    ]
    mild = told_folder(settings, troubles=["files are open for writing"])
    assert of_watch(settings, mild)[1:] == [
        (
            "warning folder share",
            "`kata-bridge watch` has trouble: files are open for writing",
        )
    ]
    gone = Outage("share_gone", "share", NOW - 60, None, "gone", ("test.folder.0",))
    ((what, _),) = of_watch(settings, mild, outages=[gone._asdict()])[1:]
    assert what == "failed folder share"
    for other in (gone._replace(end=NOW), gone._replace(subject="x"), LASTS):
        ((what, _),) = of_watch(settings, mild, outages=[other._asdict()])[1:]
        assert what == "warning folder share"
    ((what, _),) = of_watch(settings, told_folder(settings, held=1))[1:]
    assert what == "warning folder share"  # it is tried again just now


# -- what daemons cannot do --------------------------------------------------------------------

READY = dict.fromkeys(("kata", "store", "spool", "descriptors"), True)
FULL = Outage("store_failing", "/v.db", NOW - 600, None, "database or disk is full", OURS)


def of_readiness(settings: Settings, lasting: list[Outage], *found: Page) -> list[tuple[str, str]]:
    lines = judge_readiness(settings, found, lasting, NOW)
    return [(f"{line.status} {line.area}", line.sentence) for line in lines]


@pytest.mark.parametrize(
    ("part", "area", "words"),
    [
        ("spool", "spool", "icapd has no room for bodies in spool.dir: its /ready says no more"),
        ("store", "verdicts", "icapd cannot use verdicts.store: its /ready says no more"),
        ("kata", "kata", "icapd knows no Central Node that takes its files: its /ready says no m"),
        ("descriptors", "descriptors", "icapd has no descriptor left, and cuts new connections: "),
    ],
)
def test_what_ready_denies_has_failed(settings: Settings, part: str, area: str, words: str) -> None:
    watch = page("watch", ready=READY)
    ((what, sentence),) = of_readiness(settings, [], page(ready={**READY, part: False}), watch)
    assert what == f"failed {area}"
    assert sentence.startswith(words)


def test_an_outage_says_why_and_since_when(settings: Settings) -> None:
    sick = page(ready={**READY, "store": False})
    ((_, sentence),) = of_readiness(settings, [FULL, LASTS], sick)
    assert sentence.startswith("icapd cannot use verdicts.store: /v.db, since 20")
    assert sentence.endswith("(10 min): database or disk is full")


def test_nothing_is_wrong_with_what_ready_says(settings: Settings) -> None:
    silent = page("watch", By.NOBODY)
    assert of_readiness(settings, [FULL], page(ready=READY), silent) == []
    assert of_readiness(settings, [], page(ready=None), page(ready=[1]), page(ready={})) == []


def test_a_daemon_that_has_just_begun_to_ask_is_a_warning(settings: Settings) -> None:
    ready = {**READY, "kata": False}
    young = page(ready=ready, kata=[{"state": "unknown"}])
    ((what, sentence),) = of_readiness(settings, [], young)
    assert (what, sentence) == ("warning kata", "icapd has no answer of KATA yet")
    for odd in ([{"state": "unknown"}, {"state": "unreachable"}], [7], 7):
        ((what, _),) = of_readiness(settings, [], page(ready=ready, kata=odd))
        assert what == "failed kata"


def test_of_daemons_that_cannot_be_asked_the_log_tells(settings: Settings) -> None:
    unasked, (url,) = page(by=By.UNASKED), settings.kata.urls
    ((what, sentence),) = of_readiness(settings, [FULL], unasked)
    assert what == "failed verdicts"
    assert sentence.startswith("by log-events.log a daemon cannot use verdicts.store: /v.db, since")
    spool = FULL._replace(kind="disk_full", subject=str(settings.spool.dir))
    log = spool._replace(subject=str(settings.logs.dir / HISTORY))
    away = LASTS._replace(subject=url)
    cut = FULL._replace(kind="out_of_descriptors", subject="test.icap.0")
    assert [what for what, _ in of_readiness(settings, [log, spool, cut, away], unasked)] == [
        "failed spool",
        "failed kata",
        "failed descriptors",
    ]
    assert of_readiness(settings, [LASTS, log], unasked) == []  # one of several nodes
    assert of_readiness(settings, [FULL], page(by=By.NOBODY)) == []  # nobody runs


def test_what_is_out_elsewhere_is_no_trouble_of_this_node(settings: Settings) -> None:
    unasked, (url,) = page(by=By.UNASKED), settings.kata.urls
    everything = [
        FULL,
        FULL._replace(kind="disk_full", subject=str(settings.spool.dir)),
        LASTS._replace(kind="kata_not_accepted", subject=url),
    ]
    assert len(of_readiness(settings, everything, unasked)) == 3
    for instances in ((), ("testing.icap.0",), ("kds-1.folder.0", "test2.icap.0")):
        others = [each._replace(instances=instances) for each in everything]
        assert of_readiness(settings, others, unasked) == []
    shared = [each._replace(instances=("kds-1.folder.0", *OURS)) for each in everything]
    assert len(of_readiness(settings, shared, unasked)) == 3
    sick = page(ready={**READY, "store": False})
    ((_, sentence),) = of_readiness(settings, [FULL._replace(instances=())], sick)
    assert sentence.endswith("its /ready says no more")


def test_who_tells_of_an_outage_is_known_as_far_as_it_is_told() -> None:
    theirs = LASTS._replace(instances=("kds-1.folder.0",))
    told = json.loads(json.dumps([LASTS._asdict()]))
    assert outages.told_outages({"outages": told}) == [LASTS]
    del told[0]["instances"]  # by a daemon of an earlier version
    assert outages.told_outages({"outages": told}) == [LASTS._replace(instances=())]
    for odd in (7, None, "x", {"y": 1}):
        told[0]["instances"] = odd
        assert outages.told_outages({"outages": told}) == [LASTS._replace(instances=())]
    (both,) = outages.join([], [LASTS, theirs])
    assert both.instances == ("kds-1.folder.0", *OURS)
    assert outages.join([], [OVER, theirs]) == [theirs]


def test_what_the_log_says_of_the_past_is_no_trouble_of_now(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [FULL._replace(end=NOW - 5)]
    monkeypatch.setattr(outages, "outages", lambda *_: found)
    assert list(look_at_readiness(settings, answers(page(by=By.UNASKED)))) == []
    found[0] = FULL
    assert len(list(look_at_readiness(settings, answers(page(by=By.UNASKED))))) == 1

    def fail(*_: Any) -> list[Outage]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(outages, "outages", fail)
    assert list(look_at_readiness(settings, answers(page(by=By.UNASKED)))) == []
