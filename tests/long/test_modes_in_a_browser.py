"""The modes as a person sees them: Chromium behind a real Squid, and a KATA that takes seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from icapd.stall import SILENCE
from tests.conftest import need
from tests.support.browser import Browser
from tests.support.gateway import Gateway
from tests.support.origin import content
from tests.support.processes import wait_until
from tests.support.squid import Fetched
from tests.support.trickling import slow_verdict

pytestmark = pytest.mark.long

SMALL, LARGE = 60_000, 200_000  # Squid stops the large one while its verdict is waited for
DELAY = 8.0  # seconds to a verdict; a user is put off after 2
TURNS = 20
WAITING = {"en-US": "Your file is being checked", "ru-RU": "Файл проверяется"}
BLOCKED = {
    "en-US": "Kaspersky KATA found a threat in this object.",
    "ru-RU": "Kaspersky KATA обнаружила угрозу в этом файле.",
}


def started(folder: Path, on_stall: str) -> Gateway:
    services = {
        "av/reqmod": {"method": "REQMOD", "hold": "2s"},
        "av/respmod": {"method": "RESPMOD", "hold": "2s"},
    }
    changes = {
        "icap": {"on_stall": on_stall, "services": services},
        "exclusions": [{"name": "excluded.bin"}],
    }
    return Gateway(folder, need("squid"), changes)


@pytest.fixture(scope="module")
def with_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`icap.on_stall: head`."""
    with started(tmp_path_factory.mktemp("head"), "head") as running:
        yield running


