"""The UI's server and a real browser for tests, both ended without a trace."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.helpers import of_group

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=2600,1400",
)  # fmt: skip
# MLflow's own, on every page: a server without users has no current user, and a chart that resizes twice in one frame.
KNOWN = ("/ajax-api/2.0/mlflow/users/current", "ResizeObserver loop")
SECONDS = 90


@contextmanager
def serve(folder: Path, log: Path) -> Iterator[str]:
    """Run `regsweep ui` on a folder's `mlruns/` at a free port; gives what it prints until the page is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW", "REGSWEEP"))}
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "regsweep.cli", "ui", "--dir", "mlruns", "--port", str(port)],
            cwd=folder, stdout=stream, stderr=subprocess.STDOUT, env=clean, start_new_session=True,
        )  # fmt: skip
    try:
        wait(lambda: server.poll() is not None or status(port, "127.0.0.1", "/health") == 200, log.read_text)
        assert server.poll() is None, log.read_text()
        yield log.read_text()
    finally:
        end(server)


@contextmanager
def browse(profile: Path) -> Iterator[Page]:
    """Start the browser with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield Page(driver)
    finally:
        driver.quit()


class Page:
    """The browser, with waits."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        # A change behind the `#` alone would not load the page anew.
        self.driver.get("about:blank")
        self.driver.get(address)

    def find(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, condition: Callable[[], Any]) -> Any:
        """What the condition gives, as soon as it is true; the page may redraw meanwhile."""
        passing = (StaleElementReferenceException, ElementNotInteractableException, ElementClickInterceptedException)
        return WebDriverWait(self.driver, SECONDS, ignored_exceptions=passing).until(lambda _: condition())

    def wait_for(self, selector: str, *, least: int = 1) -> list[WebElement]:
        return self.until(lambda: len(found := self.find(selector)) >= least and found)  # type: ignore[no-any-return]

    def click(self, selector: str) -> None:
        """Click the first element that matches, once it is there and free."""

        def clicked() -> bool:
            found = self.find(selector)
            if found:
                found[0].click()
            return bool(found)

        self.until(clicked)

    def texts(self, selector: str) -> list[str]:
        """Texts of elements, read at once: the page may redraw between two calls."""
        # Text in a drawing has no innerText.
        script = "return [...document.querySelectorAll(arguments[0])].map(found => (found.innerText ?? found.textContent).trim())"
        return list(self.driver.execute_script(script, selector))

    def errors(self) -> list[str]:
        """Severe messages since the last call."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        severe = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
        return [message for message in severe if not any(known in message for known in KNOWN)]


def end(server: subprocess.Popen[bytes]) -> None:
    """End the server and what it started; SIGKILL and a failure if it does not go by itself."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(timeout=30)
        wait(lambda: not alive(server.pid), lambda: "the UI left processes behind")
    finally:
        if alive(server.pid):
            os.killpg(server.pid, signal.SIGKILL)


def alive(group: int) -> bool:
    """Whether a process group has processes."""
    return bool(of_group(group))


def wait(condition: Callable[[], bool], explain: Callable[[], str]) -> None:
    """Wait until a condition holds."""
    last = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < last, explain()
        time.sleep(0.1)


def status(port: int, host: str, path: str = "/") -> int | None:
    """The status of a request that names a host, None where nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
