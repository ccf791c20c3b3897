"""What every session does, wherever it is: the practice host, the lab, a real sshd.

Only few and portable commands are used: a target that answers only what it models must know
``echo true false cat printf sleep`` and ``sh -c`` with small things.
"""

from __future__ import annotations

import threading
import time

import pytest

from tastyops.errors import LinkLost
from tastyops.ports import Session
from tastyops.protocol.framing import Fate
from tests.conformance.conftest import Target


class Sink:
    """Keeps both streams."""

    def __init__(self) -> None:
        self.stdout = b""
        self.stderr = b""

    def out(self, data: bytes) -> None:
        self.stdout += data

    def err(self, data: bytes) -> None:
        self.stderr += data


# -- hello -------------------------------------------------------------------------------------


def test_the_host_says_who_it_is(session: Session, run: str) -> None:
    hello = session.hello
    assert hello.problem == ""
    assert len(hello.boot_id) == 36
    assert hello.hostname
    assert hello.kernel
    assert hello.pid > 0
    assert hello.uid >= 0
    assert hello.directory.startswith("/")
    assert run in hello.directory
    assert hello.boot_id in hello.directory


def test_the_clock_is_compared(session: Session) -> None:
    # A practice host's clock may be set anywhere; a number is what everything else needs.
    assert isinstance(session.skew, float)


def test_two_sessions_of_a_run_share_its_directory(
    target: Target, session: Session, run: str
) -> None:
    other = target.dialer.session(target.host, run)
    try:
        assert other.hello.directory == session.hello.directory
        assert other.hello.boot_id == session.hello.boot_id
        assert other.hello.pid != session.hello.pid
    finally:
        other.close()


# -- probes ------------------------------------------------------------------------------------


def test_a_probe_answers(session: Session) -> None:
    sink = Sink()
    ended = session.probe(["echo", "hello"], sink=sink)
    assert (ended.state, ended.status) == ("ended", 0)
    assert (sink.stdout, sink.stderr) == (b"hello\n", b"")
    assert 0 <= ended.seconds < 30


def test_a_prober_answers_too_and_can_do_no_more(target: Target, run: str) -> None:
    prober = target.dialer.prober(target.host, run)
    try:
        sink = Sink()
        assert prober.probe(["echo", "hello"], sink=sink).status == 0
        assert sink.stdout == b"hello\n"
        assert not hasattr(prober, "change")
    finally:
        prober.close()


@pytest.mark.parametrize(("argv", "status"), [(["true"], 0), (["false"], 1)])
def test_a_status_is_told(session: Session, argv: list[str], status: int) -> None:
    assert session.probe(argv, sink=Sink()).status == status
    ended = session.change("it", argv, sink=Sink())
    assert (ended.state, ended.status) == ("ended", status)


@pytest.mark.parametrize("status", [2, 77, 255])
def test_a_status_is_exact(session: Session, status: int) -> None:
    assert session.probe(["sh", "-c", f"exit {status}"], sink=Sink()).status == status
    assert session.change("it", ["sh", "-c", f"exit {status}"], sink=Sink()).status == status


def test_an_unknown_program(session: Session) -> None:
    sink = Sink()
    assert session.probe(["no-such-program"], sink=sink).status == 127
    assert b"no-such-program" in sink.stderr


def test_the_streams_stay_apart(session: Session) -> None:
    probed, changed = Sink(), Sink()
    session.probe(["sh", "-c", "echo out; echo err >&2"], sink=probed)
    session.change("it", ["sh", "-c", "echo out; echo err >&2"], sink=changed)
    for sink in (probed, changed):
        assert (sink.stdout, sink.stderr) == (b"out\n", b"err\n")


def test_words_are_words(session: Session) -> None:
    sink = Sink()
    session.probe(["printf", "[%s]", "", "a b", "it's", '"', "$HOME", "two\nlines", "é"], sink=sink)
    assert sink.stdout.decode() == "[][a b][it's][\"][$HOME][two\nlines][é]"


def test_nul_and_markers_in_output(session: Session) -> None:
    sink = Sink()
    session.probe(["printf", "a\\0b\\0n12 e\\n"], sink=sink)
    assert sink.stdout == b"a\0b\0n12 e\n"


def test_many_probes_stay_in_step(session: Session) -> None:
    for number in range(100):
        sink = Sink()
        session.probe(["echo", f"{number}"], sink=sink)
        assert sink.stdout == f"{number}\n".encode()


# -- changes and their fate --------------------------------------------------------------------


def test_a_change_answers_and_its_fate_is_kept(session: Session) -> None:
    assert session.fate("s1") == Fate("never")
    sink = Sink()
    ended = session.change("s1", ["sh", "-c", "echo done; exit 5"], sink=sink)
    assert (ended.state, ended.status, sink.stdout) == ("ended", 5, b"done\n")
    assert session.fate("s1") == Fate("ended", 5)


def test_a_change_is_begun_once(session: Session) -> None:
    assert session.change("s1", ["echo", "first"], sink=Sink()).state == "ended"
    sink = Sink()
    ended = session.change("s1", ["echo", "second"], sink=sink)
    assert (ended.state, sink.stdout) == ("claimed", b"")
    assert session.fate("s1") == Fate("ended", 0)