@pytest.fixture(scope="module")
def with_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`icap.on_stall: page`."""
    with started(tmp_path_factory.mktemp("page"), "page") as running:
        yield running


def serve(gateway: Gateway, name: str, state: str, size: int) -> bytes:
    """Put a content at /name that KATA judges so; no two are the same."""
    body = slow_verdict(state, DELAY, name.encode())
    body += content(size - len(body))
    gateway.origin.served[f"/{name}"] = body
    return body


def submissions(gateway: Gateway, body: bytes) -> int:
    """How often KATA was sent something of this size since it was last cleared."""
    scans = [scan.size for scan in gateway.kata.memory.submitted]
    assert set(scans) <= {len(body)}
    assert gateway.kata.memory.calls["submit"] == len(scans)
    return len(scans)


def forget(gateway: Gateway) -> None:
    gateway.kata.memory.submitted.clear()
    gateway.kata.memory.calls.clear()
    gateway.origin.asked.clear()


def looks(gateway: Gateway, name: str) -> int:
    """How often the origin was asked for it."""
    return [path for path, _ in gateway.origin.asked].count(f"/{name}")


def through(gateway: Gateway, folder: Path, language: str = "en-US") -> Browser:
    return Browser(folder, proxy=gateway.squid.url, language=language, patient=False)


def see_clean_download(gateway: Gateway, folder: Path, name: str, size: int) -> None:
    body = serve(gateway, name, "not_detected", size)
    forget(gateway)
    with through(gateway, folder) as browser:
        browser.get(gateway.origin.url(f"/{name}"))
        browser.wait_for_text(WAITING["en-US"])
        wait_until_painted(browser)
        browser.screenshot(folder / "waiting.png")
        wait_until(lambda: looks(gateway, name) > 1, "the page reloads itself")
        assert browser.wait_for_download(name) == body
        browser.screenshot(folder / "arrived.png")
        # the page stays behind the download: later it says what that means
        browser.run("document.getAnimations().forEach(one => { one.currentTime = 60_000 })")
        browser.screenshot(folder / "later.png")
        assert "If your download has begun" in browser.text()
        assert "You need not do anything" not in browser.text()
        assert "Status" not in browser.text()
    assert submissions(gateway, body) == 1
    assert looks(gateway, name) > 1


def see_bad_download(gateway: Gateway, folder: Path, name: str, size: int, language: str) -> None:
    body = serve(gateway, name, "detect", size)
    forget(gateway)
    with through(gateway, folder, language) as browser:
        browser.get(gateway.origin.url(f"/{name}"))
        browser.wait_for_text(WAITING[language])
        wait_until_painted(browser)
        browser.screenshot(folder / f"waiting-{language}.png")
        browser.wait_for_text(BLOCKED[language])
        browser.screenshot(folder / f"blocked-{language}.png")
        assert WAITING[language] not in browser.text()
        asked = looks(gateway, name)
        assert asked > 1
        again = browser.text()
        browser.get(gateway.origin.url(f"/{name}"))  # who tries once more is told the same
        wait_until(lambda: looks(gateway, name) > asked, "it is asked for again")
        wait_until(lambda: browser.text() not in {"", again}, "another page, with its own case")
        browser.wait_for_text(BLOCKED[language])
        assert not list(browser.downloads.iterdir())
    assert submissions(gateway, body) == 1


def wait_until_painted(browser: Browser) -> None:
    wait_until(
        lambda: browser.run("return performance.getEntriesByType('paint').length"),
        "the page is painted",
    )


# -- what waits ------------------------------------------------------------------------------------


def test_a_small_download_waits_on_a_page_and_arrives(with_head: Gateway, tmp_path: Path) -> None:
    see_clean_download(with_head, tmp_path, "small.bin", SMALL)


def test_a_stopped_download_waits_on_a_page_and_arrives(with_page: Gateway, tmp_path: Path) -> None:
    see_clean_download(with_page, tmp_path, "large.bin", LARGE)


@pytest.mark.parametrize("language", BLOCKED)
def test_a_small_bad_download_ends_in_a_page_that_says_why(
    with_head: Gateway, tmp_path: Path, language: str
) -> None:
    see_bad_download(with_head, tmp_path, f"small-{language}.bin", SMALL, language)


@pytest.mark.parametrize("language", BLOCKED)
def test_a_stopped_bad_download_ends_in_a_page_that_says_why(
    with_page: Gateway, tmp_path: Path, language: str
) -> None:
    see_bad_download(with_page, tmp_path, f"large-{language}.bin", LARGE, language)


# -- what has begun --------------------------------------------------------------------------------


def test_a_stopped_download_that_has_begun_arrives_whole_without_a_page(
    with_head: Gateway, tmp_path: Path
) -> None:
    body = serve(with_head, "begun.bin", "not_detected", LARGE)
    forget(with_head)
    with through(with_head, tmp_path) as browser:
        browser.get(with_head.origin.url("/begun.bin"))
        assert browser.wait_for_download("begun.bin") == body
        assert WAITING["en-US"] not in browser.text()
    assert submissions(with_head, body) == 1
    assert looks(with_head, "begun.bin") == 1


def test_a_proxy_that_stops_bodies_costs_them_little(
    with_head: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is known already costs as long as its transfer, so a stop shows."""
    for place in ("/known", "/excluded.bin"):
        with_head.origin.served[place] = content(LARGE, 7)
    assert with_head.squid.curl(with_head.origin.url("/known")).status == 200
    heads = tmp_path / "heads"

    def fetch(place: str) -> Fetched:
        url = with_head.origin.url(place)
        return with_head.squid.curl(url, "-D", heads, seconds=20)

    took: dict[str, list[float]] = {}
    begun = 0
    for place in ("/excluded.bin", "/known"):
        took[place] = [timed(lambda place=place: fetch(place)) for _ in range(TURNS)]  # type: ignore[misc]
    for _ in range(TURNS):
        got = fetch("/known")
        assert (got.exit_code, got.body) == (0, content(LARGE, 7))
        begun += "(katabridge)" in heads.read_text()  # its head was edited: it may be cut
    outcomes = [each["outcome"] for each in with_head.site.records()]
    assert outcomes.count("excluded") == TURNS
    known, excluded = sum(took["/known"]), sum(took["/excluded.bin"])
    with capsys.disabled():
        print(f"\n{TURNS} known downloads: {known:.2f} s; excluded ones: {excluded:.2f} s; ")
        print(f"slowest known: {max(took['/known']):.2f} s; begun before their end: {begun}")
    assert begun, "no body stopped: nothing is shown"
    assert known < excluded + TURNS * 0.5
    # what took less than one silence had none
    assert sum(each < SILENCE for each in took["/known"]) >= TURNS // 2


def timed(work: Callable[[], Fetched]) -> float:
    begin = time.monotonic()
    got = work()
    assert (got.exit_code, got.status) == (0, 200)
    return time.monotonic() - begin
