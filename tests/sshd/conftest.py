"""Sessions on the real sshd."""

from __future__ import annotations

import glob
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tastyops.protocol.host_lock import Holder
from tastyops.transport.ssh.session import SshDialer, SshSession
from tastyops.transport.ssh.timing import Timing
from tests.sshd.dialling import RUN
from tests.sshd.server import Sshd
from tests.sshd.watching import wait_for

Open = Callable[..., SshSession]


def run_name() -> str:
    return f"{RUN}-{time.monotonic_ns():x}"


def holding(session: SshSession, name: str = "target") -> SshSession:
    """The session, with the host's lock taken from whoever had it."""
    run = session.hello.directory.rpartition("/")[2].rpartition(".")[0]
    assert session.lock(Holder(run, 1, name), take_over=True).state == "taken"
    return session


@pytest.fixture(scope="package", autouse=True)
def nothing_left_on_the_host() -> Iterator[None]:
    """The directories of runs whose links were cut, frozen or never meant to end well."""
    yield
    for left in glob.glob(f"/run/tastyops/{RUN}[.-]*"):
        shutil.rmtree(left, ignore_errors=True)


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens sessions that hold the host's lock, whoever had it, and are closed after the test."""
    sessions: list[SshSession] = []
    locks: set[Path] = set()

    def open_session(
        server: Sshd,
        *,
        run: str = "",
        timing: Timing | None = None,
        password: str | None = None,
        **host: object,
    ) -> SshSession:
        dialer = SshDialer(
            server.ssh_config,
            timing=timing,
            sudo_password=None if password is None else lambda _: password,
        )
        session = dialer.session(server.host(**host), run or run_name())
        sessions.append(session)
        locks.add(server.locks / "tastyops.lock")
        return holding(session)

    yield open_session
    for session in sessions:
        session.close()
    for lock in locks:  # root's, which the next test's account could not take over
        lock.unlink(missing_ok=True)


LONG_OVER_OPENSSH = (
    "test_a_dead_peer_is_reported_within_30_seconds",
    "test_a_stopped_upload_is_noticed",
    "test_a_slow_and_noisy_bashrc",
    "test_many_sessions_at_once",
    "test_standard_input[",
    "test_output_so_far_of_a_change_that_timed_out",
    "test_a_timeout_under_sudo",
    "through a jump host",
    "the jump host itself",
)
"""Tests, or their cases, that take seconds: for every push they run over one carrier."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks their second time as long."""
    if "openssh" in item.name and any(name in item.name for name in LONG_OVER_OPENSSH):
        item.add_marker(pytest.mark.long)


@pytest.fixture(params=["ssh", "openssh"])
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Servers are reached over each of the carriers in turn; ask for it before any other fixture."""
    monkeypatch.setattr(Sshd, "connection", request.param)
    return str(request.param)


@pytest.fixture
def session(sshd: Sshd, opened: Open) -> Iterator[SshSession]:
    """One session as root."""
    session = opened(sshd)
    yield session
    session.forget_run()
    session.unlock()


@pytest.fixture
def nothing_left(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No thread survives, and paramiko prints nothing."""
    before = set(threading.enumerate())
    yield
    # A timer of paramiko's that was cancelled takes a moment to end.
    wait_for(lambda: set(threading.enumerate()) <= before)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="package")
def jump(sshd_installed: None) -> Iterator[Sshd]:
    server = Sshd()
    try:
        server.start()
        yield server
    finally:
        server.stop()