def test_a_change_that_ended_is_followed(session: Session) -> None:
    session.change("s1", ["sh", "-c", "echo done; echo so >&2; exit 5"], sink=Sink())
    sink = Sink()
    ended = session.follow("s1", sink=sink)
    assert (ended.state, ended.status) == ("ended", 5)
    assert (sink.stdout, sink.stderr) == (b"done\n", b"so\n")


def test_what_never_began_is_lost_to_a_follower(session: Session) -> None:
    assert session.follow("s1", sink=Sink()).state == "lost"


def test_a_forgotten_change_is_never(session: Session) -> None:
    session.change("s1", ["true"], sink=Sink())
    session.forget("s1")
    assert session.fate("s1") == Fate("never")


def test_a_runs_directory_that_was_made_anew_is_another(
    target: Target, session: Session, run: str
) -> None:
    """However many sessions there were since, and whoever of them made it."""

    def record() -> str:
        other = target.dialer.session(target.host, run)
        other.close()
        return other.hello.record

    born = session.hello.record
    assert born
    assert record() == born
    session.forget_run()
    anew = record()
    assert anew not in ("", born)
    assert record() == anew


def test_another_session_sees_and_follows_a_running_change(
    target: Target, session: Session, run: str
) -> None:
    other = target.dialer.session(target.host, run)
    try:
        first = Sink()
        work = threading.Thread(
            target=session.change,
            args=("s1", ["sh", "-c", "sleep 5; echo done"]),
            kwargs={"sink": first},
        )
        work.start()
        deadline = time.monotonic() + 60
        while other.fate("s1").state == "never":
            assert time.monotonic() < deadline
        assert other.fate("s1") == Fate("running")
        second = Sink()
        assert other.follow("s1", sink=second).status == 0
        work.join(60)
        assert first.stdout == second.stdout == b"done\n"
    finally:
        other.close()


# -- standard input ----------------------------------------------------------------------------


def test_standard_input_reaches_the_change(session: Session) -> None:
    data = bytes(range(256)) * 400
    sink = Sink()
    assert session.change("s1", ["cat"], sink=sink, stdin=data).status == 0
    assert sink.stdout == data


def test_without_standard_input_there_is_none(session: Session) -> None:
    sink = Sink()
    assert session.change("s1", ["cat"], sink=sink).status == 0
    assert session.probe(["cat"], sink=sink).status == 0
    assert sink.stdout == b""


def test_input_that_is_not_read_does_no_harm(session: Session) -> None:
    sink = Sink()
    assert session.change("s1", ["true"], sink=sink, stdin=b"x" * 100_000).status == 0
    assert session.probe(["echo", "in step"], sink=sink).status == 0
    assert sink.stdout == b"in step\n"


# -- timeouts and stopping ---------------------------------------------------------------------


def test_a_timeout(session: Session) -> None:
    assert session.probe(["sleep", "600"], sink=Sink(), timeout=1).state == "timed out"
    assert session.change("s1", ["sleep", "600"], sink=Sink(), timeout=1).state == "timed out"
    assert session.fate("s1").state == "lost"
    assert session.probe(["true"], sink=Sink()).status == 0


def test_within_the_timeout(session: Session) -> None:
    assert session.probe(["true"], sink=Sink(), timeout=60).state == "ended"
    assert session.change("s1", ["true"], sink=Sink(), timeout=60).state == "ended"


def test_stop(session: Session) -> None:
    begun = threading.Event()
    states: list[str] = []

    def work() -> None:
        def tail(out: bytes, err: bytes) -> None:
            begun.set()

        argv = ["sleep", "600"]
        states.append(session.change("s1", argv, sink=Sink(), tail=tail).state)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    session.stop()
    thread.join(60)
    assert states == ["stopped"]
    assert session.probe(["true"], sink=Sink()).status == 0


def test_stop_with_nothing_to_stop(session: Session) -> None:
    session.stop()
    assert session.probe(["true"], sink=Sink()).state == "ended"


def test_the_tail(session: Session) -> None:
    seen = threading.Event()

    def tail(out: bytes, err: bytes) -> None:
        if out == b"begun\n":
            seen.set()

    argv = ["sh", "-c", "echo begun; sleep 600"]
    thread = threading.Thread(
        target=session.change, args=("s1", argv), kwargs={"sink": Sink(), "tail": tail}
    )
    thread.start()
    try:
        assert seen.wait(60)
    finally:
        session.stop()
        thread.join(60)


def test_closing_twice(target: Target, run: str) -> None:
    """The second close does nothing: no error, nothing sent, and the next session is not disturbed."""
    session = target.dialer.session(target.host, run)
    session.forget_run()
    session.close()
    if target.linked:
        with pytest.raises(LinkLost):
            session.probe(["true"], sink=Sink())
    other = target.dialer.session(target.host, run)
    try:
        session.close()
        sink = Sink()
        assert other.probe(["echo", "here"], sink=sink).status == 0
        assert sink.stdout.rstrip() == b"here"
    finally:
        other.forget_run()
        other.close()
