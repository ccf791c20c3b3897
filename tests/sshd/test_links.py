"""Dead links: how soon they are noticed, the message, and how the outcome is collected."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tastyops.errors import LinkLost
from tastyops.ports import Ended
from tastyops.protocol.framing import Fate
from tastyops.transport.ssh.session import SshDialer, SshSession
from tastyops.transport.ssh.timing import Timing
from tests.sshd.conftest import Open, holding, run_name
from tests.sshd.server import Sshd
from tests.sshd.watching import HASTY, Collected, running, wait_for

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("carrier")]

REPORTED_WITHIN = 30.0


class Running(threading.Thread):
    """A command in a thread of its own, and how it came out."""

    def __init__(self, work: Callable[[], Ended]) -> None:
        super().__init__()
        self._work = work
        self.ended: Ended | None = None
        self.error: BaseException | None = None
        self.at = 0.0
        self.start()

    def run(self) -> None:
        try:
            self.ended = self._work()
        except BaseException as error:
            self.error = error
        self.at = time.monotonic()

    def lost(self, seconds: float = 60) -> LinkLost:
        self.join(seconds)
        assert isinstance(self.error, LinkLost), (self.error, self.ended)
        assert self.error.still_true
        assert self.error.next_step
        return self.error


def jump_config(target: Sshd, jump: Sshd) -> Path:
    """An ssh_config by which ``target`` is reached through ``jump``."""
    line = target.key.with_suffix(".pub").read_text()
    (jump.folder / "authorized_keys").write_text(line)
    known = target.folder / "known_hosts"
    known.write_text(known.read_text() + (jump.folder / "known_hosts").read_text())
    path = target.folder / "jump_config"
    path.write_text(
        f"Host deep\n  HostName 127.0.0.1\n  ProxyJump root@127.0.0.1:{jump.port}\n"
        f"Host *\n  IdentitiesOnly yes\n  IdentityFile {target.key}\n"
    )
    return path


@pytest.fixture
def other_sshd(sshd_installed: None) -> Iterator[Sshd]:
    server = Sshd()
    try:
        server.start()
        yield server
    finally:
        server.stop()


def slept(session: SshSession, name: str, seconds: str = "600") -> Callable[[], Ended]:
    return lambda: session.change(name, ["sleep", seconds], sink=Collected())


def probed(session: SshSession, seconds: str) -> Callable[[], Ended]:
    return lambda: session.probe(["sleep", seconds], sink=Collected())


@pytest.fixture
def nap() -> str:
    """Seconds to sleep, written so that no other test's command, in any process, looks the same."""
    return f"600.{os.getpid()}{time.monotonic_ns()}"


@pytest.mark.alone
def test_a_dead_peer_is_reported_within_30_seconds(own_sshd: Sshd, other_sshd: Sshd) -> None:
    """The real limits: on a direct link, and through a jump host that stays alive."""
    run, through = run_name(), jump_config(own_sshd, other_sshd)
    direct = holding(SshDialer(own_sshd.ssh_config).session(own_sshd.host(), run))
    deep = holding(SshDialer(through).session(own_sshd.host(address="deep"), run))
    watched = [Running(slept(direct, "x")), Running(slept(deep, "y"))]
    wait_for(lambda: direct._link._second and direct._link._second.hello)
    wait_for(lambda: deep._link._second and deep._link._second.hello)
    with own_sshd.frozen():
        began = time.monotonic()
        for each in watched:
            error = each.lost()
            assert each.at - began < REPORTED_WITHIN
            assert "no sign of life" in error.what
        for session in (direct, deep):
            before = time.monotonic()
            session.close()
            assert time.monotonic() - before < 3


@pytest.mark.parametrize("way", ["direct", "through a jump host", "the jump host itself"])
@pytest.mark.parametrize("when", ["before", "at once", "watched", "idle"])
def test_a_dead_peer(
    carrier: str, own_sshd: Sshd, other_sshd: Sshd, nap: str, way: str, when: str
) -> None:
    """Frozen before the command, in its first moment, once it is watched, between commands."""
    config, address = own_sshd.ssh_config, "127.0.0.1"
    if way != "direct":
        config, address = jump_config(own_sshd, other_sshd), "deep"
    timing = Timing(
        # ssh's own limit holds for the jump host's part as well
        connect=6 if carrier == "openssh" and way != "direct" else 2,
        heart_every=0.5,
        heart_limit=2.0,
        second_greeting=4.0,
        second_after=0.3 if when != "at once" else 0.6,
    )
    session = SshDialer(config, timing=timing).session(own_sshd.host(address=address), run_name())
    frozen = other_sshd if way == "the jump host itself" else own_sshd
    work = probed(session, nap)
    if when in ("at once", "watched"):
        thread = Running(work)
        wait_for(lambda: running(f"sleep {nap}"))
        if when == "watched":
            wait_for(lambda: session._link._second and session._link._second.hello)
    elif when == "idle":
        session.probe(["sleep", "0.5"], sink=Collected())
    with frozen.frozen():
        if when in ("before", "idle"):
            thread = Running(work)
        thread.lost()
        session.close()


