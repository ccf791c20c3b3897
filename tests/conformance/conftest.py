"""The targets on which every session must behave alike. Add one by its fixture's name here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tastyops.model.inventory import Host
from tastyops.ports import Dialer, Session
from tastyops.practice.server import PracticeHost
from tastyops.protocol.host_lock import Holder
from tastyops.transport.ssh.session import SshDialer
from tests.console.terminals import ConsoleDialer
from tests.lab.machine import SESSION_SECONDS, Lab
from tests.lab.machine import lab as lab  # a fixture
from tests.sshd.server import Sshd

TARGETS = [
    "practice_host",
    "console_shell",
    pytest.param("noisy_console", marks=pytest.mark.long),
    pytest.param("real_sshd", marks=pytest.mark.sshd),
    pytest.param("openssh_client", marks=pytest.mark.sshd),
    pytest.param(
        "lab_machine",
        marks=[pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)],
    ),
]
"""The lab's sshd is Debian's, as ``real_sshd`` is, so the lab is only asked with ``--long``."""


@dataclass(frozen=True)
class Target:
    """Where the suite is run. ``linked``: by something that is gone once a session is closed."""

    dialer: Dialer
    host: Host
    linked: bool = True


@pytest.fixture
def real_sshd(sshd: Sshd) -> Target:
    """Debian's own sshd on this machine."""
    return Target(SshDialer(sshd.ssh_config), sshd.host())


@pytest.fixture
def openssh_client(sshd: Sshd) -> Target:
    """The same, over the system's own ``ssh``."""
    return Target(SshDialer(sshd.ssh_config), sshd.host(connection="openssh"))


@pytest.fixture(scope="session")
def practice_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The practice host, in real time."""
    empty = tmp_path_factory.mktemp("practice") / "ssh_config"
    empty.touch()
    with PracticeHost.start("kalimdor", scale=1.0) as practice:
        yield Target(SshDialer(empty), practice.host)


@pytest.fixture
def console_shell(tmp_path: Path) -> Iterator[Target]:
    """Root's shell on a console: dash at a terminal."""
    dialer = ConsoleDialer(["dash", "-i"], tmp_path)
    yield Target(dialer, Host("kalimdor"))
    dialer.close()


@pytest.fixture
def noisy_console(tmp_path: Path) -> Iterator[Target]:
    """Bash at a terminal into which the kernel writes, and which loses bytes of what is typed."""
    argv = ["bash", "--norc", "--noprofile", "-i"]
    dialer = ConsoleDialer(argv, tmp_path, noisy=0.02, lossy=0.01)
    yield Target(dialer, Host("kalimdor"))
    dialer.close()


@pytest.fixture
def lab_machine(lab: Lab, tmp_path: Path) -> Target:
    """The real machine in QEMU."""
    empty = tmp_path / "ssh_config"
    empty.touch()
    return Target(SshDialer(empty), lab.host)


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Target:
    """Each of the targets in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Target)
    return found


@pytest.fixture
def run() -> str:
    """A run of its own for each test."""
    return f"conform-{time.monotonic_ns():x}"


@pytest.fixture
def session(target: Target, run: str) -> Iterator[Session]:
    """A session that holds the target; the run's directory and the lock are dropped afterwards."""
    session = target.dialer.session(target.host, run)
    try:
        assert session.lock(Holder(run, 1, target.host.name)).state == "taken"
        yield session
        session.forget_run()
        session.unlock()
    finally:
        session.close()
