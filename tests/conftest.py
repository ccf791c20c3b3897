"""Shared by every suite: a real sshd if one is installed, and sinks that collect events."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tastyops.lab import processes, record
from tests.durable.harness import KILLS, row
from tests.sshd.accounts import Accounts
from tests.sshd.server import SSHD, Sshd

NO_SSHD = "the sshd tests need openssh-server (Debian: apt-get install openssh-server)"
SKIPPED = pytest.StashKey[int]()

# How long an example takes says more of the machine than of the code; every test has a timeout.
settings.register_profile("tastyops", deadline=None)
settings.load_profile("tastyops")

HERE = Path(__file__).parent
NOT_FAST = (
    "cli", "compatibility", "conformance", "durable", "machine", "properties",
    "console/test_attaching.py", "console/test_session.py", "lab/test_unit_hub.py", "lab/test_unit_processes.py",
    "power/test_switch.py", "practice/test_leftovers.py", "practice/test_reboot_runs.py", "practice/test_reboots.py",
    "practice/test_runbooks.py",
    "practice/test_serial.py", "practice/test_server.py", "practice/test_sh.py",
    "test_announce.py", "test_apt_locks.py", "test_plain_files.py", "test_benchmarks.py", "test_locks.py", "test_packaging.py",
    "test_retention.py", "test_shell.py", "test_together.py",
)  # fmt: skip
"""Where tests start shells, terminals, practice hosts or tastyops itself, or try thousands of inputs;
`invoke test --fast` leaves them out."""

for name in NOT_FAST:
    assert (HERE / name).exists(), f"tests/{name} is gone: NOT_FAST in tests/conftest.py names it"


@pytest.fixture(scope="session")
def sshd_installed() -> None:
    """Fails on CI where there is no sshd; elsewhere such tests were not even collected."""
    if SSHD is None:
        pytest.fail(NO_SSHD, pytrace=False)


def pytest_configure() -> None:
    """A shell has its background jobs ignore Ctrl-C, and these tests' programs would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks what is not fast."""
    place = item.path.relative_to(HERE)
    if any(place.is_relative_to(name) for name in NOT_FAST):
        item.add_marker("processes")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without sshd: on CI one failure, elsewhere one line, instead of a line for every test."""
    without = [item for item in items if item.get_closest_marker("sshd")]
    if SSHD is not None or not without:
        return
    if os.environ.get("CI") == "true":
        del without[0]
    config.stash[SKIPPED] = len(without)
    config.hook.pytest_deselected(items=without)
    left_out = set(map(id, without))
    items[:] = [item for item in items if id(item) not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a lab test that failed go the machine's last words: the machine itself is soon gone."""
    report = yield
    if report.failed and item.get_closest_marker("lab"):
        report.sections.append(("the lab's console", processes.last_words(record.console_log(), 60)))
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The one line; and what the kills of all shares, in all processes, came to."""
    figures: dict[str, list[tuple[int, ...]]] = {}
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in getattr(report, "user_properties", ()):
            if name == KILLS and report.when == "call":
                figures.setdefault(value[0], []).append(value[1])
    for where, each in figures.items():
        terminalreporter.write_line(row(where, each))
    count = config.stash.get(SKIPPED, 0)
    if count:
        terminalreporter.write_line(f"SKIPPED {count} tests: {NO_SSHD}", yellow=True)


@pytest.fixture(scope="session")
def sshd(sshd_installed: None) -> Iterator[Sshd]:
    """One server for the whole run; a test that freezes or cuts takes ``own_sshd``."""
    server = Sshd()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def own_sshd(sshd_installed: None) -> Iterator[Sshd]:
    """A server for one test alone."""
    server = Sshd()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """Temporary accounts on this machine; needs root."""
    if os.geteuid() != 0:
        pytest.skip("temporary accounts need root")
    made = Accounts()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory of the test's own, short enough for the address of a socket whatever $TMPDIR is."""
    with tempfile.TemporaryDirectory(prefix="tasty-", dir="/tmp") as made:
        yield Path(made)


@pytest.fixture
def no_user_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without keys, without known_hosts and without an agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path
