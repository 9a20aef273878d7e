"""Debian's Chromium, headless, driven by its chromedriver; it talks to nobody unless told."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.conftest import need
from tests.support.processes import wait_until

_QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-quic", "--disable-default-apps", "--disable-dev-shm-usage"),
)


class Browser:
    """A browser with a profile of its own in `folder`; skips the test where there is none.

    `proxy` as `http://127.0.0.1:3128`, also for addresses of this machine. `language` as `ru-RU`.
    `size` of the page in CSS pixels. Downloads land in `downloads`, a folder below `folder` unless
    given. `patient`: whether `get` waits until the page is complete.
    """

    def __init__(
        self,
        folder: Path,
        *,
        proxy: str | None = None,
        language: str = "en-US",
        dark: bool = False,
        still: bool = False,
        size: tuple[int, int] = (1280, 800),
        downloads: Path | None = None,
        patient: bool = True,
    ) -> None:
        self.downloads = downloads or folder / "downloads"
        self.downloads.mkdir(parents=True, exist_ok=True)
        self._features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        self._size = size
        self._options = options = Options()
        options.binary_location = need("chromium")
        options.page_load_strategy = "normal" if patient else "none"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.add_experimental_option(
            "prefs", {"download.default_directory": str(self.downloads.absolute())}
        )
        for argument in (*_QUIET, f"--user-data-dir={folder}/profile", f"--accept-lang={language}"):
            options.add_argument(argument)
        if proxy is not None:
            options.add_argument(f"--proxy-server={proxy}")
            # Chromium asks its maker for updates whatever it is told
            options.add_argument("--proxy-bypass-list=<-loopback>;*.googleapis.com")
        else:
            options.add_argument("--no-proxy-server")
        self._service = Service(
            need("chromedriver"),
            log_output=str(folder / "chromedriver.log"),
            popen_kw={"start_new_session": True},
        )

    def __enter__(self) -> Browser:
        try:
            self.driver = webdriver.Chrome(self._options, self._service)
            self._dress()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(WebDriverException, OSError):
            self.driver.quit()
        self._kill()

    def get(self, url: str) -> None:
        """Go to an address, as a person who types it; a download leaves the page as it is."""
        self.driver.get(url)

    def text(self) -> str:
        """What a person can read now; nothing while there is no page."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def wait_for_text(self, text: str, seconds: float = 40.0) -> None:
        """Wait until the page shows a text."""
        wait_until(lambda: text in self.text(), f"{text!r} is shown", seconds)

    def wait_for_download(self, name: str, seconds: float = 30.0) -> bytes:
        """The content of a download, once it is complete."""
        path = self.downloads / name
        wait_until(path.exists, f"{name} is downloaded", seconds)
        return path.read_bytes()

    def run(self, script: str) -> Any:
        """What a script in the page returns; None while the page is replaced by another."""
        try:
            return self.driver.execute_script(script)
        except WebDriverException:
            return None

    def console(self) -> list[str]:
        """What the browser complained about since this was last asked."""
        entries = self.driver.execute("getLog", {"type": "browser"})["value"]
        return [str(entry["message"]) for entry in entries]

    def screenshot(self, path: Path) -> None:
        """A PNG of the window. Chromium has none at hand just after a page was replaced."""
        wait_until(lambda: self._screenshot(path), "a screenshot is taken")

    def _screenshot(self, path: Path) -> bool:
        try:
            return bool(self.driver.save_screenshot(str(path)))
        except WebDriverException:
            return False

    def _dress(self) -> None:
        width, height = self._size
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        features = [{"name": name, "value": value} for name, value in self._features.items()]
        tell = self.driver.execute_cdp_cmd
        tell("Emulation.setDeviceMetricsOverride", shape)
        tell("Emulation.setEmulatedMedia", {"features": features})

    def _kill(self) -> None:
        """End what is left: the driver and its browser are a process group of their own."""
        process = getattr(self._service, "process", None)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
