"""What a session observes of a reboot, on the practice host and on the lab."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.errors import LinkLost, Unreachable
from tastyops.facts.system import logind_call
from tastyops.lab import lifecycle
from tastyops.ports import Session
from tastyops.practice.server import PracticeHost
from tastyops.protocol.framing import Fate
from tastyops.protocol.host_lock import Holder
from tastyops.transport.ssh.session import SshDialer
from tests.conformance.conftest import Target
from tests.conformance.test_sessions import Sink
from tests.lab.machine import SESSION_SECONDS

TARGETS = [
    "practice_host_of_its_own",
    pytest.param("lab_machine", marks=[pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]),
]
"""Not the sshd on this machine, which nobody reboots."""

NOW = logind_call("ScheduleShutdown", "st", "reboot", "0")


@pytest.fixture
def practice_host_of_its_own(tmp_path: Path) -> Iterator[Target]:
    """In practice time, so that its boot takes a second."""
    empty = tmp_path / "ssh_config"
    empty.touch()
    with PracticeHost.start("kalimdor") as practice:
        yield Target(SshDialer(empty), practice.host)


def booted_again(target: Target, run: str, boot_id: str) -> Session:
    """The first session that another boot gives."""
    due = time.monotonic() + lifecycle.BOOT_SECONDS
    while time.monotonic() < due:
        try:
            session = target.dialer.session(target.host, run)
        except Unreachable:
            time.sleep(0.2)
            continue
        if session.hello.boot_id != boot_id:
            return session
        session.close()
    pytest.fail("it did not come back")


@pytest.mark.parametrize("place", TARGETS)
def test_a_reboot(place: str, request: pytest.FixtureRequest, run: str) -> None:
    target = request.getfixturevalue(place)
    assert isinstance(target, Target)
    before = target.dialer.session(target.host, run)
    own = Holder(run, 1, target.host.name)
    try:
        assert before.lock(own, take_over=True).state == "taken"
        assert before.change("s1", ["true"], sink=Sink()).state == "ended"
        with pytest.raises(LinkLost):
            before.change("s2", NOW, sudo=True, sink=Sink())
            while True:
                before.probe(["sleep", "1"], sink=Sink())
        with pytest.raises(LinkLost):  # it is not opened again behind our back
            before.probe(["true"], sink=Sink())
    finally:
        before.close()

    after = booted_again(target, run, before.hello.boot_id)
    try:
        assert len(after.hello.boot_id) == 36
        assert after.hello.directory != before.hello.directory
        assert after.fate("s1") == Fate("never")  # it is known by its boot: see the intent
        assert after.change("s3", ["true"], sink=Sink()).state == "fenced"  # the lock went too
        assert after.lock(own).state == "taken"
        assert after.change("s3", ["true"], sink=Sink()).state == "ended"
        after.forget_run()
        after.unlock()
    finally:
        after.close()
