"""Ending a command: after a timeout or on request no process of it is left; sudo included."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.errors import SudoRefused
from tastyops.ports import Ended
from tastyops.protocol.framing import Fate
from tastyops.transport.ssh.session import SshSession
from tastyops.transport.ssh.timing import Timing
from tests.sshd.accounts import Accounts
from tests.sshd.conftest import Open
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected, running, wait_for

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("carrier")]

PATIENT = Timing(term_patience=1.0)
PASSWORD = "it's $ecret"


@pytest.fixture
def marker() -> Iterator[str]:
    """A word for command lines, by which what is left of them is found."""
    marker = f"marker-{secrets.token_hex(6)}"
    yield marker
    wait_for(lambda: not running(marker))


TREES = {
    "alone": "exec sleep 661.{0}",
    "children": "sleep 661.{0} & sleep 662.{0} | cat; wait",
    "deaf": "trap '' TERM HUP INT; while :; do sleep 0.3; done",
    "own group": "timeout 663 sleep 664.{0}; true",
    "own session": "setsid -w sleep 665.{0}; true",
}


def argv(tree: str, marker: str) -> list[str]:
    number = str(int(marker[7:], 16))
    return ["sh", "-c", TREES[tree].format(number), marker]


def leftovers(marker: str) -> list[int]:
    return running(marker) + running(str(int(marker[7:], 16)))


def ends(session: SshSession, way: str, words: list[str], *, sudo: bool = False) -> Ended:
    if way == "probe":
        return session.probe(words, sink=Collected(), timeout=0.6, sudo=sudo)
    return session.change("late", words, sink=Collected(), timeout=0.6, sudo=sudo)


@pytest.mark.parametrize("way", ["probe", "change"])
@pytest.mark.parametrize("tree", TREES)
def test_a_timeout_leaves_no_child(
    sshd: Sshd, opened: Open, marker: str, way: str, tree: str
) -> None:
    session = opened(sshd, timing=PATIENT)
    assert ends(session, way, argv(tree, marker)).state == "timed out"
    assert leftovers(marker) == []
    if way == "change":
        assert session.fate("late") == Fate("lost")
    sink = Collected()
    assert session.probe(["echo", "in step"], sink=sink).status == 0
    assert sink.stdout == b"in step\n"
    assert session.change("next", ["true"], sink=Collected()).status == 0


def test_output_so_far_of_a_change_that_timed_out(sshd: Sshd, opened: Open) -> None:
    session = opened(sshd, timing=PATIENT)
    sink = Collected()
    ended = session.change("out", ["sh", "-c", "echo so far; sleep 60"], sink=sink, timeout=0.6)
    assert (ended.state, sink.stdout) == ("timed out", b"so far\n")


def test_a_command_within_its_timeout(session: SshSession) -> None:
    assert session.probe(["sleep", "0.5"], sink=Collected(), timeout=60).state == "ended"
    assert session.change("in", ["sleep", "0.5"], sink=Collected(), timeout=60).state == "ended"


def test_large_output_is_not_cut_by_a_timeout_that_passes_meanwhile(session: SshSession) -> None:
    class Slow(Collected):
        def out(self, data: bytes) -> None:
            time.sleep(0.01)
            super().out(data)

    sink = Slow()
    ended = session.probe(["head", "-c", "6000000", "/dev/zero"], sink=sink, timeout=0.2)
    assert (ended.state, len(sink.stdout)) == ("ended", 6_000_000)


@pytest.mark.parametrize("way", ["probe", "change", "follow"])
def test_stop_from_another_thread(sshd: Sshd, opened: Open, marker: str, way: str) -> None:
    session = opened(sshd, timing=PATIENT)
    words = argv("children", marker)
    results: list[Ended] = []

    def work() -> None:
        if way == "probe":
            results.append(session.probe(words, sink=Collected()))
        elif way == "change":
            results.append(session.change("s", words, sink=Collected()))
        else:
            results.append(session.follow("s", sink=Collected()))

    run = session.hello.directory.rpartition("/")[2].partition(".")[0]
    if way == "follow":
        other = opened(sshd, run=run, timing=PATIENT)
        starter = threading.Thread(target=lambda: other.change("s", words, sink=Collected()))
        starter.start()
        wait_for(lambda: leftovers(marker))
    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: leftovers(marker) and session._link._running)
    if way == "follow":  # until its shell sleeps between two looks at what it follows
        main = session.hello.pid
        wait_for(lambda: Path(f"/proc/{main}/task/{main}/children").read_text())
    session.stop()
    thread.join(120)  # the sleeps' own end is far beyond
    assert results
    assert results[0].state == "stopped"
    assert leftovers(marker) == []
    if way == "follow":
        starter.join(60)
    # The next command is not stopped by it.
    session.stop()
    assert session.probe(["true"], sink=Collected()).state == "ended"


# -- sudo --------------------------------------------------------------------------------------

needs_sudo = pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed")


@pytest.fixture(params=["use_pty", "no pty"])
def sudoer(request: pytest.FixtureRequest, accounts: Accounts) -> str:
    """An account that needs no password for sudo."""
    name = accounts.make("/bin/sh", sudo="ALL=(ALL) NOPASSWD: ALL")
    _defaults(name, request.param)
    return name


@pytest.fixture(params=["use_pty", "no pty"])
def asked(request: pytest.FixtureRequest, accounts: Accounts) -> str:
    """An account that sudo asks for a password."""
    name = accounts.make("/bin/bash", password=PASSWORD, sudo="ALL=(ALL) ALL")
    _defaults(name, request.param)
    return name


def _defaults(name: str, pty: str) -> None:
    with open(f"/etc/sudoers.d/{name}", "a") as rules:
        rules.write(f"Defaults:{name} {'use_pty' if pty == 'use_pty' else '!use_pty'}\n")


@needs_sudo
def test_sudo_without_a_password(sshd: Sshd, opened: Open, sudoer: str) -> None:
    session = opened(sshd, user=sudoer, sudo=True)
    assert session.hello.uid != 0
    assert session.hello.directory.startswith(("/run/user", "/dev/shm/tastyops-"))
    sink = Collected()
    session.probe(["id", "-u"], sink=sink)
    session.probe(["id", "-u"], sink=sink, sudo=True)
    session.change("root", ["sh", "-c", "id -u; exit 5"], sink=sink, sudo=True)
    assert sink.stdout.split() == [str(session.hello.uid).encode(), b"0", b"0"]
    assert session.fate("root") == Fate("ended", 5)
    given = Collected()
    session.change("in", ["cat"], sink=given, sudo=True, stdin=b"for root\0")
    assert given.stdout == b"for root\0"


@needs_sudo
def test_sudo_with_a_password(sshd: Sshd, opened: Open, asked: str) -> None:
    session = opened(sshd, user=asked, sudo="ask", password=PASSWORD)
    probe, change, given, empty = Collected(), Collected(), Collected(), Collected()
    session.probe(["sh", "-c", "id -u; cat"], sink=probe, sudo=True)
    ended = session.change("root", ["sh", "-c", "id -u; cat; exit 5"], sink=change, sudo=True)
    assert (probe.stdout, probe.stderr) == (b"0\n", b"")
    assert (change.stdout, change.stderr, ended.status) == (b"0\n", b"", 5)
    session.change("in", ["cat"], sink=given, sudo=True, stdin=b"for root\0")
    assert given.stdout == b"for root\0"
    # Without sudo nothing of the password is anywhere near.
    session.change("plain", ["cat"], sink=empty)
    assert empty.stdout == b""


@needs_sudo
def test_a_password_sudo_did_not_need_is_not_read_by_the_command(
    sshd: Sshd, opened: Open, sudoer: str
) -> None:
    session = opened(sshd, user=sudoer, sudo="ask", password=PASSWORD)
    sink = Collected()
    session.probe(["cat"], sink=sink, sudo=True)
    session.change("cat", ["cat"], sink=sink, sudo=True)
    session.change("wc", ["wc", "-c"], sink=sink, sudo=True, stdin=b"four")
    assert sink.stdout.split() == [b"4"]


@needs_sudo
def test_a_wrong_password_is_tried_once(sshd: Sshd, opened: Open, accounts: Accounts) -> None:
    name = accounts.make("/bin/sh", password=PASSWORD, sudo="ALL=(ALL) ALL")
    session = opened(sshd, user=name, sudo="ask", password="not this one")
    with pytest.raises(SudoRefused, match="refused the password"):
        session.change("root", ["id"], sink=Collected(), sudo=True)
    assert session.fate("root") == Fate("never")


@needs_sudo
def test_sudo_that_would_ask_and_may_not(sshd: Sshd, opened: Open, asked: str) -> None:
    session = opened(sshd, user=asked, sudo=True)
    with pytest.raises(SudoRefused, match="password is required"):
        session.probe(["id"], sink=Collected(), sudo=True)
    with pytest.raises(SudoRefused, match="password is required"):
        session.change("root", ["id"], sink=Collected(), sudo=True)
    assert session.probe(["id"], sink=Collected()).status == 0


@needs_sudo
@pytest.mark.parametrize("way", ["probe", "change"])
@pytest.mark.parametrize("tree", TREES)
def test_a_timeout_under_sudo_leaves_no_child(
    sshd: Sshd, opened: Open, sudoer: str, marker: str, way: str, tree: str
) -> None:
    session = opened(sshd, user=sudoer, sudo=True, timing=PATIENT)
    assert ends(session, way, argv(tree, marker), sudo=True).state == "timed out"
    assert leftovers(marker) == []
    assert session.probe(["true"], sink=Collected(), sudo=True).status == 0


@needs_sudo
@pytest.mark.parametrize("way", ["probe", "change"])
def test_a_timeout_under_sudo_with_a_password(
    sshd: Sshd, opened: Open, asked: str, marker: str, way: str
) -> None:
    session = opened(sshd, user=asked, sudo="ask", password=PASSWORD, timing=PATIENT)
    assert ends(session, way, argv("deaf", marker), sudo=True).state == "timed out"
    assert leftovers(marker) == []
    assert session.probe(["true"], sink=Collected(), sudo=True).status == 0


@needs_sudo
def test_what_cannot_be_killed_is_called_stuck(
    sshd: Sshd, opened: Open, sudoer: str, marker: str
) -> None:
    """A change that became root by itself: we may not signal it, and must not say it is gone."""
    session = opened(sshd, user=sudoer, timing=Timing(term_patience=0.5, kill_patience=0.5))
    words = ["sudo", "-n", *argv("deaf", marker)]
    assert session.change("late", words, sink=Collected(), timeout=0.6).state == "stuck"
    for pid in leftovers(marker):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not leftovers(marker))
    assert session.probe(["true"], sink=Collected()).status == 0
