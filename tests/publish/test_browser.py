"""The pages in Chromium, driven over WebDriver: keyboard, narrow screens, axe-core in both schemes."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tastyops.journal.public_events import Entry, RunAttached
from tests.publish.writing import (
    NOON,
    contents,
    incident,
    maintenance,
    minutes,
    opening,
    site,
    window,
    write_log,
)

pytestmark = pytest.mark.long

PATIENCE = 60.0

LOOK = """
const done = arguments[0];
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
axe.run({runOnly: rules}).then(
  result => done(result.violations.map(each => [each.id, each.nodes.map(node => node.html)])),
  error => done([['error', [String(error)]]]));
"""
"""axe-core's rules for level AA and its best practices, on the open page."""


class Browser:
    """A Chromium of its own, asked over the protocol of WebDriver (W3C)."""

    def __init__(self, port: int, profile: Path, scheme: str, width: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        options = {
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                f"--window-size={width},900", f"--blink-settings=preferredColorScheme={'01'[scheme == 'light']}",
            ],
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": 900, "pixelRatio": 1.0, "touch": False}},
        }  # fmt: skip
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = self._ask("POST", "/session", wanted)
        self._base += f"/session/{session['sessionId']}"

    def _ask(self, method: str, path: str, data: object = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self._base + path, body, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read())["value"]

    def open(self, path: Path) -> None:
        self._ask("POST", "/url", {"url": path.as_uri()})

    def run(self, script: str) -> Any:
        return self._ask("POST", "/execute/sync", {"script": script, "args": []})

    def run_async(self, script: str) -> Any:
        return self._ask("POST", "/execute/async", {"script": script, "args": []})

    def press_tab(self) -> None:
        keys = [{"type": "keyDown", "value": "\ue004"}, {"type": "keyUp", "value": "\ue004"}]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": keys}]})

    def close(self) -> None:
        self._ask("DELETE", "")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[int]:
    """The port of a running chromedriver."""
    program = shutil.which("chromedriver")
    if program is None:
        pytest.fail("the browser tests need chromedriver (Debian: apt-get install chromium-driver)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
                    assert json.loads(answer.read())["value"]["ready"]
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def pages(tmp_path: Path) -> list[Path]:
    """A site with a log of each state."""
    logs = tmp_path / "logs"
    write_log(logs, "2026/001", NOON - minutes(9000), maintenance("2026/001"))
    long = "Verylongword" * 12
    write_log(logs, "2026/002", NOON - minutes(30), incident("2026/002", f"{long} fails"))
    running = [opening("2026/003", "Disk change"), window(NOON, -20, 90), (0, RunAttached("r3"))]
    write_log(logs, "2026/003", NOON - minutes(20), [*running, (5, Entry(f"Disk {long} out."))])
    planned = [opening("2026/004", "Power works", hosts=["mill", "forge"]), window(NOON, 600, 700)]
    write_log(logs, "2026/004", NOON - minutes(60), planned)
    site(tmp_path)
    return [tmp_path / "site" / name for name in contents(tmp_path) if name.endswith(".html")]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
def test_every_page_is_accessible_and_fits(
    driver: int, pages: list[Path], tmp_path: Path, scheme: str, width: int
) -> None:
    axe = files("axe_core_python").joinpath("axe.min.js").read_text()
    browser = Browser(driver, tmp_path / "profile", scheme, width)
    try:
        for path in pages:
            browser.open(path)
            assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (
                scheme == "dark"
            )
            room = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
            assert room[0] <= room[1] == width, (path.name, room)
            # the stylesheet is allowed by the page's own policy
            assert browser.run("return getComputedStyle(document.body).maxWidth") == "800px"
            browser.run(axe)
            assert browser.run_async(LOOK) == [], path.name
        browser.run("document.querySelector('main').append(new Image())")
        assert [name for name, _ in browser.run_async(LOOK)] == ["image-alt"]  # axe does look
    finally:
        browser.close()


def test_the_keyboard_reaches_the_skip_link_first_and_every_link(
    driver: int, pages: list[Path], tmp_path: Path
) -> None:
    browser = Browser(driver, tmp_path / "profile", "light", 1000)
    try:
        browser.open(next(path for path in pages if path.name == "index.html"))
        browser.press_tab()
        assert browser.run("return document.activeElement.className") == "skip"
        assert browser.run("return document.activeElement.getBoundingClientRect().left") >= 0
        links = browser.run("return document.querySelectorAll('a[href]').length")
        seen = 1
        for _ in range(links - 1):
            browser.press_tab()
            assert browser.run("return document.activeElement.tagName") == "A"
            style = "return getComputedStyle(document.activeElement).outlineWidth"
            assert browser.run(style) == "3px"
            seen += 1
        assert seen == links > 10
    finally:
        browser.close()