def test_a_stopped_upload_is_noticed(own_sshd: Sshd) -> None:
    session = SshDialer(own_sshd.ssh_config, timing=HASTY).session(own_sshd.host(), run_name())
    with own_sshd.frozen():
        data = b"x" * 20_000_000
        thread = Running(lambda: session.change("up", ["cat"], sink=Collected(), stdin=data))
        thread.lost()
        session.close()


@pytest.mark.parametrize("way", ["probe", "change"])
def test_a_link_cut_in_mid_command(own_sshd: Sshd, nap: str, way: str) -> None:
    """Noticed by the cut alone: no missing heartbeat can tell of it within the test's patience."""
    timing = Timing(heart_every=900, heart_limit=900)
    session = holding(
        SshDialer(own_sshd.ssh_config, timing=timing).session(own_sshd.host(), run_name())
    )
    thread = Running(slept(session, "cut", nap) if way == "change" else probed(session, nap))
    wait_for(lambda: running(f"sleep {nap}"))
    own_sshd.cut()
    error = thread.lost()
    assert ("'cut'" in error.still_true) == (way == "change")
    with pytest.raises(LinkLost):
        session.probe(["true"], sink=Collected())
    session.stop()
    session.close()


def test_the_outcome_of_a_cut_change_is_picked_up(own_sshd: Sshd, opened: Open) -> None:
    run = run_name()
    first = opened(own_sshd, run=run)
    go = Path(first.hello.directory, "go")
    script = f"echo begun; until [ -e {go} ]; do sleep 0.1; done; echo end; exit 7"
    thread = Running(lambda: first.change("s1.1", ["sh", "-c", script], sink=Collected()))
    wait_for(lambda: running(f"{run}."))
    own_sshd.cut()
    thread.lost(10)

    second = opened(own_sshd, run=run)
    assert second.hello.directory == first.hello.directory
    assert second.fate("s1.1") == Fate("running")
    assert second.change("s1.1", ["false"], sink=Collected()).state == "claimed"
    seen: list[bytes] = []
    sink = Collected()
    follower = Running(
        lambda: second.follow("s1.1", sink=sink, tail=lambda out, err: seen.append(out))
    )
    wait_for(lambda: seen)
    go.touch()
    follower.join(60)
    assert follower.ended is not None
    assert (follower.ended.state, follower.ended.status) == ("ended", 7)
    assert seen[0] == b"begun\n"
    assert sink.stdout == b"begun\nend\n"
    assert second.fate("s1.1") == Fate("ended", 7)
    second.forget("s1.1")
    assert second.fate("s1.1") == Fate("never")
    second.forget_run()
    assert not Path(second.hello.directory).exists()


def test_a_change_that_ended_while_nobody_was_there(own_sshd: Sshd, opened: Open) -> None:
    run = run_name()
    first = opened(own_sshd, run=run)
    marker = Path(first.hello.directory, "done")
    argv = ["sh", "-c", f"sleep 1; echo alone; : >{marker}; exit 3"]
    thread = Running(lambda: first.change("alone", argv, sink=Collected()))
    wait_for(lambda: running(f"{marker}"))
    own_sshd.cut()
    thread.lost(10)
    wait_for(marker.exists)
    second = opened(own_sshd, run=run)
    sink = Collected()
    ended = second.follow("alone", sink=sink)
    assert (ended.state, ended.status, sink.stdout) == ("ended", 3, b"alone\n")
    assert second.follow("never begun", sink=Collected()).state == "lost"
    second.forget_run()


def test_the_whole_server_goes_away(own_sshd: Sshd, opened: Open) -> None:
    session = opened(own_sshd)
    own_sshd.cut()
    with pytest.raises(LinkLost) as caught:
        session.probe(["true"], sink=Collected())
    assert "nothing was changed" in caught.value.still_true


def test_an_idle_link_that_is_cut_is_known_to_be_lost(own_sshd: Sshd, opened: Open) -> None:
    """So that no change is begun over it, of which nobody could then say whether it was."""
    session = opened(own_sshd)
    assert session.lost == ""
    own_sshd.cut()
    wait_for(lambda: session.lost != "")
    assert "127.0.0.1" in session.lost
    with pytest.raises(LinkLost):
        session.change("s1", ["true"], sink=Collected())


def test_a_main_shell_that_is_killed(sshd: Sshd, opened: Open) -> None:
    session = opened(sshd)
    with pytest.raises(LinkLost):
        session.probe(["sh", "-c", "kill -s KILL $PPID; kill -s KILL 0"], sink=Collected())


def test_a_long_silent_command_is_left_alone(sshd: Sshd, opened: Open) -> None:
    session = opened(sshd, timing=Timing(heart_every=0.2, heart_limit=1.0))
    assert session.probe(["sleep", "3"], sink=Collected()).status == 0


def test_a_second_shell_that_is_killed_is_replaced(sshd: Sshd, opened: Open) -> None:
    session = opened(sshd, timing=Timing(heart_every=0.2, heart_limit=5.0))
    thread = Running(lambda: session.probe(["sleep", "3"], sink=Collected()))
    wait_for(lambda: session._link._second and session._link._second.hello)
    second = session._link._second
    assert second is not None
    assert second.hello is not None
    os.kill(second.hello.pid, signal.SIGKILL)
    wait_for(lambda: session._link._second not in (None, second))
    thread.join(60)
    assert thread.error is None
    assert thread.ended is not None
    assert thread.ended.status == 0
