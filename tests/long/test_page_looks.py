"""The pages in a browser: they render, fit, obey their own policy, and reload themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bridge.core import OutcomeKind, PageSettings
from icapd.pages import Ending, Facts, Pages, Reader, Stage, Wants
from icapd.protocol import HttpHead
from tests.support.browser import Browser
from tests.support.processes import wait_until

pytestmark = pytest.mark.long

SHA256 = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
LONG = "Quarterly-report_" + "of-the-northern-region" * 6 + "<script>alert(1)</script>\u202efdp.exe"

Writer = Callable[[bytes], object]


class PageServer:
    """Answers each GET by a function that writes raw bytes: `answer(reader, write)`."""

    def __init__(self) -> None:
        self.answer: Callable[[Reader, Writer], object] = lambda _reader, _write: None
        self.asked = 0
        self.release = threading.Event()
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
                head = f"{self.requestline}\r\n{fields}\r\n".encode("latin-1")
                self.close_connection = True
                if self.path == "/object":
                    ours.asked += 1
                    ours.answer(Reader.of(HttpHead(head)), self.wfile.write)
                else:  # the icon of a page that names none
                    self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/object"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as running:
        yield running


def reloading(after: str) -> PageSettings:
    return PageSettings.model_validate({"reload": after})


def facts(
    kind: OutcomeKind = OutcomeKind.PENDING, *, name: str = LONG, upload: bool = False
) -> Facts:
    threat = "HEUR:Trojan-Downloader.Script.Generic" if kind is OutcomeKind.DETECT else None
    return Facts("7c1f0e5a94d24b0c", name, 62_914_560, SHA256, kind, threat, "", upload)


PAGES: dict[str, Callable[[Pages, Reader], object]] = {
    "wait": lambda pages, who: pages.wait(who, facts(), elapsed=83, stage=Stage.AT_KATA),
    "later": lambda pages, who: pages.later(who, facts(upload=True)),
    "block": lambda pages, who: pages.block(who, facts(OutcomeKind.DETECT)),
    "rule": lambda pages, who: pages.block(who, facts(OutcomeKind.UNAVAILABLE, name="a.zip")),
}
LOOKS = {
    "light-en": ("en-US", False, (1280, 800)),
    "dark-ru": ("ru-RU", True, (1280, 800)),
    "narrow-ru": ("ru-RU", False, (360, 760)),
    "narrow-dark-en": ("en-US", True, (360, 760)),
}


def faults(browser: Browser) -> list[str]:
    """What the console holds, but for the status of the page itself."""
    return [line for line in browser.console() if "server responded with a status of" not in line]


@pytest.mark.parametrize("look", LOOKS)
def test_each_page_fits_its_window_and_breaks_no_rule_of_its_own(
    tmp_path: Path, server: PageServer, look: str
) -> None:
    language, dark, size = LOOKS[look]
    pages = Pages(reloading("300s"))
    with Browser(tmp_path, language=language, dark=dark, size=size) as browser:
        for name, make in PAGES.items():

            def answer(reader: Reader, write: Writer, make: Callable[..., object] = make) -> None:
                page = make(pages, reader)
                write(page.head + page.body)  # type: ignore[attr-defined]

            server.answer = answer
            browser.get(server.url)
            browser.screenshot(tmp_path / f"{name}-{look}.png")
            assert "7c1f0e5a94d24b0c" in browser.text()
            assert browser.run("return document.documentElement.lang") == language[:2]
            assert browser.run("return document.documentElement.scrollWidth") <= size[0]
            assert faults(browser) == []
            ground = browser.run("return getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(14, 19, 26)" if dark else "rgb(238, 241, 245)")


def test_the_bar_stands_still_for_those_who_asked_for_less_motion(
    tmp_path: Path, server: PageServer
) -> None:
    page = Pages(reloading("300s")).wait(
        Reader(Wants.HTML, ("en",), True), facts(), elapsed=1, stage=Stage.QUEUED
    )
    server.answer = lambda _, write: write(page.head + page.body)
    script = "return document.getAnimations().filter(one => one.animationName === 'move').length"
    for still in (False, True):
        with Browser(tmp_path / str(still), still=still) as browser:
            browser.get(server.url)
            assert bool(browser.run(script)) is not still


def test_a_wait_page_reloads_itself_until_the_download_begins(
    tmp_path: Path, server: PageServer
) -> None:
    pages = Pages(reloading("1s"))

    def answer(reader: Reader, write: Writer) -> None:
        assert reader.navigation
        if server.asked < 3:
            page = pages.wait(reader, facts(), elapsed=server.asked, stage=Stage.SENDING)
            write(page.head + page.body)
        else:
            write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Disposition: attachment; ")
            write(b"filename=report.bin\r\nContent-Type: application/octet-stream\r\n\r\ndone")

    server.answer = answer
    with Browser(tmp_path) as browser:
        browser.get(server.url)
        assert browser.wait_for_download("report.bin") == b"done"
        assert server.asked == 3
        assert "You can close this page then" in browser.text()
        browser.run("document.getAnimations().forEach(one => { one.currentTime = 60_000 })")
        browser.screenshot(tmp_path / "begun.png")
        assert "If your download has begun" in browser.text()
        assert "You need not do anything" not in browser.text()
        visible = "return getComputedStyle(document.querySelector('.bar')).visibility"
        assert browser.run(visible) == "hidden"


@pytest.mark.parametrize("how", Ending)
def test_an_open_page_is_shown_while_it_is_open_and_ends_as_told(
    tmp_path: Path, server: PageServer, how: Ending
) -> None:
    pages = Pages(reloading("1s"))

    def answer(reader: Reader, write: Writer) -> None:
        if server.asked > 1:
            write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: text/plain\r\n\r\n")
            write(b"the object!!")
            return
        page = pages.open(reader, facts(), elapsed=2)
        write(page.head + page.beginning)
        server.release.wait(60)
        write(pages.ending(reader, facts(OutcomeKind.DETECT), how))

    server.answer = answer
    with Browser(tmp_path, patient=False, dark=True, size=(1024, 760)) as browser:
        browser.get(server.url)
        browser.wait_for_text("Your file is being checked")
        wait_until(
            lambda: browser.run("return performance.getEntriesByType('paint').length"),
            "the page is painted while it is open",
        )
        browser.screenshot(tmp_path / "open.png")
        assert browser.run("return document.readyState") == "loading"
        server.release.set()
        if how is Ending.BLOCKED:
            browser.wait_for_text("Kaspersky KATA found a threat in this object.")
            assert "Your file is being checked" not in browser.text()
            assert server.asked == 1
        else:
            browser.wait_for_text("the object!!")
            assert server.asked == 2
        browser.screenshot(tmp_path / f"ended-{how.value}.png")
        assert faults(browser) == []
